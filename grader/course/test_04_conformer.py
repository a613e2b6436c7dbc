"""Hidden checks of assignment 4: its contract (`kws.contracts.conformer`) with hidden values, and
the accuracy of the trained model on new sentences."""

import pytest
import torch

from grader.core.held_out import VARIABLE, hidden
from grader.course.hidden.speech import BATCH, num_speakers, padded, speaker_utterances
from grader.course.probes.accuracy import ask, expect_accuracy, expect_bounds, score
from grader.course.probes.model_checks import expect_budget
from grader.course.probes.remote_modules import built
from grader.course.trials import check_trial
from grader.grading.trained_weights import load_weights
from kws.contracts import conformer
from kws.contracts.trial import valid_frames
from kws.data.course_data import bounds

F_MELS = 40
FULL, NONE = 0.97, 0.45  # accuracy for all points, and for none: grader/course/reached.py

test_gate_values = check_trial(conformer.gate_values, points=2)
test_gate_of_any_shape = check_trial(conformer.gate_of_any_shape, points=1)
test_depthwise_values = check_trial(conformer.depthwise_values, points=2)
test_depthwise_padding = check_trial(conformer.depthwise_padding, points=2)
test_depthwise_count = check_trial(conformer.depthwise_count, points=1)
test_convolution_values = check_trial(conformer.convolution_values, points=4)
test_convolution_training = check_trial(conformer.convolution_training, points=1)
test_convolution_count = check_trial(conformer.convolution_count, points=1)
test_feed_forward_values = check_trial(conformer.feed_forward_values, points=2)
test_feed_forward_count = check_trial(conformer.feed_forward_count, points=1)
test_block_values = check_trial(conformer.block_values, points=4)
test_block_padding = check_trial(conformer.block_padding, points=1)
test_block_count = check_trial(conformer.block_count, points=1)
test_encoder_values = check_trial(conformer.encoder_values, points=2)
test_encoder_count = check_trial(conformer.encoder_count, points=1)
test_formula_values = check_trial(conformer.formula_values, points=2)
test_head_values = check_trial(conformer.head_values, points=2)
test_logits_padding = check_trial(conformer.logits_padding, points=2)
test_classifier_size = check_trial(conformer.classifier_size, points=1)


@pytest.mark.check("4.7", points=1, concept="section 4.7")
def test_budget(student, secret, record):
    """all numbers that the model uses, declared or not, are half a million at most."""
    model = built(student, "SpeakerConformer", F_MELS, num_speakers()).eval()
    mel = torch.randn(4, 31, F_MELS, generator=secret.generator("budget of assignment 4"))
    valid = valid_frames(4, 31)
    used = expect_budget("SpeakerConformer", model, mel, valid, most=conformer.BUDGET)
    record.fact("numbers in use", used.total)


@pytest.mark.check("4.7", points=6, concept="section 4.7", timeout=120)
def test_accuracy(student, weights, secret, record):
    """the trained model, within its bounds, recognizes the speakers of new sentences."""
    model = load_weights(built(student, "SpeakerConformer", F_MELS, num_speakers()), weights)
    mels, labels = speaker_utterances(secret)

    def inputs_of(rows):
        return padded([mels[row] for row in rows])

    draw = secret.generator("calls of assignment 4")
    asked = ask(model, inputs_of, labels, num_speakers(), draw, 2 * BATCH)
    names = [str(speaker) for speaker in range(num_speakers())]
    told = f"accuracy on {hidden('04', 'utterances')}"
    measured = score(record, asked.logits, labels, names, told)
    expect_bounds(record, model, asked, weights, budget=conformer.BUDGET)
    expect_accuracy(record, measured, **bounds("04", full=FULL, none=NONE, variable=VARIABLE))

"""Hidden checks of assignment 4: its contract, and the accuracy on new sentences."""

import pytest

from grader.core.seed import RECORDINGS, hidden
from grader.course.hidden.speech import BATCH, num_speakers, padded, speaker_utterances
from grader.course.probes.accuracy import ask, built, load_within, ramp, score
from grader.course.trials import check_trial
from kws.course.a04_conformer import contract as conformer
from kws.data.course_data import bounds

PREPARE = speaker_utterances  # with the secret seed, before the first of a class is graded

F_MELS = 40
FULL, NONE = 0.97, 0.45  # accuracy for all points, and for none: [reached] in assignment.toml

test_gate_values = check_trial(conformer.gate_values, points=2)
test_gate_of_any_shape = check_trial(conformer.gate_of_any_shape, points=1)
test_depthwise_values = check_trial(conformer.depthwise_values, points=2)
test_depthwise_padding = check_trial(conformer.depthwise_padding, points=2)
test_depthwise_count = check_trial(conformer.depthwise_count, points=1)
test_convolution_values = check_trial(conformer.convolution_values, points=3)
test_convolution_padding = check_trial(conformer.convolution_padding, points=2)
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
test_budget = check_trial(conformer.budget, points=1)
test_classifier_size = check_trial(conformer.classifier_size, points=1)


@pytest.mark.check("4.7", points=6, concept="section 4.7", timeout=120)
def test_accuracy(student, weights, report_source, secret, record):
    """the trained model, within its bounds, recognizes the speakers of new sentences."""
    model = built(student, "SpeakerConformer", F_MELS, num_speakers())
    model = load_within(record, model, weights, report_source, conformer.BUDGET)
    mels, labels = speaker_utterances(secret)

    def inputs_of(rows):
        return padded([mels[row] for row in rows])

    draw = secret.generator("calls of assignment 4")
    outputs = ask(model, inputs_of, labels, num_speakers(), draw, 2 * BATCH)
    names = [str(speaker) for speaker in range(num_speakers())]
    title = f"accuracy on {hidden('04', 'utterances')}"
    measured = score(record, outputs.logits, labels, names, title)
    ramp(record, title, measured, **bounds("04", full=FULL, none=NONE, variable=RECORDINGS))

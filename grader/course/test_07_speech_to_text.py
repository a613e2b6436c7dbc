"""Hidden checks of assignment 7: its contract (`kws.contracts.recognizer`) with hidden values, and
the words that the trained model gets right from new voices.

The bounds come from what our own answer, trained with several seeds, reaches
(`python -m grader targets --assignment 07`).
"""

import pytest
import torch

from grader.course.hidden.digits import N_MELS, SYMBOLS, spoken_strings, word_accuracy, written_by
from grader.course.probes.accuracy import expect_accuracy, expect_size
from grader.course.probes.model_checks import expect_budget
from grader.course.probes.remote_modules import built
from grader.course.trials import check_trial
from grader.grading.trained_weights import load_weights
from kws.contracts import recognizer
from kws.contracts.trial import valid_frames

FULL, NONE = 0.91, 0.40  # share of words for all points, and for none: grader/course/reached.py

test_edits_values = check_trial(recognizer.edits_values, points=2)
test_rate_values = check_trial(recognizer.rate_values, points=1)
test_frames_values = check_trial(recognizer.frames_values, points=1)
test_subsampling_values = check_trial(recognizer.subsampling_values, points=1)
test_subsampling_padding = check_trial(recognizer.subsampling_padding, points=2)
test_subsampling_count = check_trial(recognizer.subsampling_count, points=1)
test_attention_values = check_trial(recognizer.attention_values, points=2)
test_attention_padding = check_trial(recognizer.attention_padding, points=1)
test_mask_values = check_trial(recognizer.mask_values, points=1)
test_cross_values = check_trial(recognizer.cross_values, points=2)
test_layer_values = check_trial(recognizer.layer_values, points=2)
test_layer_causality = check_trial(recognizer.layer_causality, points=1)
test_layer_count = check_trial(recognizer.layer_count, points=1)
test_shift_values = check_trial(recognizer.shift_values, points=1)
test_loss_values = check_trial(recognizer.loss_values, points=1)
test_collapse_values = check_trial(recognizer.collapse_values, points=1)
test_needed_values = check_trial(recognizer.needed_values, points=1)
test_ctc_values = check_trial(recognizer.ctc_values, points=2)
test_ctc_of_many_frames = check_trial(recognizer.ctc_of_many_frames, points=1)
test_greedy_values = check_trial(recognizer.greedy_values, points=2)
test_beam_values = check_trial(recognizer.beam_values, points=2)
test_beam_widths = check_trial(recognizer.beam_widths, points=1)
test_joint_values = check_trial(recognizer.joint_values, points=1)
test_model_padding = check_trial(recognizer.model_padding, points=1)
test_model_hears = check_trial(recognizer.model_hears, points=1)
test_model_size = check_trial(recognizer.model_size, points=1)
test_loss_of_both = check_trial(recognizer.loss_of_both, points=1)
test_recipe_values = check_trial(recognizer.recipe_values, points=1)


@pytest.mark.check("7.9", points=1, concept="section 7.9")
def test_budget(student, secret, record):
    """all numbers that the model uses, declared or not, are fewer than a million."""
    model = built(student, "SpeechTransformer", N_MELS, SYMBOLS).eval()
    generator = secret.generator("budget of assignment 7")
    mel = torch.randn(3, 41, N_MELS, generator=generator)
    symbols = torch.randint(SYMBOLS, (3, 6), generator=generator)
    used = expect_budget(
        "SpeechTransformer", model, mel, valid_frames(3, 41), symbols, most=recognizer.BUDGET
    )
    record.fact("numbers in use", used.total)


@pytest.mark.check("7.9", points=3, concept="section 7.9", timeout=240)
def test_accuracy(student, weights, secret, record):
    """the trained model, within its bound, spells what new voices say."""
    model = load_weights(built(student, "SpeechTransformer", N_MELS, SYMBOLS), weights)
    strings = spoken_strings(secret)
    written, created = written_by(model.eval(), strings)
    expect_size(record, weights, created, budget=recognizer.BUDGET)
    measured = word_accuracy(record, strings.texts, written)
    expect_accuracy(record, measured, none=NONE, full=FULL)

"""Hidden checks of assignment 8: its contract (`kws.contracts.speaking`) with hidden values, and
what the trained model says: words that a listener recognizes, and durations of new phrases.

The bounds come from what our own answer, trained with several seeds, reaches
(`python -m grader targets --assignment 08`).
"""

import pytest

from grader.course.hidden.said import (
    NUM_SYMBOLS,
    answered,
    duration_error,
    expect_durations,
    keywords,
    secret_phrases,
    words_heard,
)
from grader.course.probes.accuracy import expect_accuracy
from grader.course.probes.model_checks import expect_budget
from grader.course.probes.remote_modules import built
from grader.course.trials import check_trial
from grader.grading.trained_weights import load_weights
from kws.contracts import speaking

FULL, NONE = 0.90, 0.30  # share of words for all points, and for none: grader/course/reached.py
FRAMES_FULL, FRAMES_NONE = 1.6, 4.0  # frames off; always saying the mean is 5.3 frames off

test_durations_values = check_trial(speaking.durations_values, points=2)
test_regulate_values = check_trial(speaking.regulate_values, points=2)
test_paced_values = check_trial(speaking.paced_values, points=1)
test_durations_predicted = check_trial(speaking.durations_predicted, points=2)
test_block_count = check_trial(speaking.block_count, points=1)
test_block_values = check_trial(speaking.block_values, points=2)
test_block_padding = check_trial(speaking.block_padding, points=1)
test_positions_values = check_trial(speaking.positions_values, points=2)
test_prenet_values = check_trial(speaking.prenet_values, points=2)
test_stop_values = check_trial(speaking.stop_values, points=2)
test_guide_values = check_trial(speaking.guide_values, points=2)
test_power_values = check_trial(speaking.power_values, points=2)
test_griffin_values = check_trial(speaking.griffin_values, points=3)
test_model_values = check_trial(speaking.model_values, points=3)
test_model_padding = check_trial(speaking.model_padding, points=1)
test_model_learns = check_trial(speaking.model_learns, points=1)
test_model_size = check_trial(speaking.model_size, points=1)
test_recipe_values = check_trial(speaking.recipe_values, points=1)


@pytest.mark.check("8.6", points=1, concept="section 8.6")
def test_budget(student):
    """all numbers that the model uses, declared or not, are a million and a half at most."""
    model = built(student, "FastSpeech", NUM_SYMBOLS).eval()
    phonemes, valid, durations, _ = keywords().batch([0, 1, 2])
    answered(model, phonemes, valid, durations)
    most, table = speaking.BUDGET, speaking.LONGEST * speaking.WIDTH
    expect_budget("FastSpeech", model, phonemes, valid, durations, most=most + 2 * table)


@pytest.mark.check("8.6", points=3, concept="section 8.6", timeout=120)
def test_durations(student, weights, secret, record):
    """the trained model knows how long the phonemes of new phrases last."""
    model = load_weights(built(student, "FastSpeech", NUM_SYMBOLS), weights).eval()
    error = duration_error(model, secret_phrases(secret))
    expect_durations(record, error, none=FRAMES_NONE, full=FRAMES_FULL)


@pytest.mark.check("8.6", points=5, concept="section 8.6", timeout=240)
def test_accuracy(student, weights, record):
    """a listener recognizes keywords that were in no training phrase, at three paces."""
    model = load_weights(built(student, "FastSpeech", NUM_SYMBOLS), weights).eval()
    measured, wrong = words_heard(model)
    record.fact("words heard", str(measured))
    record.fact("not recognized", ", ".join(wrong) or "none")
    expect_accuracy(record, measured, none=NONE, full=FULL)

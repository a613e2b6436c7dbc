"""Hidden checks of assignment 8: its contract with hidden values, and the trained model: words that
a recognizer recognizes, and durations of new phrases.

Bounds: `python -m grader targets --assignment 08`.
"""

import pytest

from grader.course.hidden.synthesized import (
    NUM_SYMBOLS,
    duration_error,
    prepare,
    recognized_words,
    secret_phrases,
)
from grader.course.probes.accuracy import built, load_within, ramp
from grader.course.trials import check_trial
from kws.course.a08_text_to_speech import contract as speaking

PREPARE = prepare  # with the secret seed, before the first of a class is graded

FULL, NONE = 0.90, 0.30  # share of words for all points, and for none: [reached] in assignment.toml
FRAMES_FULL, FRAMES_NONE = 1.6, 4.0  # frames off; always saying the mean is 5.3 frames off

test_durations_values = check_trial(speaking.durations_values, points=2)
test_regulate_values = check_trial(speaking.regulate_values, points=2)
test_paced_values = check_trial(speaking.paced_values, points=1)
test_durations_predicted = check_trial(speaking.durations_predicted, points=2)
test_block_count = check_trial(speaking.block_count, points=1)
test_block_values = check_trial(speaking.block_values, points=2)
test_block_padding = check_trial(speaking.block_padding, points=1)
test_positions_values = check_trial(speaking.positions_values, points=1)
test_prenet_values = check_trial(speaking.prenet_values, points=2)
test_shift_values = check_trial(speaking.shift_values, points=1)
test_target_values = check_trial(speaking.target_values, points=1)
test_stop_values = check_trial(speaking.stop_values, points=1)
test_guide_values = check_trial(speaking.guide_values, points=1)
test_guided_values = check_trial(speaking.guided_values, points=1)
test_power_values = check_trial(speaking.power_values, points=2)
test_griffin_values = check_trial(speaking.griffin_values, points=3)
test_model_values = check_trial(speaking.model_values, points=3)
test_model_padding = check_trial(speaking.model_padding, points=1)
test_model_learns = check_trial(speaking.model_learns, points=1)
test_budget = check_trial(speaking.budget, points=1)
test_model_size = check_trial(speaking.model_size, points=1)
test_recipe_values = check_trial(speaking.recipe_values, points=1)


@pytest.fixture
def trained(student, weights, report_source, record):
    model = built(student, "FastSpeech", NUM_SYMBOLS)
    return load_within(record, model, weights, report_source, speaking.BUDGET).eval()


@pytest.mark.check("8.8", points=3, concept="section 8.8", timeout=120)
def test_durations(trained, secret, record):
    """the trained model predicts the durations of the phonemes of new phrases."""
    error = duration_error(trained, secret_phrases(secret))
    question = "does the loss of durations reach the predictor, with ln(d + 1) as the target?"
    what = "frames that a duration is off, on average over new phrases"
    ramp(record, what, error, question, none=FRAMES_NONE, full=FRAMES_FULL)


@pytest.mark.check("8.8", points=5, concept="section 8.8", timeout=240)
def test_accuracy(trained, record):
    """a listener recognizes keywords that were in no training phrase, at three paces."""
    measured, wrong = recognized_words(trained)
    record.fact("not recognized", ", ".join(wrong) or "none")
    ramp(record, "words that the listener recognizes", measured, none=NONE, full=FULL)

"""Hidden checks of assignment 7: its contract with hidden values, and the word accuracy of the
trained model on new voices.

Bounds: `python -m grader targets --assignment 07`.
"""

import pytest

from grader.course.hidden.digits import N_MELS, SYMBOLS, spoken_strings, word_accuracy, written_by
from grader.course.probes.accuracy import built, load_within, ramp
from grader.course.trials import check_trial
from kws.course.a07_speech_to_text import contract as recognizer

PREPARE = spoken_strings  # with the secret seed, before the first of a class is graded

FULL, NONE = 0.91, 0.40  # share of words for all points, and for none: [reached] in assignment.toml

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
test_model_inputs = check_trial(recognizer.model_inputs, points=1)
test_budget = check_trial(recognizer.budget, points=1)
test_model_size = check_trial(recognizer.model_size, points=1)
test_loss_of_both = check_trial(recognizer.loss_of_both, points=1)
test_recipe_values = check_trial(recognizer.recipe_values, points=1)


@pytest.mark.check("7.9", points=3, concept="section 7.9", timeout=240)
def test_accuracy(student, weights, report_source, secret, record):
    """the trained model, within its bound, transcribes new voices."""
    model = built(student, "SpeechTransformer", N_MELS, SYMBOLS)
    model = load_within(record, model, weights, report_source, recognizer.BUDGET)
    strings = spoken_strings(secret)
    measured = word_accuracy(record, strings.texts, written_by(model.eval(), strings))
    ramp(record, "words recognized", measured, none=NONE, full=FULL)

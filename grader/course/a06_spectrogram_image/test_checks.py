"""Hidden checks of assignment 6: its contract with hidden values, and the
adapted model on German words of new voices.

Bounds of the accuracy: `python -m grader targets --assignment 06`.
"""

import pytest

from grader.course.hidden.keywords import GERMAN, german_clips
from grader.course.probes.accuracy import ask, built, load_within, ramp, score
from grader.course.trials import check_trial
from kws.course.a06_spectrogram_image import contract as image

PREPARE = german_clips  # with the secret seed, before the first of a class is graded

FULL, NONE = 0.83, 0.45  # accuracy for all points, and for none: [reached] in assignment.toml
CLASSES = len(GERMAN.labels)

test_count_values = check_trial(image.count_values, points=1)
test_patches_values = check_trial(image.patches_values, points=2)
test_embedding_values = check_trial(image.embedding_values, points=2)
test_embedding_count = check_trial(image.embedding_count, points=1)
test_sinusoids_values = check_trial(image.sinusoids_values, points=1)
test_positions_values = check_trial(image.positions_values, points=2)
test_positions_count = check_trial(image.positions_count, points=1)
test_weights_values = check_trial(image.weights_values, points=2)
test_resize_values = check_trial(image.resize_values, points=1)
test_middle_values = check_trial(image.middle_values, points=1)
test_structured_values = check_trial(image.structured_values, points=1)
test_unstructured_values = check_trial(image.unstructured_values, points=1)
test_patchout_fair = check_trial(image.patchout_fair, points=1)
test_parameters_values = check_trial(image.parameters_values, points=1)
test_transformer_count = check_trial(image.transformer_count, points=1)
test_transformer_without_layers = check_trial(image.transformer_without_layers, points=1)
test_transformer_values = check_trial(image.transformer_values, points=3)
test_transformer_patchout = check_trial(image.transformer_patchout, points=1)
test_cost_values = check_trial(image.cost_values, points=2)
test_carry_over_values = check_trial(image.carry_over_values, points=2)
test_carry_over_refuses = check_trial(image.carry_over_refuses, points=1)
test_groups_values = check_trial(image.groups_values, points=1)
test_rows_values = check_trial(image.rows_values, points=1)
test_rows_fair = check_trial(image.rows_fair, points=1)
test_budget = check_trial(image.budget, points=1)
test_small_model_learns = check_trial(image.small_model_learns, points=1)
test_recipe_values = check_trial(image.recipe_values, points=1)


@pytest.mark.check("6.9", points=5, concept="section 6.9", timeout=120)
def test_accuracy(student, weights, report_source, secret, record):
    """the adapted model, within its bounds, recognizes German words of new voices."""
    model = built(student, "small_model", CLASSES)
    model = load_within(record, model, weights, report_source, image.BUDGET)
    mel, labels = german_clips(secret)
    draw = secret.generator("calls of assignment 6")
    outputs = ask(model, lambda rows: (mel[rows],), labels, CLASSES, draw)
    measured = score(record, outputs.logits, labels, GERMAN.labels)
    ramp(record, "accuracy", measured, none=NONE, full=FULL)

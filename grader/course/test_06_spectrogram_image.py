"""Hidden checks of assignment 6: its contract (`kws.contracts.image`) with hidden values, and the
adapted model on German words of new voices.

The bounds of the accuracy come from what our own answer, pretrained and adapted with several seeds,
reaches (`python -m grader targets --assignment 06`).
"""

import pytest
import torch

from grader.course.hidden.keywords import GERMAN, N_MELS, german_clips
from grader.course.probes.accuracy import ask, expect_accuracy, expect_bounds, score
from grader.course.probes.model_checks import expect_budget
from grader.course.probes.remote_modules import built
from grader.course.trials import check_trial
from grader.grading.trained_weights import load_weights
from kws.contracts import image

B, FRAMES = 3, 101
FULL, NONE = 0.83, 0.45  # accuracy for all points, and for none: grader/course/reached.py
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
test_small_model_learns = check_trial(image.small_model_learns, points=1)
test_recipe_values = check_trial(image.recipe_values, points=1)


@pytest.mark.check("6.9", points=1, concept="section 6.9")
def test_budget(student, secret, record):
    """all numbers that the small model uses, declared or not, are half a million at most."""
    model = built(student, "small_model", CLASSES).eval()
    mel = torch.randn(B, FRAMES, N_MELS, generator=secret.generator("budget of assignment 6"))
    used = expect_budget(f"small_model({CLASSES})", model, mel, most=image.BUDGET)
    record.fact("numbers in use", used.total)


@pytest.mark.check("6.9", points=5, concept="section 6.9", timeout=120)
def test_accuracy(student, weights, secret, record):
    """the adapted model, within its bounds, recognizes German words of new voices."""
    model = load_weights(built(student, "small_model", CLASSES), weights)
    mel, labels = german_clips(secret)
    draw = secret.generator("calls of assignment 6")
    asked = ask(model, lambda rows: (mel[rows],), labels, CLASSES, draw)
    measured = score(record, asked.logits, labels, GERMAN.labels)
    expect_bounds(record, model, asked, weights, budget=image.BUDGET)
    expect_accuracy(record, measured, none=NONE, full=FULL)

"""Hidden checks of assignment 5: its contract (`kws.contracts.keyword`) with hidden values, and the
trained model on clips of new voices.

The bounds of the accuracies come from what our own answer, trained with several seeds, reaches
(`python -m grader targets --assignment 05`, and once more with `--retrain`).
"""

import pytest
import torch

from grader.core.held_out import VARIABLE, hidden
from grader.core.outcomes import Record
from grader.course.hidden.keywords import N_MELS, PROTOCOL, word_clips
from grader.course.probes.accuracy import (
    ask,
    expect_accuracy,
    expect_bounds,
    expect_retrained,
    score,
)
from grader.course.probes.model_checks import expect_budget, expect_gradients
from grader.course.probes.remote_modules import built
from grader.course.probes.retraining import expect_recipe, keyword_plan, train_again
from grader.course.trials import check_trial
from grader.grading.feedback import expect_logits
from grader.grading.trained_weights import load_weights
from kws.contracts import keyword
from kws.data.course_data import bounds

B, FRAMES = 3, 101
FULL, NONE = 0.87, 0.40  # accuracy for all points, and for none: five seeds reach 92.9 %, s.d. 1.7
AGAIN_FULL, AGAIN_NONE, AGAIN_GAP = 0.66, 0.20, 0.40  # after the grader's own training (--retrain)
BUDGET = 500_000  # numbers of the small model
NAMES = PROTOCOL.labels

test_tokens_values = check_trial(keyword.tokens_values, points=2)
test_memory_values = check_trial(keyword.memory_values, points=1)
test_stem_points = check_trial(keyword.stem_points, points=3)
test_stem_columns = check_trial(keyword.stem_columns, points=1)
test_stem_count = check_trial(keyword.stem_count, points=1)
test_token_values = check_trial(keyword.token_values, points=2)
test_token_count = check_trial(keyword.token_count, points=1)
test_token_start = check_trial(keyword.token_start, points=1)
test_transformer_values = check_trial(keyword.transformer_values, points=4)
test_transformer_without_layers = check_trial(keyword.transformer_without_layers, points=1)
test_transformer_count = check_trial(keyword.transformer_count, points=1)
test_parameters_values = check_trial(keyword.parameters_values, points=2)
test_parameters_built = check_trial(keyword.parameters_built, points=1)


@pytest.mark.check("5.6", points=1, concept="section 5.6")
def test_recipe(student):
    """a recipe that warms up."""
    expect_recipe(student.recipe(), least_warmup=1)


@pytest.mark.check("5.6", points=1, concept="section 5.6")
def test_small_model_learns(student, secret):
    """the small model has at most half a million parameters, and a gradient reaches each."""
    model = built(student, "small_model")
    mel = torch.randn(B, FRAMES, N_MELS, generator=secret.generator("small model"))
    expect_budget("small_model()", model.eval(), mel, most=BUDGET)
    model.train()
    expect_logits("small_model()(mel)", model(mel), B, len(PROTOCOL.labels))
    expect_gradients("small_model()", model, mel)


def heard(model, secret):
    """The model's logits for the hidden clips, and what was said."""
    mel, labels = word_clips(secret)
    draw = secret.generator("calls of assignment 5")
    return ask(model, lambda rows: (mel[rows],), labels, len(NAMES), draw), labels


@pytest.mark.check("5.6", points=8, concept="section 5.6", timeout=120)
def test_accuracy(student, weights, secret, record):
    """the trained model, within its bounds, recognizes its words from new voices."""
    model = load_weights(built(student, "small_model"), weights)
    asked, labels = heard(model, secret)
    measured = score(record, asked.logits, labels, NAMES, f"accuracy on {hidden('05', 'clips')}")
    expect_bounds(record, model, asked, weights, budget=BUDGET)
    expect_accuracy(record, measured, **bounds("05", full=FULL, none=NONE, variable=VARIABLE))


@pytest.mark.check(
    "5.6",
    points=2,
    after=("5.6-recipe", "5.6-accuracy"),
    concept="section 5.6",
    timeout=300,
    retrain=True,
)
def test_retrained(student, new_student, weights, secret, record):
    """the same model learns the words from scratch, trained by the grader."""
    asked, labels = heard(load_weights(built(student, "small_model"), weights), secret)
    handed_in = score(Record(), asked.logits, labels, NAMES)
    recipe = expect_recipe(student.recipe(), least_warmup=1)
    again = train_again(
        new_student,
        lambda fresh: built(fresh, "small_model"),
        keyword_plan,
        recipe,
        secret,
        record,
    )
    measured = score(Record(), heard(again, secret)[0].logits, labels, NAMES)
    expect_retrained(record, measured, handed_in, AGAIN_GAP)
    expect_accuracy(record, measured, none=AGAIN_NONE, full=AGAIN_FULL)


test_confusion_values = check_trial(keyword.confusion_values, points=2)
test_confusion_absent = check_trial(keyword.confusion_absent, points=1)
test_threshold_values = check_trial(keyword.threshold_values, points=2)
test_threshold_ends = check_trial(keyword.threshold_ends, points=1)
test_table_words = check_trial(keyword.table_words, points=2)
test_table_files = check_trial(keyword.table_files, points=1)

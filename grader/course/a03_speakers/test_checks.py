"""Hidden checks of assignment 3: its contract, and what was learned.

Accuracy is measured on utterances that follow from the secret seed. Our own answer reaches 98.5 %
with a standard deviation of 1.1 over five seeds (`python -m grader targets`); FULL is three below.
AGAIN_FULL is found in the same way with `--retrain`.
"""

import pytest

from grader.core.outcomes import Record
from grader.core.seed import RECORDINGS, hidden
from grader.course.hidden.speech import BATCH, num_speakers, padded, scores, speaker_utterances
from grader.course.probes.accuracy import (
    ask,
    built,
    expect_layers,
    expect_retrained,
    load_within,
    ramp,
    score,
)
from grader.course.probes.retraining import expect_recipe, speaker_plan, train_again
from grader.course.trials import check_trial
from grader.grading.feedback import expect_between
from kws.course.a03_speakers import contract as speakers
from kws.data.course_data import bounds

PREPARE = speaker_utterances  # with the secret seed, before the first of a class is graded

FULL, LEAST = 0.95, 0.50  # accuracy for all points; at this one and below there are none
AGAIN_FULL, AGAIN_NONE, AGAIN_GAP = 0.62, 0.10, 0.50  # after the grader's own training (--retrain)

test_collate_values = check_trial(speakers.collate_values, points=2)
test_collate_mask = check_trial(speakers.collate_mask, points=2)
test_pool_values = check_trial(speakers.pool_values, points=2)
test_pool_padding = check_trial(speakers.pool_padding, points=1)
test_schedule_values = check_trial(speakers.schedule_values, points=3)
test_schedule_ends = check_trial(speakers.schedule_ends, points=1)
test_model_logits = check_trial(speakers.model_logits, points=1)
test_model_padding = check_trial(speakers.model_padding, points=1)
test_model_budget = check_trial(speakers.model_budget, points=3)
test_model_norm = check_trial(speakers.model_norm, points=1)
test_model_gradients = check_trial(speakers.model_gradients, points=1)
test_step_values = check_trial(speakers.step_values, points=3)
test_step_mode = check_trial(speakers.step_mode, points=1)
test_predict_values = check_trial(speakers.predict_values, points=3)
test_predict_mode = check_trial(speakers.predict_mode, points=1)
test_best_values = check_trial(speakers.best_values, points=2)
test_best_equals = check_trial(speakers.best_equals, points=1)
test_recipe_values = check_trial(speakers.recipe_values, points=1)


@pytest.fixture
def trained(student, weights, report_source, record):
    model = built(student, "SpeakerClassifier", num_speakers())
    return load_within(record, model, weights, report_source, speakers.BUDGET).eval()


def names():
    return [str(speaker) for speaker in range(num_speakers())]


def ask_model(model, secret):
    mels, labels = speaker_utterances(secret)

    def inputs_of(rows):
        return padded([mels[row] for row in rows])

    draw = secret.generator("calls of assignment 3")
    return ask(model, inputs_of, labels, num_speakers(), draw, 2 * BATCH), labels


@pytest.mark.check("3.8", points=7, concept="section 3.8", timeout=120)
def test_accuracy(trained, secret, record):
    """the model, within its bounds, recognizes its voices in new sentences."""
    outputs, labels = ask_model(trained, secret)
    what = f"accuracy on {hidden('03', 'utterances')}"
    measured = score(record, outputs.logits, labels, names(), what)
    expect_layers(trained, outputs, speakers.MOST_LAYERS)
    ramp(record, what, measured, **bounds("03", full=FULL, none=LEAST, variable=RECORDINGS))


@pytest.mark.check("3.8", points=1, concept="section 3.8", timeout=60)
def test_trained_model_ignores_padding(trained, secret):
    """the trained model has the same logits for an utterance alone and in a batch."""
    mels, _ = speaker_utterances(secret)
    some = mels[:8]
    alone = scores(trained, some, num_speakers(), batch=1)
    off = (scores(trained, some, num_speakers()) - alone).abs().max()
    question = "does every layer and every mean_pool get the mask?"
    expect_between("the change of the logits", off, 0, 1e-3, hint=question)


@pytest.mark.check(
    "3.8",
    points=2,
    after=("3.8-recipe-values", "3.8-accuracy"),
    concept="section 3.8",
    timeout=300,
    retrain=True,
)
def test_retrained(student, new_student, trained, secret, record):
    """the same model learns the voices from scratch, trained by the grader."""
    outputs, labels = ask_model(trained, secret)
    handed_in = score(Record(), outputs.logits, labels, names())
    recipe = expect_recipe(student.recipe(), "crop_frames")
    again = train_again(
        new_student,
        lambda fresh: built(fresh, "SpeakerClassifier", num_speakers()),
        speaker_plan,
        recipe,
        secret,
        record,
    )
    measured = score(Record(), ask_model(again, secret)[0].logits, labels, names())
    expect_retrained(record, measured, handed_in, AGAIN_GAP)
    ramp(record, "accuracy from scratch", measured, none=AGAIN_NONE, full=AGAIN_FULL)

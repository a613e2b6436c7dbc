"""Training by the grader: a student's recipe within the budget, drawn by the grader's seed."""

import pytest
import torch

from grader.course.hidden.keywords import N_MELS, prepared
from grader.course.probes import retraining as training
from grader.course.probes.retraining import DIFFERENT, LARGEST, STEPS, expect_recipe, rates
from grader.grading.feedback import Failure
from kws.audio.features import log_mel

RECIPE = {"steps": 900, "batch_size": 32, "crop_frames": 128, "lr": 2e-3, "warmup_steps": 90}
WORDS = {name: value for name, value in RECIPE.items() if name != "crop_frames"}


@pytest.fixture(autouse=True)
def recordings(monkeypatch, voices, tones):
    """Made-up ones in the place of the course's recordings, which take half a minute to make."""
    monkeypatch.setattr(training, "_speakers", lambda: voices(3, seed=1))
    monkeypatch.setattr(training, "_words", lambda: tones(5))


def test_a_recipe_of_many_steps_keeps_its_shape_within_the_budget_and_a_short_one_is_kept():
    found = rates(RECIPE | {"steps": 90_000, "warmup_steps": 9_000})
    assert len(found) == STEPS
    assert found.index(max(found)) == STEPS // 10 - 1
    assert max(found) == pytest.approx(RECIPE["lr"])
    assert found[-1] == 0
    assert len(rates(RECIPE | {"steps": 7, "warmup_steps": 6})) == 7
    assert rates({"steps": 1, "warmup_steps": 0, "lr": 0.1}) == (0.1,)


@pytest.mark.parametrize("greedy", [{}, {"batch_size": 1024, "crop_frames": 10_000}])
def test_batches_stay_within_their_size_and_number(greedy):
    plan = training.speaker_plan(RECIPE | greedy, 1)
    assert len(plan.batches) == DIFFERENT
    for mel, valid, labels in plan.batches:
        assert len(mel) == len(valid) == len(labels) <= LARGEST
        assert mel.shape[1] <= training.FRAMES[1]


def test_crops_belong_to_their_speakers_and_shifted_clips_keep_their_labels():
    split = training._speakers()
    assert split.labels.unique().tolist() == [0, 1, 2]  # so each label has one utterance
    mels = (split.whole(torch.tensor([row]))[0][0] for row in range(3))
    whole = dict(zip(split.labels.tolist(), mels, strict=True))
    for mel, valid, labels in training.speaker_plan(RECIPE, 1).batches[:5]:
        for one, real, label in zip(mel, valid, labels.tolist(), strict=True):
            windows = whole[label].unfold(0, int(real.sum()), 1)  # (starts, F, T)
            assert (windows == one[real].T).all((1, 2)).any()
    split = training._words()
    clips = prepared(log_mel(split.waveforms(torch.arange(5)), n_mels=N_MELS))
    for mel, labels in training.keyword_plan(WORDS, 1).batches[:5]:
        for one, label in zip(mel, labels, strict=True):
            same = [
                torch.allclose(one.sort(dim=0).values, clip.sort(dim=0).values)
                for clip in clips[split.labels == label]
            ]
            assert any(same)


@pytest.mark.parametrize("plan_of", [training.speaker_plan, training.keyword_plan])
def test_the_seed_draws_the_batches(plan_of):
    one, same, other = (plan_of(RECIPE, seed).batches for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one[3], same[3], strict=True))
    assert not torch.equal(one[3][-1], other[3][-1])


@pytest.mark.parametrize(
    ("recipe", "output"),
    [
        (None, "is not a dictionary"),
        ({"steps": 3}, "the names in recipe"),
        (RECIPE | {"warmup_steps": 900}, "warmup_steps: got 900"),
        (RECIPE | {"lr": float("nan")}, "lr: got nan"),
        (RECIPE | {"batch_size": 10**9}, "batch_size: got 1,000,000,000"),
        (RECIPE | {"steps": "many"}, "expected a number"),
        (RECIPE | {"crop_frames": torch.ones(2)}, "expected a number"),
    ],
)
def test_a_recipe_that_cannot_train_is_told(recipe, output):
    with pytest.raises(Failure, match=output):
        expect_recipe(recipe, "crop_frames")


def test_another_grader_that_makes_the_same_recordings_is_waited_for(monkeypatch):
    monkeypatch.setattr(training, "PAUSE", 0)
    wanted = []

    def make():
        wanted.append(None)
        if len(wanted) == 1:
            raise OSError("Directory not empty")
        return "made"

    assert training._patiently(make) == "made"
    with pytest.raises(OSError, match="no space"):
        training._patiently(lambda: (_ for _ in ()).throw(OSError("no space")))

"""Ideas for recordings of people: folds without the test, clips that are made, clips that move."""

import importlib
from pathlib import Path

import pytest
import torch

from kws.data.listing import read_listing
from kws.data.own_words import speaker_of

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module("people")


@pytest.fixture(scope="module")
def folds(script, tiny_corpus, tmp_path_factory):
    """The listing of each fold, with spliced clips in the first."""
    work = tmp_path_factory.mktemp("folds")
    for fold in range(script.FOLDS):
        add = None if fold else script.spliced
        script.make_fold(tiny_corpus, fold, work / str(fold), add, work)
    return [read_listing(work / str(fold)) for fold in range(script.FOLDS)]


def names(listing, split):
    pairs = zip(listing.names, listing.splits, strict=True)
    return {name for name, own in pairs if own == split}


def test_every_clip_but_those_of_the_test_is_held_out_once(tiny_corpus, folds):
    held_out = [names(listing, "validation") for listing in folds]
    whole = read_listing(tiny_corpus)
    assert set.union(*held_out) == names(whole, "training") | names(whole, "validation")
    assert sum(map(len, held_out)) == len(set.union(*held_out))
    assert not any(names(listing, "testing") for listing in folds)


def test_no_speaker_is_trained_and_held_out_nor_in_a_clip_that_is_made(folds):
    for listing in folds:
        trained, held = (
            {speaker_of(name) for name in names(listing, split)}
            for split in ("training", "validation")
        )
        assert held
        assert not trained & held


def test_spliced_clips_are_more_other_words_to_learn(folds):
    assert sum(name.startswith("spliced/") for name in names(folds[0], "training")) == 300


def test_a_spliced_clip_begins_as_one_and_ends_as_the_other(script):
    first, second = torch.zeros(2, 1000)
    first[100:300], second[500:701] = 0.5, -0.5  # their middles are 199 and 600
    clip = script.splice(first, second, fade=20)
    assert clip[100:199].eq(0.5).all()
    assert clip[:100].eq(0).all()
    assert (clip[220:300] < 0).all()
    assert clip[310:].eq(0).all()


def test_a_clip_moves_by_whole_samples_and_zeros_follow(script):
    clip = torch.tensor([[1.0, 2, 3, 4]])
    assert script.moved(clip, 1).tolist() == [[0, 1, 2, 3]]
    assert script.moved(clip, -2).tolist() == [[3, 4, 0, 0]]
    assert script.moved(clip, 0).equal(clip)


def test_a_fold_does_not_choose_its_own_bonus(script):
    near = torch.tensor([[0.0, -0.4], [-2.0, 0.0], [0.0, -2.0]])  # needs 0.5 to be all right
    labels = [torch.tensor([1, 1, 0])] * 3
    far = near - torch.tensor([0.0, 0.5])  # would need 1
    given = script.with_bonus([near, near, far], labels)
    assert [(x == y).tolist() for x, y in zip(given, labels, strict=True)] == [
        [True, True, True],
        [True, True, True],
        [False, True, True],
    ]

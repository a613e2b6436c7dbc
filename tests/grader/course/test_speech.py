"""Hidden sentences follow from the seed, are spoken once, and come back in order."""

import importlib
import inspect
import re

import pytest
import torch

from grader.adapters import ASSIGNMENTS
from grader.batch.evaluator import prepare
from grader.core.made_once import add_results, dump_results, names_kept
from grader.core.seed import Seed
from grader.course import trials
from grader.course.hidden import speech
from grader.course.hidden.speech import padded, scores, speaker_utterances


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Two voices instead of a hundred, and nothing spoken before."""
    monkeypatch.setattr(speech, "SPEAKERS", 2)
    monkeypatch.setattr(speech, "UTTERANCES", 1)
    speech.speak.cache_clear()
    yield
    speech.speak.cache_clear()


def test_another_seed_gives_other_sentences_and_what_one_process_has_made_another_need_not_make():
    one, labels = speaker_utterances(Seed("one"))
    other, _ = speaker_utterances(Seed("other"))
    assert labels.tolist() == [0, 1]
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    before = names_kept()
    mels, labels = speaker_utterances(Seed("one"))
    data = dump_results(before)
    speech.speak.cache_clear()
    add_results(data)
    again, same = speech.speak.kept[Seed("one").number("hidden utterances"),]
    assert same.tolist() == labels.tolist()
    assert all(torch.equal(a, b) for a, b in zip(mels, again, strict=True))
    assert len(dump_results(names_kept())) < len(data)


@pytest.mark.parametrize("number", ["03", "04"])
def test_what_is_prepared_is_not_spoken_again(number, monkeypatch):
    prepare(number, Seed("one"))
    monkeypatch.setattr(speech, "speak_again", None)
    assert len(speaker_utterances(Seed("one"))[0]) == 2


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_what_the_checks_need_is_made_before_a_job_is_forked(number, monkeypatch):
    checks = importlib.import_module(f"grader.course.{ASSIGNMENTS[number].folder}.test_checks")
    needed = re.findall(r"from (grader\.course\.hidden\.\w+) import", inspect.getsource(checks))
    assert [checks.PREPARE.__module__] == needed if needed else not hasattr(checks, "PREPARE")
    made, loaded = [], []
    monkeypatch.setattr(trials, "expected_results", lambda trial, _: loaded.append(trial.number))
    monkeypatch.setattr(checks, "PREPARE", made.append, raising=False)
    secret = Seed("one")
    prepare(number, secret)
    assert made == [secret]
    assert set(loaded) == {number}


def test_padding_is_silence_and_the_mask_says_where():
    mel, valid = padded([torch.ones(2, 3), torch.ones(5, 3)])
    assert valid.sum(dim=1).tolist() == [2, 5]
    assert (mel[~valid] == -20).all()
    assert (mel[valid] == 1).all()


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_scores_come_back_in_the_order_of_the_utterances(batch):
    mels = [torch.full((n, 1), float(n)) for n in (7, 3, 5)]

    def model(mel, valid):
        return torch.stack([mel[:, 0, 0], valid.sum(dim=1)], dim=1)

    assert scores(model, mels, 2, batch).tolist() == [[7, 7], [3, 3], [5, 5]]

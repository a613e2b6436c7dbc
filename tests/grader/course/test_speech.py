"""Hidden sentences follow from the seed, are spoken once, and come back in order."""

import re

import pytest
import torch

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.batch.evaluator import prepare
from grader.core.seed import Seed
from grader.course import trials
from grader.course.hidden import clean_clips, digits, keywords, speech, synthesized
from grader.course.hidden.speech import padded, scores, speaker_utterances


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Two voices instead of a hundred, and nothing spoken before."""
    monkeypatch.setattr(speech, "SPEAKERS", 2)
    monkeypatch.setattr(speech, "UTTERANCES", 1)
    speech.speak.cache_clear()
    yield
    speech.speak.cache_clear()


def test_another_seed_gives_other_sentences():
    one, labels = speaker_utterances(Seed("one"))
    other, _ = speaker_utterances(Seed("other"))
    assert labels.tolist() == [0, 1]
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("number", ["03", "04"])
def test_what_is_prepared_is_not_spoken_again(number, monkeypatch):
    prepare(number, Seed("one"))
    monkeypatch.setattr(speech, "speak_again", None)
    assert len(speaker_utterances(Seed("one"))[0]) == 2


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_what_the_checks_need_is_made_before_a_job_is_forked(number, monkeypatch):
    made, loaded = [], []
    monkeypatch.setattr(trials, "expected_results", lambda trial, _: loaded.append(trial.number))
    monkeypatch.setattr(speech, "speaker_utterances", lambda seed: made.append("speech"))
    monkeypatch.setattr(keywords, "word_clips", lambda seed: made.append("keywords"))
    monkeypatch.setattr(keywords, "german_clips", lambda seed: made.append("keywords"))
    monkeypatch.setattr(digits, "spoken_strings", lambda seed: made.append("digits"))
    monkeypatch.setattr(clean_clips, "hidden_clips", lambda seed: made.append("clean_clips"))
    monkeypatch.setattr(clean_clips, "judge", lambda: None)
    monkeypatch.setattr(synthesized, "prepare", lambda seed: made.append("synthesized"))
    prepare(number, Seed("one"))
    checks = ROOT / "grader" / "course" / ASSIGNMENTS[number].folder / "test_checks.py"
    imported = re.findall(r"from grader\.course\.hidden\.(\w+) import", checks.read_text())
    assert made == imported
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

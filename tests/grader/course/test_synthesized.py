"""What a text-to-speech model is asked, and what its answers are worth."""

import pytest
import torch

from grader.core.seed import Seed
from grader.course.hidden import synthesized
from grader.course.hidden.synthesized import answered, duration_error, secret_phrases
from grader.grading.feedback import Failure
from kws.data.embedded.phrases import phrase_words
from kws.data.protocols import V2_WORDS


@pytest.fixture(scope="module")
def few():
    """Some secret phrases; the others cost time."""
    return synthesized.phrases_of(7)


def parrot(texts, frames_off: int = 0):
    """A model that knows texts by heart, all durations so many frames off."""

    def model(phonemes, valid, durations=None, pace=1.0):
        row = next(i for i, one in enumerate(texts.phonemes) if torch.equal(one, phonemes[0]))
        logs = (texts.durations[row].clamp(min=1) + frames_off + 1.0).log()[None]
        mel = texts.mels[row][None]
        return mel, torch.ones(mel.shape[:2]).bool(), logs

    return model


def test_phrases_follow_from_the_secret_and_are_of_held_out_words():
    texts = [phrase.text for phrase in secret_phrases(Seed("one")).phrases]
    assert texts == [phrase.text for phrase in secret_phrases(Seed("one")).phrases]
    assert texts != [phrase.text for phrase in secret_phrases(Seed("two")).phrases]
    assert {word for text in texts for word in text.split()} <= {*phrase_words()["testing"]}


def test_durations_of_the_engine_are_right_and_others_as_far_off_as_they_are(few):
    exact = duration_error(parrot(few), few)
    assert exact < 0.1  # some phonemes last no frame, and are said to last one
    assert duration_error(parrot(few, 3), few) == pytest.approx(exact + 3, abs=0.1)


def test_words_are_counted_at_each_pace(monkeypatch):
    words = synthesized.keywords()
    monkeypatch.setattr(synthesized, "listener", lambda **_: None)
    monkeypatch.setattr(synthesized, "recognize", lambda _, waves: [*V2_WORDS[:-1], "babble"])
    monkeypatch.setattr(synthesized, "vocode", lambda mel: torch.zeros(len(mel)))
    measured, wrong = synthesized.recognized_words(parrot(words))
    assert (measured.correct, measured.n) == (3 * 34, 105)
    assert wrong == [f"{V2_WORDS[-1]} as babble"] * 3


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "three tensors"),
        ((torch.zeros(1, 5, 64), torch.ones(1, 5)), "three tensors"),
        ((torch.zeros(1, 5, 63), torch.ones(1, 5), torch.zeros(1, 3)), "log-mels"),
        ((torch.zeros(1, 5, 64), torch.ones(1, 5), torch.zeros(1, 4)), "ln"),
        ((torch.zeros(1, 5, 64), torch.ones(5), torch.zeros(1, 3)), "valid frames"),
        ((torch.zeros(1, 5, 64) / 0, torch.ones(1, 5), torch.zeros(1, 3)), "NaN"),
    ],
)
def test_an_answer_of_another_form_is_told(answer, why):
    with pytest.raises(Failure, match=why):
        answered(lambda *_, **__: answer, torch.zeros(1, 3, 2), torch.ones(1, 3).bool())

"""Hidden keywords: new for each seed, and in an order that tells nothing."""

import pytest
import torch

from grader.core.seed import Seed
from grader.course.hidden import keywords
from grader.course.hidden.keywords import GERMAN, N_MELS, PROTOCOL, german_clips, word_clips

CLASSES = len(PROTOCOL.labels)


@pytest.fixture(scope="module", autouse=True)
def drawn():
    """The clips and labels of two seeds, spoken by few voices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keywords, "SPEAKERS", 10)
        keywords.speak.cache_clear()
        yield word_clips(Seed("one")), word_clips(Seed("other"))
        keywords.speak.cache_clear()
        keywords.speak_german.cache_clear()


def test_every_clip_is_a_spectrogram_with_a_label(drawn):
    for mel, labels in drawn:
        assert mel.shape == (len(labels), mel.shape[1], N_MELS)
        assert mel.isfinite().all()
        assert set(labels.tolist()) == set(range(CLASSES))


def test_the_same_seed_says_the_same_and_another_says_it_with_other_voices(drawn):
    (mel, labels), (other, other_labels) = drawn
    keywords.speak.cache_clear()
    again, labels_again = word_clips(Seed("one"))
    assert torch.equal(mel, again)
    assert torch.equal(labels, labels_again)
    silence = PROTOCOL.labels.index("_silence_")  # which may be digital, and so the same
    mel, other = mel[labels != silence], other[other_labels != silence]
    assert not torch.isclose(mel[:, None], other[None, :20]).all(-1).all(-1).any()


def test_the_place_of_a_clip_does_not_tell_its_word(drawn):
    """What one seed's order says of another's labels, and of the next label, is near chance."""
    (_, labels), (_, other) = drawn
    size = min(len(labels), len(other))
    assert (labels[:size] == other[:size]).double().mean() < 2.5 / CLASSES
    assert (labels[1:] == labels[:-1]).double().mean() < 2.5 / CLASSES


def test_every_speaker_says_each_german_word_once():
    mel, labels = german_clips(Seed("one"))
    voices, words = keywords.SPEAKERS, len(GERMAN.labels)
    assert mel.shape == (voices * words, 101, N_MELS)
    assert labels.bincount().tolist() == [voices] * words
    assert (labels[1:] == labels[:-1]).double().mean() < 2.5 / words

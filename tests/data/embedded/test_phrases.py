"""Phrases of one voice: what is said when, to the frame."""

import numpy as np
import pytest
import torch

from kws.audio.features import log_mel
from kws.data.durations import frames_of
from kws.data.embedded.phrases import (
    SILENCE,
    SYMBOLS,
    Phoneme,
    numbers_of,
    phrase_texts,
    phrase_words,
    speak_phrases,
)
from kws.data.protocols import V2_WORDS
from kws.errors import UsageError

TEXTS = ["happy garden", "Seven, three!", "42"]


@pytest.fixture(scope="module")
def phrases():
    return speak_phrases(TEXTS)


def test_the_same_texts_are_the_same_bytes_in_order_between_silences(phrases):
    for phrase in phrases:
        assert phrase.phonemes[0] == phrase.phonemes[-1] == Phoneme(SILENCE, 0)
        assert phrase.starts[0] == 0.0
        assert list(phrase.starts) == sorted(phrase.starts)
        assert phrase.starts[-1] < len(phrase.waveform) / 16_000
        assert max(one.stress for one in phrase.phonemes) == 2
    assert [one.symbol for one in phrases[0].phonemes[1:4]] == ["h", "a", "p"]
    for one, again in zip(phrases, speak_phrases(TEXTS), strict=True):
        assert one.phonemes == again.phonemes
        assert np.array_equal(one.waveform, again.waveform)


def test_durations_sum_to_the_frames_and_one_boundary_moves_two(phrases):
    for phrase in phrases:
        mel = log_mel(torch.from_numpy(phrase.waveform)[None])[0]
        starts = torch.tensor(phrase.starts[1:], dtype=torch.float64)
        durations = frames_of(starts, len(mel))
        assert len(durations) == len(phrase.phonemes)
        assert durations.sum() == len(mel)
        assert (durations >= 0).all()
        ends = durations.cumsum(0)[:-1]
        assert ((ends / 100 - starts).abs() <= 0.005 + 1e-9).all()  # half a frame
    before = frames_of(torch.tensor([0.1, 0.3, 0.5]), 80)
    after = frames_of(torch.tensor([0.1, 0.36, 0.5]), 80)
    assert (after - before).tolist() == [0, 6, -6, 0]


@pytest.mark.parametrize("starts", [[0.3, 0.1], [-0.1, 0.1], [0.1, 0.9]])
def test_starts_out_of_order_or_of_the_recording_are_refused(starts):
    with pytest.raises(UsageError, match="start"):
        frames_of(torch.tensor(starts), 80)


def test_training_and_testing_phrases_share_no_word_and_have_no_keyword():
    words = phrase_words()
    assert not {*words["training"]} & {*words["testing"]}
    assert not {*words["training"], *words["testing"]} & {*V2_WORDS}
    texts = phrase_texts(50, "testing")
    assert texts == phrase_texts(50, "testing") != phrase_texts(50, "testing", seed=1)
    assert {word for text in texts for word in text.split()} <= {*words["testing"]}
    assert {len(text.split()) for text in texts} == {1, 2, 3}


def test_the_symbols_are_those_of_all_words_and_no_others():
    words = phrase_words()
    output = speak_phrases([*words["training"], *words["testing"], *V2_WORDS])
    found = {one.symbol for phrase in output for one in phrase.phonemes}
    assert found <= {*SYMBOLS}
    assert len({*SYMBOLS} - found) <= 2  # some sounds are heard between words only
    assert numbers_of(output[0].phonemes, "").shape == (len(output[0].phonemes), 2)
    with pytest.raises(UsageError, match="was not in the training"):
        numbers_of([Phoneme("x", 0)], "loch")


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "empty"), (" ", "empty"), ("...", "no word"), ("日本", "cannot be"), ("a\0", "said")],
)
def test_what_cannot_be_said_is_refused(text, why):
    with pytest.raises(UsageError, match=why):
        speak_phrases([text])

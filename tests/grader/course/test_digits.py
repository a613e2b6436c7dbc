"""Hidden strings of digits: new for each seed; what a model writes is counted here."""

import pytest
import torch

from grader.core.outcomes import Record
from grader.core.seed import Seed
from grader.course.hidden import digits
from grader.course.hidden.digits import ALPHABET, N_MELS, SYMBOLS, spoken_strings, written_by
from grader.grading.feedback import Failure
from kws.data.embedded.strings import DIGITS
from kws.text.alphabet import EOS


@pytest.fixture(scope="module", autouse=True)
def drawn():
    """The strings of two seeds, spoken by few voices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "SPEAKERS", 10)
        patch.setattr(digits, "STRINGS", 1)
        digits.speak.cache_clear()
        yield spoken_strings(Seed("one")), spoken_strings(Seed("other"))
        digits.speak.cache_clear()


class Speller:
    """In place of a remote model: writes one text for every utterance."""

    def __init__(self, text: str) -> None:
        self.letters = [*ALPHABET.encode(text).tolist(), EOS]

    def __call__(self, mel, valid, symbols):
        logits = torch.zeros(*symbols.shape, SYMBOLS)
        logits[:, -1, self.letters[min(symbols.shape[1], len(self.letters)) - 1]] = 1
        return logits, torch.zeros(len(mel), 1, SYMBOLS)


def test_every_string_is_a_spectrogram_with_two_to_five_digits(drawn):
    for strings in drawn:
        assert all(mel.shape[1] == N_MELS and mel.isfinite().all() for mel in strings.mels)
        words = [text.split() for text in strings.texts]
        assert all(2 <= len(each) <= 5 and set(each) <= set(DIGITS) for each in words)


def test_a_seed_says_the_same_again_and_another_says_it_with_other_voices(drawn):
    one, other = drawn
    assert not {row.speaker for row in one.rows} & {row.speaker for row in other.rows}
    digits.speak.cache_clear()
    again = spoken_strings(Seed("one"))
    assert again.texts == one.texts
    assert all(map(torch.equal, again.mels, one.mels))


def test_what_is_written_is_counted_by_words(drawn):
    record = Record()
    written = written_by(Speller("nine nine"), drawn[0])
    assert written == ["nine nine"] * len(drawn[0])
    output = ["nine nine", "nine one", "six"]
    measured = digits.word_accuracy(record, output, written[:3])
    assert (measured.correct, measured.n) == (2, 5)  # one and six substituted, one inserted
    assert "2 S, 0 D, 1 I of 5 words" in dict(record.facts)["word errors"]
    measured = digits.word_accuracy(Record(), ["one"], ["two two two"])
    assert (measured.correct, measured.n) == (0, 1)


@pytest.mark.parametrize("spoilt", [lambda pair: pair[0], lambda pair: (pair[0][0], pair[1])])
def test_another_form_of_output_is_told(spoilt, drawn):
    right = Speller("nine")
    with pytest.raises(Failure, match=r"does not return two tensors|logits"):
        written_by(lambda *inputs: spoilt(right(*inputs)), drawn[0])

"""Letters as numbers and back."""

import pytest

from kws.errors import UsageError
from kws.text.alphabet import BLANK, EOS, SOS, Alphabet


def test_a_text_comes_back_and_unknown_symbols_or_doubled_letters_are_refused():
    alphabet = Alphabet.of(["seven three", "one"])
    symbols = alphabet.encode("three one").tolist()
    assert alphabet.decode([SOS, *symbols, EOS, BLANK]) == "three one"
    assert min(symbols) > max(BLANK, SOS, EOS)
    assert len(alphabet) == 3 + len(set("seven three one"))
    with pytest.raises(UsageError, match="symbol 9 is not one of 0 … 8"):
        Alphabet.of(["one two"]).decode([9])
    with pytest.raises(UsageError, match="'a'"):
        Alphabet(("a", "b", "a"))


@pytest.mark.parametrize(("text", "words"), [("", "empty"), ("  ", "empty"), ("zero", "no 'z'")])
def test_a_text_that_cannot_be_spelled_is_refused(text, words):
    with pytest.raises(UsageError, match=words):
        Alphabet.of(["one two"]).encode(text)

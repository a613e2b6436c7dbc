"""Texts as numbers: the symbols that a speech recognizer writes with.

0      blank, which only CTC writes: no symbol here
1, 2   start and end of a text, which only the decoder reads and writes
3 …    the letters, and the space between two words, in alphabetical order
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from kws.errors import UsageError

BLANK, SOS, EOS = 0, 1, 2
SPECIAL_LABELS = ("<blank>", "<start>", "<end>")
SPECIAL = len(SPECIAL_LABELS)  # numbers before the letters


@dataclass(frozen=True)
class Alphabet:
    """Letters, each once; `Alphabet.of(texts)` has those that occur."""

    letters: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse letters that could not be distinguished."""
        for letter in self.letters:
            if len(letter) != 1 or self.letters.count(letter) > 1:
                raise UsageError(
                    f"the alphabet contains {letter!r}: name single letters, each once"
                )

    @staticmethod
    def of(texts: Iterable[str]) -> "Alphabet":
        """The letters of these texts, in order.

        >>> Alphabet.of(["two one"]).letters
        (' ', 'e', 'n', 'o', 't', 'w')
        """
        return Alphabet(tuple(sorted({letter for text in texts for letter in text})))

    def __len__(self) -> int:
        """How many symbols there are, blank, start and end among them."""
        return SPECIAL + len(self.letters)

    def encode(self, text: str) -> Int[Tensor, "U"]:
        """The numbers of a text's letters.

        >>> Alphabet.of(["two one"]).encode("one").tolist()
        [6, 5, 4]

        Raises:
            UsageError: the text is empty, or holds a letter that the alphabet lacks.
        """
        if not text.strip():
            raise UsageError("an empty text cannot be learned: leave the utterance out")
        for letter in text:
            if letter not in self.letters:
                known = "".join(self.letters)
                raise UsageError(
                    f"the alphabet has no {letter!r}, which is in {text!r}: it has {known!r}: "
                    "respell the text, or train with a larger alphabet"
                )
        return torch.tensor([SPECIAL + self.letters.index(letter) for letter in text])

    def decode(self, symbols: Sequence[int] | Int[Tensor, "U"]) -> str:
        """The text of these numbers; blank, start and end are left out.

        >>> Alphabet.of(["two one"]).decode([1, 7, 8, 6, 2])
        'two'

        Raises:
            UsageError: a number that no symbol has.
        """
        letters = []
        for symbol in (int(symbol) for symbol in symbols):
            if not 0 <= symbol < len(self):
                raise UsageError(f"symbol {symbol} is not one of 0 … {len(self) - 1}")
            if symbol >= SPECIAL:
                letters.append(self.letters[symbol - SPECIAL])
        return "".join(letters)

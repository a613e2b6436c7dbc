"""Formulas as they are printed: "4 d² + 9 d + 2 d f + f" with d = 256 and f = 512 is 527,104.

sum      = product { ("+" | "-") product }
product  = factor { factor }                      a space multiplies
factor   = (number | name | "(" sum ")") ["²"]
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TOKEN = re.compile(r"\s*(\d+|[A-Za-z][A-Za-z0-9_]*|[-+()²])")


@dataclass(frozen=True)
class Formula:
    """A formula and the numbers in it.

    >>> layer = Formula("L (4 d² + 9 d + 2 d f + f)", {"L": 4, "d": 256, "f": 512})
    >>> layer.value
    2108416
    """

    text: str
    values: Mapping[str, int]

    @property
    def value(self) -> int:
        """What it comes to.

        Raises:
            ValueError: if the text is no formula, or a name in it has no value.
        """
        tokens = list(tokenize(self.text))
        value = _sum(tokens, self.values)
        if tokens:
            raise ValueError(f"{self.text!r}: {tokens[0]!r} is left over")
        return value

    def __add__(self, other: "Formula") -> "Formula":
        """The sum of two formulas; a name that both have must have one value."""
        for name in self.values.keys() & other.values.keys():
            if self.values[name] != other.values[name]:
                raise ValueError(f"{name} is {self.values[name]} and {other.values[name]}")
        return Formula(f"{self.text} + {other.text}", {**self.values, **other.values})


def tokenize(text: str) -> Iterator[str]:
    """Split a formula into numbers, names and signs; ValueError for anything else.

    >>> list(tokenize("2 d² + f"))
    ['2', 'd', '²', '+', 'f']
    """
    text, start = text.rstrip(), 0
    while start < len(text):
        match = TOKEN.match(text, start)
        if match is None:
            raise ValueError(f"{text!r}: {text[start:]!r} is no part of a formula")
        yield match[1]
        start = match.end()


def _sum(tokens: list[str], values: Mapping[str, int]) -> int:
    total = _product(tokens, values)
    while tokens and tokens[0] in "+-":
        sign = 1 if tokens.pop(0) == "+" else -1
        total += sign * _product(tokens, values)
    return total


def _product(tokens: list[str], values: Mapping[str, int]) -> int:
    factors = [_factor(tokens, values)]
    while tokens and tokens[0] not in "+-)":
        factors.append(_factor(tokens, values))
    return math.prod(factors)


def _factor(tokens: list[str], values: Mapping[str, int]) -> int:
    token = tokens.pop(0) if tokens else "the end"
    if token == "(":
        factor = _sum(tokens, values)
        if not tokens or tokens.pop(0) != ")":
            raise ValueError("a bracket is not closed")
    elif token.isdecimal():
        factor = int(token)
    elif token in values:
        factor = values[token]
    else:
        raise ValueError(f"{token!r} has no value")
    if tokens and tokens[0] == "²":
        tokens.pop(0)
        return factor**2
    return factor

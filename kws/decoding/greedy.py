"""The most probable next symbol, again and again.

A `step` is all that a search knows of a model: (texts so far) -> logits of the next symbol.

Shape letters: B texts   U symbols so far   V symbols
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kws.errors import UsageError

Step = Callable[[Int[Tensor, "B U"]], Float[Tensor, "B V"]]


def greedy(step: Step, batch: int, *, sos: int, eos: int, longest: int) -> list[list[int]]:
    """`batch` texts, each up to its first end or `longest` symbols, without start and end.

    Raises UsageError if `longest` is below 1.
    """
    check_longest(longest)
    symbols = torch.full((batch, 1), sos)
    ended = torch.zeros(batch, dtype=torch.bool)
    for _ in range(longest):
        # an ended text goes on with ends, for any logits of the model
        chosen = step(symbols).argmax(dim=-1).masked_fill(ended, eos)
        symbols = torch.cat([symbols, chosen[:, None]], dim=1)
        ended |= chosen == eos
        if ended.all():
            break
    texts = symbols[:, 1:].tolist()
    return [text[: text.index(eos)] if eos in text else text for text in texts]


def check_longest(longest: int) -> None:
    """Raise UsageError unless something may be written."""
    if longest < 1:
        raise UsageError(f"longest={longest} leaves no symbol to write: choose 1 or more")

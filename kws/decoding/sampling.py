"""Drawing the next symbol by its probability, and a sequence of them.

Sources: temperature, Ackley, Hinton & Sejnowski 1985 (https://doi.org/10.1207/s15516709cog0901_7);
top-k, Fan, Lewis & Dauphin 2018, section 4 (https://arxiv.org/abs/1805.04833).

Shape letters: B sequences   U symbols so far   V symbols
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kws.errors import UsageError


def probabilities(
    logits: Float[Tensor, "*B V"], temperature: float = 1.0, top_k: int | None = None
) -> Float[Tensor, "*B V"]:
    """softmax(logits / temperature) over the `top_k` largest logits, all others 0; None is all.

    A low temperature sharpens, a high one flattens. Of equal logits at the limit all stay. Raises
    UsageError: if the temperature is not above 0, or top_k not from 1 to V.
    """
    if not temperature > 0:
        raise UsageError(
            f"temperature={temperature} must be above 0: for the most probable choose top_k=1"
        )
    size = logits.shape[-1]
    if top_k is not None and not 1 <= top_k <= size:
        raise UsageError(f"top_k={top_k} of {size} symbols: choose 1 to {size}")
    if top_k is not None:
        least = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    # the largest first becomes 0: a temperature near 0 must not overflow
    return ((logits - logits.amax(dim=-1, keepdim=True)) / temperature).softmax(dim=-1)


def sample(
    step: Callable[[Int[Tensor, "B U"]], Float[Tensor, "B V"]],
    batch: int,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "B length"]:
    """`batch` sequences, drawn a symbol at a time; `step` gives logits for those so far.

    Raises UsageError: as `probabilities`, and if the length is below 1.
    """
    if length < 1:
        raise UsageError(f"length={length} leaves no symbol to draw: choose 1 or more")
    drawn = torch.zeros(batch, 0, dtype=torch.long)
    for _ in range(length):
        p = probabilities(step(drawn), temperature, top_k)
        drawn = torch.cat([drawn, torch.multinomial(p, 1, generator=generator)], dim=1)
    return drawn

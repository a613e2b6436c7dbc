"""A few clips of each class, each from another speaker: how a new language often begins."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from kws.errors import UsageError


def few_shot_rows(
    labels: Int[Tensor, "n"], speakers: Sequence[str], k: int, generator: torch.Generator
) -> Int[Tensor, "rows"]:
    """Rows of `k` clips of each class, drawn so that no speaker says a class twice; sorted.

    >>> labels, speakers = torch.tensor([0, 0, 1, 1]), ["ada", "ada", "ada", "bob"]
    >>> few_shot_rows(labels, speakers, 1, torch.Generator().manual_seed(0)).shape
    torch.Size([2])

    Raises:
        UsageError: a class has fewer than `k` speakers.
    """
    if k < 1:
        raise UsageError(f"k={k} clips of each class: give 1 or more")
    rows: list[int] = []
    for label in labels.unique().tolist():
        own = (labels == label).nonzero()[:, 0]
        mixed: list[int] = own[torch.randperm(len(own), generator=generator)].tolist()
        first: dict[str, int] = {}  # the first drawn clip of each speaker
        for row in mixed:
            first.setdefault(speakers[row], row)
        if len(first) < k:
            raise UsageError(
                f"class {label} has clips of {len(first)} speakers, and {k} were asked for: "
                "take fewer, or record more people"
            )
        rows += list(first.values())[:k]
    return torch.tensor(sorted(rows))

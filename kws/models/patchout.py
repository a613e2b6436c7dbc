"""Patchout: train on some of the tokens, evaluate on all.

Source: Koutini et al. 2022, "Efficient Training of Audio Transformers with Patchout" (PaSST),
section 2.2 (https://arxiv.org/abs/2110.05069). Attention is quadratic in the tokens; those that
are left carry their positions, which therefore have to be added before. One draw holds for the
whole batch, so that it stays a tensor. Its other ways to save time: patches that do not overlap
(PaSST-N), which are a stride as long as the patch, and fewer layers (PaSST-L), `every_other`.
"""

import torch
from jaxtyping import Int
from torch import Tensor, nn


def draw_kept(
    size: int, dropped: int, generator: torch.Generator | None = None
) -> Int[Tensor, "kept"]:
    """Draw the places to keep, sorted, of `size` without `dropped`. ValueError if none is left."""
    if not 0 <= dropped < size:
        raise ValueError(f"patchout of {dropped} from {size} leaves nothing: drop fewer")
    return torch.randperm(size, generator=generator)[dropped:].sort().values


def every_other(layers: nn.ModuleList) -> nn.ModuleList:
    """Layers 1, 3, 5 … of a trained stack and the last, the same objects: 12 become 7."""
    last = len(layers) - 1
    return nn.ModuleList(layer for i, layer in enumerate(layers) if i % 2 == 0 or i == last)

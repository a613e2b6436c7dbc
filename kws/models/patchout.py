"""Patchout: train on some of the tokens, evaluate on all.

Source: Koutini et al. 2022, "Efficient Training of Audio Transformers with Patchout" (PaSST),
section 2.2 (https://arxiv.org/abs/2110.05069). Attention is quadratic in the tokens; those that
are left carry their positions, which therefore have to be added before. One draw holds for the
whole batch, so that it stays a tensor.
"""

import torch
from jaxtyping import Int
from torch import Tensor


def draw_kept(
    size: int, dropped: int, generator: torch.Generator | None = None
) -> Int[Tensor, "kept"]:
    """Which of `size` places stay, in their order, when `dropped` are drawn without replacement.

    Raises:
        ValueError: if none would stay.
    """
    if not 0 <= dropped < size:
        raise ValueError(f"patchout of {dropped} from {size} leaves nothing: drop fewer")
    return torch.randperm(size, generator=generator)[dropped:].sort().values

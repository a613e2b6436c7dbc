"""Gradient descent on a loss of one's own, for what no recipe trains.

from descent import descend
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from tqdm import trange

from kws.training.schedule import cosine_warmup


def descend(
    model: nn.Module,
    draw_loss: Callable[[], Tensor],
    steps: int,
    *,
    rate: float,
    warmup: int,
    desc: str,
) -> None:
    """AdamW for so many steps, each with a new loss; the rate warms up and decays as a cosine."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    for step in trange(steps, desc=desc, leave=False, disable=None):
        share = cosine_warmup(step, warmup_steps=min(warmup, steps // 2), total_steps=steps)
        optimizer.param_groups[0]["lr"] = rate * share
        optimizer.zero_grad()
        draw_loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

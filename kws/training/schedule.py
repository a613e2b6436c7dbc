"""Learning-rate schedules: pure functions of the optimizer step, counted from 0.

Each returns the multiplier of the base learning rate at that step. None starts at zero: a first
step that changes nothing is a wasted step. Plot them, test them, or hand them to `LambdaLR`.

Source: linear warm-up and half a cosine as in Loshchilov and Hutter 2017, "SGDR", section 3
(https://arxiv.org/abs/1608.03983), without restarts. With a warm-up, equal to transformers'
`get_cosine_schedule_with_warmup` one step later, as its own begins at zero.
"""

import math


def cosine_warmup(step: int, *, warmup_steps: int, total_steps: int) -> float:
    """Rise in equal parts to 1 at the last warm-up step, then fall along half a cosine to 0.

    The first step (0) gets 1 / warmup_steps, step `warmup_steps - 1` gets exactly 1, and the last
    step, `total_steps - 1`, gets exactly 0, as does every later one. No warm-up is the same as one
    step of it: the first step gets 1.

    >>> [round(cosine_warmup(s, warmup_steps=2, total_steps=6), 2) for s in range(6)]
    [0.5, 1.0, 0.85, 0.5, 0.15, 0.0]

    Raises:
        ValueError: unless 0 <= warmup_steps < total_steps, and step >= 0.
    """
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(
            f"warmup_steps={warmup_steps} is not between 0 and total_steps={total_steps}"
        )
    check_step(step)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    peak, last = max(warmup_steps, 1) - 1, total_steps - 1
    progress = min(1.0, (step - peak) / (last - peak)) if step > peak else 0.0
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def step_decay(step: int, *, step_size: int, gamma: float = 0.1) -> float:
    """Multiply by `gamma` after every `step_size` steps, as `torch.optim.lr_scheduler.StepLR`.

    Steps 0 … step_size - 1 get 1, step `step_size` is the first to get `gamma`.

    >>> [round(step_decay(s, step_size=2), 3) for s in range(5)]
    [1.0, 1.0, 0.1, 0.1, 0.01]

    Raises:
        ValueError: if step_size is not positive, or step is negative.
    """
    if step_size < 1:
        raise ValueError(f"step_size={step_size} is not positive")
    check_step(step)
    return gamma ** (step // step_size)


def constant(step: int) -> float:
    """The base learning rate at every step.

    >>> constant(0), constant(10**6)
    (1.0, 1.0)
    """
    check_step(step)
    return 1.0


def check_step(step: int) -> None:
    """Steps are counted from 0. Raises ValueError if step is negative."""
    if step < 0:
        raise ValueError(f"step={step} is negative: the first step is 0")

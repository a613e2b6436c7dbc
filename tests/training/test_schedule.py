"""Schedules: their values at the first step, the end of warm-up and the last step."""

import math

import pytest
import torch

from kws.training.schedule import constant, cosine_warmup, step_decay
from tests.tolerances import SAME_SUMS

WARMUP, TOTAL = 7, 31


def cosine(step, **changes):
    return cosine_warmup(step, **{"warmup_steps": WARMUP, "total_steps": TOTAL} | changes)


@pytest.mark.parametrize("total_steps", [1, 2, 31])
def test_no_schedule_starts_at_zero(total_steps):
    for warmup_steps in range(total_steps):
        assert cosine(0, warmup_steps=warmup_steps, total_steps=total_steps) > 0
    assert step_decay(0, step_size=1) == constant(0) == 1


def test_cosine_is_the_usual_formula_one_step_later_and_ends_at_zero():
    """transformers.get_cosine_schedule_with_warmup, whose first step has learning rate zero."""

    def usual(step):
        if step < WARMUP:
            return step / WARMUP
        return max(
            0.0, 0.5 * (1 + math.cos(math.pi * 2 * 0.5 * (step - WARMUP) / (TOTAL - WARMUP)))
        )

    ours, theirs = [cosine(s) for s in range(TOTAL)], [usual(s + 1) for s in range(TOTAL)]
    assert ours == pytest.approx(theirs, abs=SAME_SUMS)
    without = [cosine(s, warmup_steps=0) for s in range(TOTAL)]
    assert without == [cosine(s, warmup_steps=1) for s in range(TOTAL)]
    assert cosine(TOTAL - 2) > 0
    assert cosine(TOTAL - 1) == 0
    assert cosine(TOTAL + 100) == 0
    assert cosine(WARMUP - 1 + (TOTAL - WARMUP) // 2) == pytest.approx(0.5)  # half way


def test_step_decay_equals_torch_and_bad_steps_are_refused():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)
    for step in range(11):
        assert schedule.get_last_lr()[0] == 2.0 * step_decay(step, step_size=3, gamma=0.5)
        optimizer.step()
        schedule.step()
    for schedule in (cosine, constant, lambda s: step_decay(s, step_size=2)):
        with pytest.raises(ValueError, match="step=-1 is negative"):
            schedule(-1)
    with pytest.raises(ValueError, match="step_size=0"):
        step_decay(0, step_size=0)


@pytest.mark.parametrize(("warmup_steps", "total_steps"), [(-1, 5), (5, 5), (6, 5), (0, 0)])
def test_cosine_refuses_a_warmup_that_fills_the_run(warmup_steps, total_steps):
    with pytest.raises(ValueError, match=f"={warmup_steps} is not between 0 and .*={total_steps}"):
        cosine_warmup(0, warmup_steps=warmup_steps, total_steps=total_steps)

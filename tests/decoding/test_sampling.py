"""Sampling: as often as the probabilities say, and never what is cut off."""

import math

import pytest
import torch

from kws.decoding.sampling import probabilities, sample
from kws.errors import UsageError

LOGITS = torch.tensor([[0.3, 2.0, -1.0, 1.2, 1.9]])


def test_temperature_sharpens_and_flattens_and_top_k_keeps_the_proportions_of_the_largest():
    torch.testing.assert_close(probabilities(LOGITS), LOGITS.softmax(-1))
    torch.testing.assert_close(
        probabilities(LOGITS, 0.5), LOGITS.softmax(-1).square() / LOGITS.softmax(-1).square().sum()
    )
    torch.testing.assert_close(probabilities(LOGITS, 1e-30), torch.eye(5)[1:2])
    torch.testing.assert_close(probabilities(LOGITS, 1e9), torch.full((1, 5), 0.2))
    p, every = probabilities(LOGITS, 1.0, 2), LOGITS.softmax(-1)
    assert (p > 0).tolist() == [[False, True, False, False, True]]
    assert p.sum().item() == pytest.approx(1)
    assert (p[0, 1] / p[0, 4]).item() == pytest.approx((every[0, 1] / every[0, 4]).item())
    torch.testing.assert_close(probabilities(LOGITS, 1.0, 5), every)
    torch.testing.assert_close(probabilities(LOGITS, 7.0, 1), torch.eye(5)[1:2])


def test_symbols_are_drawn_as_often_as_is_probable():
    n = 20_000
    drawn = sample(
        lambda so_far: LOGITS.expand(len(so_far), -1),
        n,
        1,
        temperature=2.0,
        top_k=3,
        generator=torch.Generator().manual_seed(0),
    )
    p = probabilities(LOGITS, 2.0, 3)[0]
    gap = (drawn[:, 0].bincount(minlength=5) - n * p).abs()
    assert (gap <= 5 * (n * p * (1 - p)).sqrt()).all()


def test_a_seed_fixes_the_draw_and_each_symbol_follows_from_those_before_it():
    def draw(seed: int) -> torch.Tensor:
        step = torch.zeros(4, 9)
        return sample(lambda _: step, 4, 5, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))

    def counting(so_far: torch.Tensor) -> torch.Tensor:
        """The next number, for certain."""
        return 100 * torch.eye(6)[so_far.sum(1) % 2 + so_far.shape[1]]

    assert sample(counting, 3, 4).tolist() == [[0, 1, 3, 3]] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"temperature": t}, "must be above 0: for the most") for t in (0.0, -1.0, math.nan)),
        *(({"top_k": k}, f"top_k={k} of 5 symbols: choose 1 to 5") for k in (0, -2, 6)),
        ({"length": 0}, "length=0 leaves no symbol to draw"),
    ],
)
def test_what_leaves_nothing_to_draw_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        sample(lambda _: LOGITS, 1, **{"length": 1, **options})

"""Positions in two dimensions: what a place has of its row and column, and tables resized."""

import pytest
import torch
import torch.nn.functional as F

from kws.models.positions_2d import GridPositions, SplitPositions, cut_middle, resize, sinusoids_2d
from tests.tolerances import SAME_SUMS


def table_of(positions) -> torch.Tensor:
    """What it adds at each place."""
    zeros = torch.zeros(1, 8, 3, 5)
    return positions(zeros)[0]


@pytest.mark.parametrize("sizes", [(3, 5, 7, 11), (7, 11, 3, 5), (24, 24, 12, 101), (1, 5, 4, 1)])
def test_resize_is_torch_s_bilinear_interpolation(sizes, float64):
    f, t, f2, t2 = sizes
    table = torch.randn(4, f, t)
    theirs = F.interpolate(table[None], (f2, t2), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(resize(table, (f2, t2)), theirs, rtol=0, atol=SAME_SUMS)


def test_resizing_aligns_the_middles_of_cells_and_keeps_what_is_the_same(float64):
    table = torch.randn(4, 3, 5)
    assert torch.equal(resize(table, (3, 5)), table)
    torch.testing.assert_close(
        resize(torch.full((2, 3, 5), 7.0), (8, 2)), torch.full((2, 8, 2), 7.0)
    )
    table = torch.tensor([[[0.0, 4.0]]])
    assert resize(table, (1, 4)).tolist() == [[[0.0, 1.0, 3.0, 4.0]]]
    with pytest.raises(ValueError, match="cannot have 0 places"):
        resize(torch.zeros(2, 3, 5), (3, 0))
    with pytest.raises(ValueError, match="d_model=6 is not divisible by 4"):
        sinusoids_2d(2, 3, 6)


def test_the_middle_is_cut_out():
    table = torch.arange(101.0).expand(2, 12, 101)
    assert cut_middle(table, (12, 12))[0, 0].tolist() == list(range(44, 56))
    with pytest.raises(ValueError, match=r"\(3, 5\) places have no middle of \(3, 6\)"):
        cut_middle(torch.zeros(2, 3, 5), (3, 6))


def test_half_of_the_sinusoids_know_the_row_and_half_the_column_on_any_grid():
    table = sinusoids_2d(3, 5, 8)
    assert table.shape == (8, 3, 5)
    assert torch.equal(table[:4], table[:4, :, :1].expand(4, 3, 5))
    assert torch.equal(table[4:], table[4:, :1].expand(4, 3, 5))
    flat = table.flatten(1).mT
    assert torch.cdist(flat, flat).fill_diagonal_(9).min() > 0.1, "two places look alike"
    coarse, fine = sinusoids_2d(4, 24, 16), sinusoids_2d(12, 72, 16)
    # sines of float32 angles: an angle of 16 is right to 1e-6
    torch.testing.assert_close(fine[:, 1::3, 1::3], coarse, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("kind", "count"), [(GridPositions, 8 * 3 * 5), (SplitPositions, 8 * 8)])
def test_a_table_has_its_parameters_and_the_first_columns_for_a_shorter_clip(kind, count):
    positions = kind(8, 3, 5)
    assert sum(p.numel() for p in positions.parameters()) == count
    whole = table_of(positions)
    assert torch.equal(positions(torch.zeros(1, 8, 2, 4))[0], whole[:, :2, :4])
    for grid in ((3, 6), (4, 5)):
        with pytest.raises(ValueError, match=r"tokens, but positions were made for 3 x 5: shorten"):
            positions(torch.zeros(1, 8, *grid))


def test_split_positions_are_a_row_plus_a_column(float64):
    x = table_of(SplitPositions(8, 3, 5))
    crossed = x[:, 0, 1] - x[:, 0, 4] - x[:, 2, 1] + x[:, 2, 4]
    torch.testing.assert_close(crossed, torch.zeros(8))
    assert x.flatten(1).mT.unique(dim=0).shape == (15, 8)

"""Positions of patches: tables over bands and time, and their interpolation to other sizes.

Sources: Gong et al. 2021, section 2.2 (https://arxiv.org/abs/2104.01778), a vector for each place
of the grid, interpolated for another grid; Koutini et al. 2022, "PaSST", section 2
(https://arxiv.org/abs/2110.05069), one vector for the band row plus one for the time column.
Parity of `resize`: `F.interpolate(mode="bilinear", align_corners=False)`, float64, 1e-12.

Shape letters: B batch   D model width   f rows (bands)   t columns (time)
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kws.models.positional import sinusoids

TURNS = (8.0, 24.0)  # positions of a whole axis, bands and time, in the angles of sinusoids
SCALE = 0.5  # of the sinusoids, beside tokens of deviation near 0.5


def sinusoids_2d(rows: int, columns: int, d_model: int) -> Float[Tensor, "D f t"]:
    """Half of the features encode the band row, half the time column.

    Places are shares of the whole axis (the middle of a patch), so a finer grid over the same clip
    has the same vector at the same place. Raises ValueError if `d_model` is not divisible by 4:
    two axes, of sines and cosines.
    """
    if d_model % 4:
        raise ValueError(f"d_model={d_model} is not divisible by 4: two axes of sines and cosines")
    by_row, by_column = (
        sinusoids((torch.arange(size) + 0.5) / size * turns, d_model // 2).T
        for size, turns in zip((rows, columns), TURNS, strict=True)
    )
    grid = (d_model // 2, rows, columns)
    return SCALE * torch.cat([by_row[:, :, None].expand(grid), by_column[:, None].expand(grid)])


def resize(table: Float[Tensor, "D f t"], size: tuple[int, int]) -> Float[Tensor, "D f2 t2"]:
    """Bilinear: each new place averages the two nearest old ones of each axis.

    The middle of new cell i lies at (i + 1/2) n / m - 1/2 among n old middles, for m new ones; what
    lies outside of them takes the outermost. Raises ValueError for a size below 1.
    """
    rows, columns = (
        _between(old, new, table) for old, new in zip(table.shape[1:], size, strict=True)
    )
    return rows @ table @ columns.mT


def _between(old: int, new: int, like: Tensor) -> Float[Tensor, "new old"]:
    """How much of each old place is in each new one."""
    if new < 1:
        raise ValueError(f"a table of positions cannot have {new} places: give 1 or more")
    exact = like.new_ones(()).double()  # float32 would move a place by some 1e-7
    place = ((torch.arange(new).to(exact) + 0.5) * (old / new) - 0.5).clamp(0, old - 1)
    return (1 - (place[:, None] - torch.arange(old).to(exact)).abs()).clamp(min=0).to(like)


def cut_middle(table: Float[Tensor, "D f t"], size: tuple[int, int]) -> Float[Tensor, "D f2 t2"]:
    """The middle of a table, as AST cuts it for shorter clips. ValueError: smaller than `size`."""
    starts = [(old - new) // 2 for old, new in zip(table.shape[1:], size, strict=True)]
    if min(starts) < 0:
        raise ValueError(
            f"{tuple(table.shape[1:])} places have no middle of {size}: resize the table instead"
        )
    return table[:, starts[0] : starts[0] + size[0], starts[1] : starts[1] + size[1]]


class GridPositions(nn.Module):
    """Add a learned vector for each place of the grid: D f t parameters, begun as sinusoids.

    Args:
        d_model: width of a token.
        rows: band rows of the grid.
        columns: time columns of the longest input.
    """

    def __init__(self, d_model: int, rows: int, columns: int):
        super().__init__()
        self.table = nn.Parameter(sinusoids_2d(rows, columns, d_model))

    def forward(self, x: Float[Tensor, "B D f t"]) -> Float[Tensor, "B D f t"]:
        """x plus the position of each token. ValueError: the grid is larger than the table."""
        _require(x, *self.table.shape[1:])
        return x + self.table[:, : x.shape[2], : x.shape[3]]


class SplitPositions(nn.Module):
    """Add a learned vector for the band row and one for the time column: D (f + t) parameters.

    A table for each axis can be cut or lengthened by itself. Drawn from N(0, 0.02²).

    Args:
        d_model: width of a token.
        rows: band rows of the grid.
        columns: time columns of the longest input.
    """

    def __init__(self, d_model: int, rows: int, columns: int):
        super().__init__()
        self.by_row = nn.Parameter(0.02 * torch.randn(d_model, rows))
        self.by_column = nn.Parameter(0.02 * torch.randn(d_model, columns))

    def forward(self, x: Float[Tensor, "B D f t"]) -> Float[Tensor, "B D f t"]:
        """x plus the positions of row and column. ValueError: the grid exceeds the tables."""
        _require(x, self.by_row.shape[1], self.by_column.shape[1])
        return x + self.by_row[:, : x.shape[2], None] + self.by_column[:, None, : x.shape[3]]


def _require(x: Tensor, rows: int, columns: int) -> None:
    if x.shape[2] > rows or x.shape[3] > columns:
        raise ValueError(
            f"{x.shape[2]} x {x.shape[3]} tokens, but positions were made for {rows} x {columns}: "
            "shorten the clips, or resize the table"
        )

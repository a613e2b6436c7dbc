# %% [markdown]
# # 6. The spectrogram as an image
#
# **You will build** an Audio Spectrogram Transformer (AST): a spectrogram is cut into patches like
# an image, every patch is a token, and positions have two dimensions. You will count what overlap
# costs and what dropping tokens saves; and you will carry a pretrained model over to another grid
# of patches, and to another language of which you have ten clips a word, three, or one.
# **You need** notebooks 2 and 5; encoder layer and sinusoids come with the package.
# **Time** about five hours; the notebook itself runs in three to five minutes, without a GPU.
#
# Shape letters: `B` batch, `T` frames, `F` mel bands, `D` model width, `E` feed-forward width, `C`
# classes; a grid of patches has `f` rows (bands) and `t` columns (time), `N` = f · t tokens; a
# patch has `P` pixels.
#
# Sources: Gong et al. 2021, *AST*, <https://arxiv.org/abs/2104.01778>; Koutini et al. 2022,
# *PaSST*, <https://arxiv.org/abs/2110.05069>.

# %% tags=["export"]
import torch
import torch.nn.functional as F
from torch import nn

from kws.features import log_mel
from kws.models.positional import sinusoids
from kws.models.transformer import EncoderLayer

BANDS, FRAMES = 64, 101  # one second, a frame every 10 ms
_ = torch.manual_seed(0)

# %%
import time

import matplotlib.pyplot as plt
from safetensors.torch import save_file
from tqdm import tqdm

from kws.audio import SAMPLE_RATE
from kws.checking import check, check_accuracy, check_values, expect_close, expect_equal
from kws.data.embedded.corpus import make_corpus
from kws.data.speech_commands import load_speech_commands
from kws.device import back_on_cpu, choose_device, device_of
from kws.files import cache_dir
from kws.metrics import Proportion
from kws.protocols import GERMAN_WORDS
from kws.training.schedule import cosine_warmup

device = choose_device()  # a GPU where there is one; KWS_DEVICE=cpu keeps it on the CPU
print("trained on:", device)

# %% [markdown]
# ## 6.1 Patches
#
# Until now a token was a frame, or a point of a feature map. AST takes the spectrogram for what it
# looks like: an image. A window of 16 bands × 16 frames moves over it in steps of 10, the *stride*.
# Where the stride is smaller than the patch, patches overlap. Neither axis is padded, so along an
# axis of length $n$ there are $\lfloor (n - p) / s \rfloor + 1$ patches of length $p$ at stride
# $s$.
#
# **Before you go on:** AST reads 128 bands × 1,024 frames. How many patches does it have, and how
# many would it have without overlap, at stride 16?
#
# <details><summary>An answer</summary>
#
# $\lfloor 112 / 10 \rfloor + 1 = 12$ rows and $\lfloor 1008 / 10 \rfloor + 1 = 101$ columns: 1,212
# patches. Without overlap $8 \cdot 64 = 512$. (You can read "12 × 100", which is rounded.
# PaSST has 998 frames, and 12 × 99 patches.)
#
# </details>
#
# **Contract.** `count_patches(bands, frames, patch, stride)`: two whole numbers, two pairs (bands,
# frames) → the pair (f, t); a ValueError if no patch fits. `cut_patches(mel, patch, stride)`: mel
# (B, T, F) → (B, N, P), the patches of the lowest band row first, in time; in a patch, band after
# band. Any tensor operation, `Tensor.unfold` too, so that gradients reach `mel`; not `F.unfold` or
# `nn.Unfold`.


# %% tags=["export"]
def count_patches(bands, frames, patch, stride):
    """(f, t), rows and columns of the grid of patches. ValueError if no patch fits."""
    # BEGIN SOLUTION 6.1
    #: Raise a ValueError if there are fewer bands or frames than in a patch.
    if bands < patch[0] or frames < patch[1]:
        raise ValueError(f"no patch of {patch} in {bands} x {frames}")
    #: Of an axis of n, (n - p) // s + 1.
    return (bands - patch[0]) // stride[0] + 1, (frames - patch[1]) // stride[1] + 1
    # END SOLUTION


def cut_patches(mel, patch, stride):
    """mel (B, T, F) -> (B, N, P): band row by band row; in a patch, band after band."""
    # BEGIN SOLUTION 6.1
    #: Transpose to an image (B, F, T): bands are rows, frames are columns.
    image = mel.mT
    #: x.unfold(axis, size, step) cuts windows along an axis: rows first, then columns.
    image = image.unfold(1, patch[0], stride[0]).unfold(2, patch[1], stride[1])
    #: (B, f, t, bands, frames): join the last two axes to P pixels, those before to N patches.
    return image.flatten(3).flatten(1, 2)
    # END SOLUTION


# %% tags=["check"]
with check("6.1-patches-by-hand", "AST has 12 x 101 patches, and a small image the right four"):
    suspects = {
        "patches begin every stride, not every (patch - stride)": (19, 169),
        "the axis is not padded: (n - p) // s + 1": (13, 103),
    }
    grid = count_patches(128, 1024, (16, 16), (10, 10))
    expect_equal("count_patches(128, 1024, (16, 16), (10, 10))", tuple(grid), (12, 101), suspects)
    image = torch.arange(12.0).reshape(1, 3, 4).mT  # 3 bands of 4 frames: 0 1 2 3 / 4 5 6 7 / ...
    rows = [[0.0, 1, 4, 5], [2, 3, 6, 7], [4, 5, 8, 9], [6, 7, 10, 11]]
    swapped = [[[0.0, 4, 1, 5], [2, 6, 3, 7], [4, 8, 5, 9], [6, 10, 7, 11]]]
    suspects = {"in a patch, band after band": torch.tensor(swapped)}
    cut = cut_patches(image, (2, 2), (1, 2))
    expect_close("cut_patches(image, (2, 2), (1, 2))", cut, [rows], suspects)
check_values("6.1-count-values", count_patches)
check_values("6.1-patches-values", cut_patches)

# %% [markdown]
# A sweep from 200 to 7,000 Hz as the small model of this notebook sees it: patches of 32 bands × 8
# frames. Short clips need good resolution in time: with 16 × 16 patches of one second the same
# model reached only 48 % after 400 steps, when we tried it.

# %%
seconds = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
sweep = log_mel(torch.sin(6.28 * (200 + 3400 * seconds) * seconds)[None], n_mels=BANDS)
figure, panels = plt.subplots(1, 2, figsize=(9, 2.9), layout="constrained", sharey=True)
for axes, stride in zip(panels, ((32, 8), (22, 5)), strict=True):
    axes.imshow(sweep[0].T.numpy(), origin="lower", aspect="auto", cmap="cividis")
    f, t = count_patches(BANDS, FRAMES, (32, 8), stride)
    for patch in range(f * t):
        corner = (patch % t * stride[1] - 0.5, patch // t * stride[0] - 0.5)
        box = plt.Rectangle(corner, 8, 32, fill=False, edgecolor="w", linewidth=0.8)
        axes.add_patch(box)
    axes.set(title=f"stride {stride}: {f} × {t} patches", xlabel="frame (10 ms)")
_ = panels[0].set(ylabel="mel band")

# %% [markdown]
# **Think:** in the left picture the last five frames are in no patch; in the right one three, and
# the ten highest bands. Does it matter?
#
# <details><summary>An answer</summary>
#
# The frames hardly: a clip of a word mostly ends in silence. Where it does, pad the clip with
# silence until the last patch is whole. What must not happen is that in a batch of longer clips a
# clip has other patches than alone; here it cannot, because patches are counted from the beginning.
# The ten bands are the hiss of an "s": a stride of 32 would have kept them.
#
# </details>
#
# ## 6.2 Patch embedding
#
# One linear layer turns each patch of $P$ pixels into a token of $D$ numbers: $PD + D$ parameters,
# the same for all patches. A linear layer that moves over an image in steps is a convolution, whose
# kernel is as large as the patch. So there are two ways to write it, with one result.
#
# **Before you go on:** AST took the weights of this layer from an image model, which has three
# channels (red, green, blue) where a spectrogram has one. What would you do with the three kernels?
#
# <details><summary>An answer</summary>
#
# Add them. A gray image, as a spectrogram is one, has the same number in all three channels, so the
# sum of the kernels answers as the three did together. (AST's code does that; the mean, with three
# times the input, would be the same.)
#
# </details>
#
# **Contract.** `PatchEmbedding(d_model, patch, stride)`; `forward(mel)`: mel (B, T, F) → (B, D, f,
# t). Use `nn.Conv2d`, or your `cut_patches` and `nn.Linear`. Known weights come in through
# `load_patches`.


# %% tags=["export"]
class PatchEmbedding(nn.Module):
    """mel (B, T, F) -> a token for each patch, on its grid (B, D, f, t)."""

    def __init__(self, d_model, patch, stride):
        super().__init__()
        # BEGIN SOLUTION 6.2
        #: self.project: an nn.Conv2d from one channel to D, the patch its kernel, and the stride.
        self.project = nn.Conv2d(1, d_model, patch, stride)
        # END SOLUTION

    def forward(self, mel):
        # BEGIN SOLUTION 6.2
        #: Reshape mel to one channel (B, 1, F, T), bands as rows, and convolve it.
        return self.project(mel.mT[:, None])
        # END SOLUTION


# %% tags=["export"]
def load_patches(module, weights):
    """Copy known weights into the embedding; change it if yours is arranged in another way.

    weight (D, P), its pixels in the order of `cut_patches`; bias (D,).
    """
    with torch.no_grad():
        for name, own in module.project.named_parameters():
            own.copy_(weights[name].reshape(own.shape))


# %% tags=["check"]
with check("6.2-embedding-by-hand", "a kernel with a single 1 picks one pixel of each patch"):
    image = torch.arange(12.0).reshape(1, 3, 4).mT
    embed = PatchEmbedding(1, (2, 2), (1, 2))
    load_patches(embed, {"weight": torch.tensor([[0.0, 1, 0, 0]]), "bias": torch.zeros(1)})
    picked = [[[[1.0, 3], [5, 7]]]]  # pixel 1 of a patch: its lower band, its later frame
    suspects = {"bands are the rows of the image": torch.tensor([[[[4.0, 6], [5, 7]]]])}
    expect_close("embed(image)", embed(image), picked, suspects)
check_values("6.2-embedding-count", PatchEmbedding)
check_values("6.2-embedding-values", PatchEmbedding, load_patches)

# %% [markdown]
# ## 6.3 Where
#
# Attention does not know where a patch stands. AST has a **table** (D, f, t), a learned vector for
# each place of the grid, added to the tokens. PaSST splits it: a vector for the **row** plus one
# for the **column**, so that either axis can be cut or lengthened by itself.
#
# AST's table begins with that of an image model. Ours begins with sinusoids (notebook 2) in two
# dimensions: half of the features for the row, half for the column. A place is a share of the whole
# axis, the middle of its row or column: $(i + \frac12) / f \cdot 8$ and $(j + \frac12) / t \cdot
# 24$. So a finer grid over the same clip has the same vector at the same place.
#
# **Before you go on:** how many parameters do the two have for AST's grid, with $D = 768$?
#
# <details><summary>An answer</summary>
#
# The table $768 \cdot 12 \cdot 101 = 930{,}816$; split, $768 \cdot (12 + 101) = 86{,}784$.
#
# </details>
#
# **Contract.** `sinusoids_2d(rows, columns, d_model)` → (D, f, t), from the package's `sinusoids`.
# `GridPositions(d_model, rows, columns)`, which begins with them, and `SplitPositions(d_model,
# rows, columns)`, with small random numbers; `forward(x)` of both: x (B, D, f, t) → x with its
# positions added. A smaller grid takes the first rows and columns; for a larger one it is a
# ValueError. Known weights come in through `load_positions`.


# %% tags=["export"]
def sinusoids_2d(rows, columns, d_model):
    """(D, f, t): half of the features say which row, half which column; half as large as usual."""
    # BEGIN SOLUTION 6.3
    #: sinusoids(places, D / 2) is (places, D / 2): transpose it, and repeat it over the other axis.
    by_row = sinusoids((torch.arange(rows) + 0.5) / rows * 8, d_model // 2)
    by_row = by_row.T[:, :, None].expand(-1, -1, columns)
    #: The same for the columns.
    by_column = sinusoids((torch.arange(columns) + 0.5) / columns * 24, d_model // 2)
    by_column = by_column.T[:, None].expand(-1, rows, -1)
    #: Rows first, then columns; times 0.5.
    return 0.5 * torch.cat([by_row, by_column])
    # END SOLUTION


class GridPositions(nn.Module):
    """x (B, D, f, t) plus a learned vector for each place."""

    def __init__(self, d_model, rows, columns):
        super().__init__()
        # BEGIN SOLUTION 6.3
        #: self.table: a parameter (D, rows, columns), which begins with sinusoids_2d.
        self.table = nn.Parameter(sinusoids_2d(rows, columns, d_model))
        # END SOLUTION

    def forward(self, x):
        # BEGIN SOLUTION 6.3
        f, t = x.shape[2:]
        _, rows, columns = self.table.shape
        #: Raise a ValueError if x has more rows or columns than the table.
        if f > rows or t > columns:
            raise ValueError(f"{f} x {t} tokens, {rows} x {columns} positions")
        #: Add the first f rows and t columns of the table.
        return x + self.table[:, :f, :t]
        # END SOLUTION


class SplitPositions(nn.Module):
    """x (B, D, f, t) plus a learned vector for its row, plus one for its column."""

    def __init__(self, d_model, rows, columns):
        super().__init__()
        # BEGIN SOLUTION 6.3
        #: self.by_row (D, rows) and self.by_column (D, columns), parameters: 0.02 times normal.
        self.by_row = nn.Parameter(0.02 * torch.randn(d_model, rows))
        self.by_column = nn.Parameter(0.02 * torch.randn(d_model, columns))
        # END SOLUTION

    def forward(self, x):
        # BEGIN SOLUTION 6.3
        f, t = x.shape[2:]
        #: Raise a ValueError if x has more rows or columns than there are vectors.
        if f > self.by_row.shape[1] or t > self.by_column.shape[1]:
            raise ValueError(f"{f} x {t} tokens, and fewer positions")
        #: Add both.
        return x + self.by_row[:, :f, None] + self.by_column[:, None, :t]
        # END SOLUTION


# %% tags=["export"]
def load_positions(module, weights):
    """Copy known weights in: table (D, f, t), or by_row (D, f) and by_column (D, t)."""
    with torch.no_grad():
        for name, weight in weights.items():
            getattr(module, name).copy_(weight)


# %% tags=["check"]
with check("6.3-positions-by-hand", "two rows and two columns of positions"):
    split = SplitPositions(1, rows=2, columns=2)
    weights = {"by_row": torch.tensor([[10.0, 20]]), "by_column": torch.tensor([[1.0, 2]])}
    load_positions(split, weights)
    added = split(torch.zeros(1, 1, 2, 2))
    suspects = {"rows are bands, columns are time": torch.tensor([[[[11.0, 21], [12, 22]]]])}
    expect_close("split(zeros)", added, [[[[11.0, 12], [21, 22]]]], suspects)
    places = torch.tensor([2.0, 6.0])  # the middles of two rows: 1/4 and 3/4 of 8
    rows = 0.5 * torch.stack([places.sin(), places.cos()])
    suspects = {"the middle of a row, (i + 1/2) / rows": 0.5 * torch.tensor([[0.0, 1], [1.0, 1]])}
    expect_close("the rows of sinusoids_2d(2, 3, 4)", sinusoids_2d(2, 3, 4)[:2, :, 0], rows)
check_values("6.3-sinusoids-values", sinusoids_2d)
check_values("6.3-positions-values", GridPositions, SplitPositions, load_positions)
check_values("6.3-positions-count", GridPositions, SplitPositions)

# %% [markdown]
# How similar is each place of AST's grid to one of them? (The cosine of the angle between vectors.)

# %%
table = sinusoids_2d(12, 101, 96)
similar = F.cosine_similarity(table, table[:, 4:5, 30:31], dim=0)
figure, axes = plt.subplots(figsize=(9, 2.2), layout="constrained")
drawn = axes.imshow(similar, origin="lower", aspect="auto", cmap="cividis")
axes.plot(30, 4, "r+", markersize=12)
axes.set(xlabel="column (time)", ylabel="row (bands)", title="similarity with the place at the +")
_ = figure.colorbar(drawn, label="cosine")

# %% [markdown]
# **Think:** take four tokens at the corners of a rectangle, and only their split positions: what is
# the first minus the second minus the third plus the fourth? What can split positions not say?
#
# <details><summary>An answer</summary>
#
# Zero: $(r_1 + c_1) - (r_1 + c_2) - (r_2 + c_1) + (r_2 + c_2)$. They cannot say anything about a
# place that is not the sum of something about its row and something about its column, for example
# "in the last column high bands are noise". Attention can combine the two later.
#
# </details>
#
# ## 6.4 Another size
#
# A pretrained table has the grid of its training. AST begins with a table of 24 × 24 places of an
# image model, and needs 12 × 101. Where the new axis is shorter its code **cuts the middle out**;
# where it is longer it **interpolates**, linearly between neighbors.
#
# Each cell is a share of the axis, with a middle. In units of old cells, the middle of the new cell
# $i$ lies at $(i + \frac12) \cdot \mathrm{old} / \mathrm{new} - \frac12$. Beyond the outermost old
# middles there is nothing to interpolate: the place is clamped to $0 \ldots \mathrm{old} - 1$. Old
# cell $j$ then counts with weight $1 - |\mathrm{place} - j|$, and not at all where that is
# negative.
#
# **Before you go on:** 0 and 4 are the values of two cells. What are those of four?
#
# <details><summary>An answer</summary>
#
# The middles lie at −¼, ¼, ¾ and 1¼; clamped, 0, ¼, ¾, 1. So 0, 1, 3, 4. (Whoever aligns corners
# and not cells gets 0, 1.33, 2.67, 4, a common mistake.)
#
# </details>
#
# **Contract.** `linear_weights(old, new)`, whole numbers → (new, old) float, rows that sum to 1.
# `resize(table, size)`: (D, f, t), a pair → (D, *size). `cut_middle(table, size)` the same, for a
# size that is nowhere larger; of an odd number of cells left over, one more is cut at the end. Any
# tensor operation; no interpolation of a library (`F.interpolate`, `nn.Upsample`, `F.grid_sample`).


# %% tags=["export"]
def linear_weights(old, new):
    """(new, old): how much of each old cell is in each new one."""
    # BEGIN SOLUTION 6.4
    #: The places of the new middles among the old cells, clamped to 0 ... old - 1.
    places = ((torch.arange(new) + 0.5) * old / new - 0.5).clamp(0, old - 1)
    #: Weight 1 - |place - j| for each old cell j, at least 0.
    return (1 - (places[:, None] - torch.arange(old)).abs()).clamp(min=0)
    # END SOLUTION


def resize(table, size):
    """(D, f, t) -> (D, *size), interpolated linearly along both axes."""
    # BEGIN SOLUTION 6.4
    #: The weights of the rows, and those of the columns.
    rows = linear_weights(table.shape[1], size[0])
    columns = linear_weights(table.shape[2], size[1])
    #: Multiply the table by the first from the left, by the second, transposed, from the right.
    return rows @ table @ columns.T
    # END SOLUTION


def cut_middle(table, size):
    """(D, f, t) -> (D, *size), the cells in the middle."""
    # BEGIN SOLUTION 6.4
    #: Half of what is left over, rounded down, is cut from the beginning of each axis.
    top, left = (table.shape[1] - size[0]) // 2, (table.shape[2] - size[1]) // 2
    return table[:, top : top + size[0], left : left + size[1]]
    # END SOLUTION


# %% tags=["check"]
with check("6.4-resize-by-hand", "two cells become 0, 1, 3, 4"):
    two = torch.tensor([[[0.0, 4.0]]])
    suspects = {
        "cells are aligned, not corners": torch.tensor([[[0.0, 4 / 3, 8 / 3, 4]]]),
        "the nearest cell? Neighbors are mixed": torch.tensor([[[0.0, 0, 4, 4]]]),
        "half a cell: (i + 1/2) * old / new - 1/2": torch.tensor([[[0.0, 2, 4, 4]]]),
    }
    expect_close("resize(two, (1, 4))", resize(two, (1, 4)), [[[0.0, 1, 3, 4]]], suspects)
    five = torch.arange(5.0).reshape(1, 1, 5)
    expect_close("cut_middle(five, (1, 2))", cut_middle(five, (1, 2)), [[[1.0, 2]]])
check_values("6.4-weights-values", linear_weights)
check_values("6.4-resize-values", resize)
check_values("6.4-middle-values", cut_middle)

# %%
coarse = sinusoids_2d(2, 12, 96)
figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
shown = {
    "2 × 12": (coarse, "ko"),
    "bilinear": (resize(coarse, (2, 19)), "C0.-"),
    "cut, from 2 × 26": (cut_middle(sinusoids_2d(2, 26, 96), (2, 19)), "C1.:"),
}
for name, (values, line) in shown.items():
    columns = values.shape[2]
    middles = (torch.arange(columns) + 0.5) / columns
    axes.plot(middles, values[50, 0], line, label=name)
axes.set(xlabel="share of the clip", ylabel="feature 50 of the table", ylim=(-0.6, 0.85))
_ = axes.legend(frameon=False, ncols=3)

# %% [markdown]
# ## 6.5 Patchout
#
# Attention compares every token with every other. PaSST *leaves tokens out* while it trains, other
# ones in each step: **structured**, whole rows and columns of the grid (S), or **unstructured**,
# single tokens (U). In evaluation all are there. One draw holds for the whole batch. Positions are
# added before, so that a token that stays says where it stood.
#
# PaSST drops 4 of 12 rows and 40 of 99 columns: 472 of 1,188 tokens stay. Its authors report, on
# AudioSet, mAP .471 for a single model, .476 with averaged weights and .496 for an ensemble, and
# AST .448, .459 and .485. Fine-tuned, PaSST reaches mAP .843 on instruments (OpenMIC), 96.8 % on
# environmental sounds (ESC-50) and, by variant, 75.6 to 76.3 % on acoustic scenes (DCASE 2020).
#
# **Contract.** `structured(x, rows, columns, generator=None)`: x (B, D, f, t) → (B, D, f − rows, t
# − columns). `unstructured(x, keep, generator=None)`: x (B, N, D) → (B, keep, D). What stays, in
# whatever order, is drawn from `generator` (a `torch.Generator`; None is torch's own), without
# replacement, each place as likely as any other. Any tensor operation.


# %% tags=["export"]
def structured(x, rows, columns, generator=None):
    """x (B, D, f, t) without `rows` rows and `columns` columns."""
    # BEGIN SOLUTION 6.5
    #: torch.randperm(n, generator=generator) mixes 0 ... n - 1: leave the first ones out.
    rows_kept = torch.randperm(x.shape[2], generator=generator)[rows:]
    columns_kept = torch.randperm(x.shape[3], generator=generator)[columns:]
    #: Index the rows, then the columns.
    return x[:, :, rows_kept][:, :, :, columns_kept]
    # END SOLUTION


def unstructured(x, keep, generator=None):
    """`keep` tokens of x (B, N, D)."""
    # BEGIN SOLUTION 6.5
    #: The first `keep` of a random order.
    return x[:, torch.randperm(x.shape[1], generator=generator)[:keep]]
    # END SOLUTION


# %% tags=["check"]
with check("6.5-patchout-by-hand", "so many tokens stay, each of them once"):
    numbered = torch.arange(12.0).reshape(1, 1, 3, 4)
    left = structured(numbered, 1, 2)
    expect_equal("the shape of structured(numbered, 1, 2)", tuple(left.shape), (1, 1, 2, 2))
    apart = (left[0, 0, 0] - left[0, 0, 1]).abs()  # the same columns in both rows
    suspects = {"whole columns: the same in every row": False}
    told = "is a column 4 or 8 apart in two rows?"
    expect_equal(told, set(apart.tolist()) <= {4, 8}, True, suspects)
    kept = unstructured(numbered.flatten(2).mT, 5).flatten()
    expect_equal("different tokens of unstructured(x, 5)", len(kept.unique()), 5)
check_values("6.5-structured-values", structured)
check_values("6.5-unstructured-values", unstructured)
check_values("6.5-patchout-fair", structured, unstructured)

# %%
grid = torch.arange(12 * 99.0).reshape(1, 1, 12, 99)
stays = {
    "structured, 4 rows and 40 columns": structured(grid, 4, 40),
    "unstructured, 472 tokens": unstructured(grid.flatten(2).mT, 472),
}
figure, panels = plt.subplots(2, 1, figsize=(9, 3), layout="constrained", sharex=True)
for axes, (name, left) in zip(panels, stays.items(), strict=True):
    picture = torch.zeros(12 * 99)
    picture[left.flatten().long()] = 1
    axes.imshow(picture.reshape(12, 99), origin="lower", aspect="auto", cmap="cividis")
    axes.set(title=f"{name}: {left.numel()} of 1,188 stay (light)", ylabel="row")
_ = panels[1].set(xlabel="column")

# %% [markdown]
# **Think:** in each step the model sees another 40 % of the clip. What else is that good for,
# besides time?
#
# <details><summary>An answer</summary>
#
# It regularizes, as dropout and SpecAugment do: the model cannot rely on any single place. PaSST
# finds its best results with patchout. (In the few passes over the data that we can afford here,
# this cannot be seen: leaving 22 of 38 tokens took 0.66 of the time per step, and lost 4.6 points
# at equal steps, in one run.)
#
# </details>
#
# ## 6.6 The spectrogram transformer
#
# patches → positions → (in training, structured patchout) → the tokens in one row → class token in
# front → encoder layers → norm → a linear layer on the class token. The layers are *pre-norm* with
# GELU, so there is a norm at the end. AST comes from an image model that has a second token in
# front, the *distillation token*: then the head reads the mean of both, after the norm.
#
# The tokens in front have positions, too: a vector of their own each.
#
# **Before you go on:** with one token, the parameters are
# $PD + D$ (patches) $+ D f t$ (table) $+ 2D$ (token, its position)
# $+ L(4D^2 + 9D + 2DE + E) + 2D$ (norm) $+ DC + C$. What changes with the distillation token?
#
# <details><summary>An answer</summary>
#
# $2D$ more: another token, and its position. The head has the same size, as it reads a mean.
#
# </details>
#
# **Contract.** `SpectrogramTransformer(num_classes, patch, …)`; `forward(mel)`: mel (B, T, F) →
# logits (B, C), no softmax. Use your `PatchEmbedding`, `GridPositions` and `structured`, and the
# package's `EncoderLayer(d_model, num_heads, d_ff, dropout=0.0, activation="gelu",
# norm_first=True)`, not its `TransformerEncoder` or `SpectrogramTransformer`. Its last layer is
# called `head`, its positions `positions.table`: 6.8 needs the names. Known weights come in through
# `load_transformer`. `ast_parameters(num_classes, patch, grid, …)`, whole numbers and pairs of them
# → a whole number, by arithmetic.


# %% tags=["export"]
class SpectrogramTransformer(nn.Module):
    """mel (B, T, F) -> logits (B, C)."""

    def __init__(
        self,
        num_classes,
        patch=(32, 8),
        stride=(32, 8),
        bands=BANDS,
        frames=FRAMES,
        d_model=96,
        num_heads=4,
        d_ff=192,
        num_layers=3,
        distilled=False,
        patchout=(0, 0),
    ):
        super().__init__()
        # BEGIN SOLUTION 6.6
        #: Remember patchout. self.embed and self.positions, for the grid of this clip size.
        self.patchout = patchout
        self.embed = PatchEmbedding(d_model, patch, stride)
        self.positions = GridPositions(d_model, *count_patches(bands, frames, patch, stride))
        #: self.tokens and self.places: parameters (1, D), with distilled (2, D); 0.02 times normal.
        self.tokens = nn.Parameter(0.02 * torch.randn(1 + distilled, d_model))
        self.places = nn.Parameter(0.02 * torch.randn(1 + distilled, d_model))
        #: self.layers: num_layers separate EncoderLayers.
        self.layers = nn.ModuleList(
            EncoderLayer(d_model, num_heads, d_ff, 0.0, activation="gelu", norm_first=True)
            for _ in range(num_layers)
        )
        #: self.norm, an nn.LayerNorm(D), and self.head, a linear layer to the classes.
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, num_classes)
        # END SOLUTION

    def forward(self, mel):
        # BEGIN SOLUTION 6.6
        #: Patches, positions.
        x = self.positions(self.embed(mel))
        #: In training (self.training), structured patchout.
        if self.training:
            x = structured(x, *self.patchout)
        #: The tokens in one row, (B, N, D).
        x = x.flatten(2).mT
        #: The tokens with their places in front, for each clip; then the layers.
        x = torch.cat([(self.tokens + self.places).expand(len(x), -1, -1), x], dim=1)
        for layer in self.layers:
            x = layer(x)
        #: Norm; the mean of the one or two tokens in front; head.
        return self.head(self.norm(x)[:, : len(self.tokens)].mean(dim=1))
        # END SOLUTION


# %% tags=["export"]
def load_transformer(module, weights):
    """Copy known weights into the model; change it if your model is arranged in another way.

    weights["embed"] is for `load_patches`, ["positions"] for `load_positions`, ["layers"] a list
    for the EncoderLayers; ["norm"] and ["head"] have weight and bias; ["tokens"] and ["places"] are
    (1, D), or (2, D) with a distillation token.
    """
    load_patches(module.embed, weights["embed"])
    load_positions(module.positions, weights["positions"])
    load_positions(module, {name: weights[name] for name in ("tokens", "places")})
    for layer, own in zip(module.layers, weights["layers"], strict=True):
        layer.load_state_dict(own)
    module.norm.load_state_dict(weights["norm"])
    module.head.load_state_dict(weights["head"])


def ast_parameters(num_classes, patch, grid, d_model=96, d_ff=192, num_layers=3, distilled=False):
    """Parameters of a `SpectrogramTransformer` with this grid of patches, without building one."""
    # BEGIN SOLUTION 6.6
    #: The linear layer of the patches, and the table of positions.
    patches = patch[0] * patch[1] * d_model + d_model + d_model * grid[0] * grid[1]
    #: One token in front or two, each with its place.
    tokens = 2 * d_model * (1 + distilled)
    #: The encoder layers and the norm.
    layers = num_layers * (4 * d_model**2 + 9 * d_model + 2 * d_model * d_ff + d_ff) + 2 * d_model
    #: Return the sum, the head included.
    return patches + tokens + layers + num_classes * (d_model + 1)
    # END SOLUTION


# %% tags=["check"]
def count(module):
    """The number of trainable parameters; a shared tensor counts once."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


with check("6.6-count-by-hand", "the course's model has 255,107 parameters, and AST 86.6 million"):
    suspects = {
        "is the norm at the end counted?": 255_107 - 192,
        "96 too few: have the tokens in front places? has the norm a bias?": 255_107 - 96,
        "is the table of positions counted?": 255_107 - 96 * 24,
    }
    predicted = ast_parameters(35, (32, 8), (2, 12))
    expect_equal("ast_parameters(35, (32, 8), (2, 12))", predicted, 255_107, suspects)
    built = count(SpectrogramTransformer(35))
    expect_equal("parameters of SpectrogramTransformer(35)", built, 255_107, suspects)
    base = ast_parameters(527, (16, 16), (12, 101), 768, 3072, 12, distilled=True)
    second_norm = 2 * 768  # the published AST has one more, in front of its head
    expect_equal("AST with 527 classes", base + second_norm, 86_594_063)

# %% tags=["check"]
check_values("6.6-parameters-values", ast_parameters)
check_values("6.6-transformer-count", SpectrogramTransformer)
check_values("6.6-transformer-without-layers", SpectrogramTransformer)
check_values("6.6-transformer-values", SpectrogramTransformer, load_transformer)
check_values("6.6-transformer-patchout", SpectrogramTransformer)

# %% [markdown]
# This is AST: `kws.models.ast_weights` (after this assignment) puts the weights that its authors
# published into a model like yours, and it gives their logits to 1e-12.
#
# **Think:** mix the tokens of a clip, behind the positions. Do the logits change? And in front of
# them?
#
# <details><summary>An answer</summary>
#
# Behind them no, up to rounding: attention takes a set of tokens, and each says where it stood.
# That is why patchout may leave them in any order. In front of them yes: the same patches now say
# that they stand elsewhere.
#
# </details>
#
# ## 6.7 Predict the speed-up
#
# How long a step takes follows mostly from its multiplications. In each layer, per token: four
# matrices $D \times D$ (queries, keys, values, output) and two $D \times E$; and twice, for scores
# and for the weighted average, $D$ multiplications for each *pair* of tokens:
#
# $$L \left( N (4D^2 + 2DE) + 2 N^2 D \right)$$
#
# **Contract.** `cost(num_tokens, d_model, d_ff, num_layers)`, whole numbers → a whole number of
# multiplications, for one clip. Arithmetic.


# %% tags=["export"]
def cost(num_tokens, d_model, d_ff, num_layers):
    """Multiplications of the encoder layers for one clip of so many tokens."""
    # BEGIN SOLUTION 6.7
    #: The matrices, which each token is multiplied by.
    matrices = num_tokens * (4 * d_model**2 + 2 * d_model * d_ff)
    #: Attention: scores and averages, each a product for every pair of tokens.
    attention = 2 * num_tokens**2 * d_model
    #: Return the sum, for all layers.
    return num_layers * (matrices + attention)
    # END SOLUTION


# %% tags=["check"]
with check("6.7-cost-by-hand", "three tokens of width 4, by hand"):
    # matrices: 3 tokens * (4 * 16 + 2 * 4 * 5) = 312; pairs: 2 * 9 * 4 = 72
    suspects = {
        "scores and averages: two products for each pair": 312 + 36,
        "is attention counted, too?": 312,
        "a token attends to itself, too: 9 pairs": 312 + 48,
        "is a pair counted once for each of its two tokens?": 312 + 24,
    }
    expect_equal("cost(3, 4, 5, 1)", cost(3, 4, 5, 1), 384, suspects)
    suspects = {"all of it is done in each layer": 4 * 312 + 72}
    expect_equal("cost(3, 4, 5, 4)", cost(3, 4, 5, 4), 1536, suspects)
check_values("6.7-cost-values", cost)

# %% [markdown]
# Now measure: a step of training of the same model with other strides and with patchout, 16 clips a
# batch. All times are relative to the first.

# %%
settings = {
    "stride 16": {"stride": (16, 16)},
    "stride 10": {"stride": (10, 10)},
    "stride 10, patchout": {"stride": (10, 10), "patchout": (1, 4)},
    "stride 6": {"stride": (6, 6)},
    "stride 6, patchout": {"stride": (6, 6), "patchout": (4, 7)},
}
steps, tokens = {}, {}
for name, options in settings.items():
    trial = SpectrogramTransformer(35, (16, 16), num_layers=2, **options).train()
    clips, begin = torch.randn(16, FRAMES, BANDS), None
    for _ in range(4):  # the first one warms up
        begin = begin or (time.process_time() if steps.get(name) else None)
        trial(clips).square().mean().backward()
        steps[name] = steps.get(name, 0) + 1
    steps[name] = (time.process_time() - begin) / 3
    f, t = count_patches(BANDS, FRAMES, (16, 16), options["stride"])
    gone = options.get("patchout", (0, 0))
    tokens[name] = (f - gone[0]) * (t - gone[1]) + 1

# %%
first = next(iter(settings))
predicted = [cost(tokens[n], 96, 192, 2) / cost(tokens[first], 96, 192, 2) for n in settings]
measured = [steps[name] / steps[first] for name in settings]
figure, axes = plt.subplots(figsize=(8, 2.9), layout="constrained")
place = torch.arange(len(settings))
axes.bar(place - 0.2, predicted, 0.4, label="predicted: multiplications")
axes.bar(place + 0.2, measured, 0.4, label="measured: time of a step")
axes.set_xticks(place, [f"{name}\n{tokens[name]} tokens" for name in settings])
axes.set(ylabel=f"relative to {first}")
_ = axes.legend(frameon=False)

# %% [markdown]
# **Think:** attention of PaSST with patchout, 474 tokens for 1,190 (two stand in front), needs 16 %
# of the products of all pairs. Why is a whole step not six times faster?
#
# <details><summary>An answer</summary>
#
# Only the products of pairs fall with the square; the matrices fall with the number of tokens, to
# 40 %. With $D = 768$ and $E = 3072$ the matrices of a token are $4D^2 + 2DE = 7.1$ million
# multiplications, the pairs $2ND = 1.8$ million at $N = 1190$. So a step is about $2.9$ times
# faster, and what is not a product (norms, softmax, reading memory) is on top.
#
# </details>
#
# ## 6.8 Carry over
#
# AST without pretraining reaches mAP .148 on AudioSet's balanced set, .366 on all of it; begun with
# the weights of an image model, .347 and .459. Most of a trained model can go into another one: all
# but the head, which has other classes, and with positions resized if the grid is another one.
#
# `model.load_state_dict(weights, strict=False)` would do most of it, and say nothing of what it
# leaves out: with a typing error in a name, a layer stays random, and you wonder why the model is
# bad. So account for every name.
#
# **Contract.** `carry_over(state, model)`: a state dict, a module whose last layer is `head` → a
# dictionary with the sorted names in `model.state_dict()`: "loaded" (copied), "resized" (a table
# (D, f, t) of the same D, resized), "new" (those that begin with `head.`; they stay). Afterwards
# the model has the weights. A ValueError that contains the name: for a tensor of the model, outside
# of the head, that `state` lacks; for one of `state`, outside of the head, that the model lacks;
# for one of another size that is not such a table. `groups(model, lr, factor)` → a list of two
# dictionaries for an optimizer, first the body: "params", a list, and "lr", which is `factor * lr`
# for the body and `lr` for the head.


# %% tags=["export"]
def carry_over(state, model):
    """Copy all but the head; {"loaded": names, "resized": names, "new": names}."""
    # BEGIN SOLUTION 6.8
    report = {"loaded": [], "resized": [], "new": []}
    #: What model.state_dict() gives shares its memory with the model: copy_ writes into it.
    own = model.state_dict()
    #: Names of state, outside of the head, that the model does not know are a ValueError.
    for name in state:
        if name not in own and not name.startswith("head."):
            raise ValueError(f"{name} is not in the model")
    for name in sorted(own):
        #: The head stays new.
        if name.startswith("head."):
            report["new"].append(name)
        #: A name that state lacks is a ValueError.
        elif name not in state:
            raise ValueError(f"{name} is not in the weights")
        #: What has the same shape is loaded.
        elif state[name].shape == own[name].shape:
            own[name].copy_(state[name])
            report["loaded"].append(name)
        #: A table of three axes, with the same D, is resized; else it is a ValueError.
        elif state[name].ndim == own[name].ndim == 3 and len(state[name]) == len(own[name]):
            own[name].copy_(resize(state[name], own[name].shape[1:]))
            report["resized"].append(name)
        else:
            raise ValueError(f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}")
    return report
    # END SOLUTION


def groups(model, lr, factor):
    """Two groups for an optimizer: the body with the rate factor * lr, the head with lr."""
    # BEGIN SOLUTION 6.8
    #: Parameters by name: those of the head, and all others.
    head = [p for name, p in model.named_parameters() if name.startswith("head.")]
    body = [p for name, p in model.named_parameters() if not name.startswith("head.")]
    return [{"params": body, "lr": factor * lr}, {"params": head, "lr": lr}]
    # END SOLUTION


# %% tags=["check"]
with check("6.8-carry-over-by-hand", "the body comes along, the head stays new"):
    source, target = SpectrogramTransformer(5), SpectrogramTransformer(3, stride=(22, 5))
    report = carry_over(source.state_dict(), target)
    expect_equal('report["new"]', list(report["new"]), ["head.bias", "head.weight"])
    expect_equal('report["resized"]', list(report["resized"]), ["positions.table"])
    ours, theirs = target.positions.table.detach(), source.positions.table.detach()
    expect_close("the new table", ours, resize(theirs, (2, 19)))
    rates = [group["lr"] for group in groups(target, 0.5, 0.25)]
    expect_equal("the two rates", rates, [0.125, 0.5])
check_values("6.8-carry-over-values", carry_over)
check_values("6.8-carry-over-refuses", carry_over)
check_values("6.8-groups-values", groups)

# %% [markdown]
# Now pretrain: 35 English words, 96 voices, one minute. The first run synthesizes the corpus, and
# one of 20 German words by other voices, for section 6.9 (half a minute).


# %% tags=["export"]
def features(waveforms):
    """Waveforms (B, 16000) -> mel (B, 101, 64), each clip with mean 0 and deviation near 1."""
    mel = log_mel(waveforms, n_mels=BANDS)
    mean, deviation = mel.mean((1, 2), keepdim=True), mel.std((1, 2), keepdim=True)
    return (mel - mean) / (deviation + 0.1)


# %%
english = make_corpus(cache_dir() / "course-words", size="mini")
german = make_corpus(
    cache_dir() / "course-german",
    repetitions=1,
    words=GERMAN_WORDS,
    voice="gmw/de",
    noise_seconds=10,
    seed=5,
)
data = {}  # (language, split): mel, labels, speakers
for name, folder in (("embedded-35", english), ("embedded-german", german)):
    for split in ("training", "validation", "testing"):
        clips = load_speech_commands(folder, name, split)
        mel = [features(clips.waveforms(few)) for few in torch.arange(len(clips)).split(256)]
        speakers = [file.split("/")[1][:8] for file in clips.names]
        data[name.split("-")[1], split] = torch.cat(mel), clips.labels, speakers
        print(clips.describe())


# %%
def augmented(mel, generator):
    """Shifted by up to 80 ms, and masked in one span of time and one of frequency."""
    mel = mel.roll(int(torch.randint(-8, 9, (), generator=generator)), dims=1)
    for axis, widest in ((1, 15), (2, 8)):
        place = torch.arange(mel.shape[axis])
        begin = torch.randint(mel.shape[axis], (len(mel), 1), generator=generator)
        width = torch.randint(widest + 1, (len(mel), 1), generator=generator)
        hidden = (place >= begin) & (place < begin + width)
        mel = mel.masked_fill(hidden[:, :, None] if axis == 1 else hidden[:, None], 0)
    return mel


@torch.inference_mode()
def accuracy(model, mel, labels, *_):
    """The share of right predictions, with its interval."""
    model.eval()
    place = device_of(model)
    right = torch.cat([model(few.to(place)).argmax(1).cpu() for few in mel.split(128)]) == labels
    return Proportion(correct=int(right.sum()), n=len(right))


# %%
@back_on_cpu
def fit(model, mel, labels, steps, batch_size, lr, warmup_steps, factor=1.0, seed=0):
    """Train, the body with the rate factor * lr; returns the loss of every step."""
    model.to(device).train()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(groups(model, lr, factor), weight_decay=0.01)
    peaks = [group["lr"] for group in optimizer.param_groups]
    losses = []
    for step in tqdm(range(steps), unit="step", leave=False):
        some = torch.randint(len(labels), (batch_size,), generator=generator)
        share = cosine_warmup(step, warmup_steps=warmup_steps, total_steps=steps)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * share
        batch = augmented(mel[some], generator).to(device)
        loss = F.cross_entropy(model(batch), labels[some].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
PRETRAINING = {"steps": 800, "batch_size": 64, "lr": 3e-3, "warmup_steps": 80}

# %%
torch.manual_seed(0)
pretrained, start = SpectrogramTransformer(35), time.time()
losses = fit(pretrained, *data["35", "training"][:2], **PRETRAINING)
print(
    f"{PRETRAINING['steps']} steps in {time.time() - start:.0f} s, {count(pretrained):,} parameters"
)
print("35 English words, new voices:", accuracy(pretrained, *data["35", "testing"]))

# %% [markdown]
# How much do positions matter, and how they are carried over? The same model on overlapping
# patches, stride 22 × 5: a table of 2 × 19 places, made from that of 2 × 12 in four ways. Nothing
# is trained; the head comes along, since the words are the same.

# %%
table = pretrained.positions.table.detach()
drawn = torch.randn(table.shape[0], 2, 19, generator=torch.Generator().manual_seed(0))
tables = {
    "begun again (random)": drawn * table.std(),
    "the nearest": table[:, :, ((torch.arange(19) + 0.5) * 12 / 19).long()],
    "bilinear": resize(table, (2, 19)),
}
for name, new in tables.items():
    other = SpectrogramTransformer(35, stride=(22, 5))
    carry_over(pretrained.state_dict(), other)
    other.head.load_state_dict(pretrained.head.state_dict())
    with torch.no_grad():
        other.positions.table.copy_(new)
    print(f"{name:20}", accuracy(other, *data["35", "testing"]))

# %% [markdown]
# AST's authors have the same order on AudioSet's balanced set, after training: begun again .305,
# the nearest .346, bilinear .347.
#
# **Think:** why does the model lose so much with 2 × 19 places, even with the best table, although
# every patch has a position at its right place?
#
# <details><summary>An answer</summary>
#
# The last patch of 19 begins at frame 90, that of 12 at frame 88, and the patches in between do not
# lie where a stretched table says, exactly. Above all, attention now averages over 38 tokens where
# it had 24, and each band row has other bands: 22 to 53 in place of 32 to 63. Some steps of
# training on the new grid repair that; after random positions they take longer.
#
# </details>
#
# ## 6.9 Few shots
#
# Twenty German words, and one clip of each, or three, or ten: what people have who want a keyword
# spotter of their own. Each clip of a word is from another speaker; two clips of one voice would
# tell less. With so little data the head needs a high rate, and the body a low one: a body that is
# trained at full rate forgets what it knows.
#
# **Contract.** `few_shot_rows(labels, speakers, k, generator)`: (n,) int64, a list of n names, a
# number, a `torch.Generator` → k rows of each class, whole numbers, drawn from `generator`, in any
# order; no speaker twice in a class. Every class has enough speakers. `small_model(num_classes)` →
# a model for (B, 101, 64) with at most 500,000 parameters, a gradient for each of them. `recipe()`
# → a dictionary: steps (1 to 100,000), batch_size (2 to 1,024), lr (0.000001 to 0.1), warmup_steps
# (from 1 to one less than steps), and factor (0 to 1), for ten clips a word. No weights are loaded
# there: they come from the file that you hand in.


# %% tags=["export"]
def few_shot_rows(labels, speakers, k, generator):
    """k rows of each class, no speaker twice in a class."""
    # BEGIN SOLUTION 6.9
    rows = []
    for label in labels.unique():
        #: The rows of this class, in random order (torch.randperm).
        own = (labels == label).nonzero()[:, 0]
        own = own[torch.randperm(len(own), generator=generator)].tolist()
        #: Keep the first row of each speaker, then the first k.
        first = {}
        for row in own:
            first.setdefault(speakers[row], row)
        rows += list(first.values())[:k]
    return torch.tensor(rows)
    # END SOLUTION


def small_model(num_classes):
    """The model that was pretrained, with a head for so many classes."""
    # BEGIN SOLUTION 6.9
    #: The settings of your pretraining above.
    return SpectrogramTransformer(num_classes)
    # END SOLUTION


def recipe():
    """The arguments of `fit` for ten clips a word."""
    # BEGIN SOLUTION 6.9
    #: About a hundred steps of 40; lr 0.01 for the head, and a factor of 0.02 to 0.1 for the body.
    return {"steps": 90, "batch_size": 40, "lr": 1e-2, "warmup_steps": 9, "factor": 0.05}
    # END SOLUTION


# %% tags=["check"]
with check("6.9-rows-by-hand", "two clips of each word, from two speakers"):
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    speakers = ["ada", "ada", "bob", "ada", "bob", "bob"]
    wanted = [(0, "ada"), (0, "bob"), (1, "ada"), (1, "bob")]
    for seed in range(5):
        rows = few_shot_rows(labels, speakers, 2, torch.Generator().manual_seed(seed))
        said = sorted((int(labels[row]), speakers[row]) for row in rows)
        expect_equal("(word, speaker) of the rows", said, wanted)
check_values("6.9-rows-values", few_shot_rows)
check_values("6.9-rows-fair", few_shot_rows)
check_values("6.9-small-model-learns", small_model)
check_values("6.9-recipe-values", recipe)

# %% [markdown]
# Three ways, with the same clips and the same number of steps: from scratch (with 0.001 for all,
# the better of the rates that we tried), only the head, and your recipe.


# %%
def adapted(k, pretrain, seed=0, **settings):
    """A model for the German words after training on k clips of each."""
    mel, labels, speakers = data["german", "training"]
    rows = few_shot_rows(labels, speakers, k, torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    model = small_model(len(GERMAN_WORDS))
    if pretrain is not None:
        carry_over(pretrain.state_dict(), model)
    fit(model, mel[rows], labels[rows], **recipe() | settings, seed=seed)
    return model


# %%
ways = {
    "from scratch": (None, {"lr": 1e-3, "factor": 1.0}),
    "only the head": (pretrained, {"factor": 0.0}),
    "your recipe": (pretrained, {}),
}
reached = {}
for name, (source, settings) in ways.items():
    for k in (1, 3, 10):
        model = adapted(k, source, **settings)
        reached[name, k] = accuracy(model, *data["german", "testing"])
        print(f"{k:2} clips a word, {name:13}", reached[name, k])
save_file(model.state_dict(), "06_spectrogram_image.safetensors")  # the last: your recipe, 10 clips
found = accuracy(model, *data["german", "validation"])

# %% tags=["check"]
examples = f"{found.n} validation clips of new voices"
check_accuracy("6.9-accuracy", found.value, full=0.83, none=0.45, examples=examples)

# %%
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, line in zip(ways, ("o:", "s--", "D-"), strict=True):
    shares = [reached[name, k] for k in (1, 3, 10)]
    middle = [100 * one.value for one in shares]
    below = [100 * (one.value - one.low) for one in shares]
    above = [100 * (one.high - one.value) for one in shares]
    axes.errorbar((1, 3, 10), middle, (below, above), fmt=line, capsize=3, label=name)
axes.axhline(5, color="gray", linewidth=0.8, label="chance")
axes.set(xscale="log", xlabel="clips a word", ylabel="test accuracy (%), 95 % interval")
axes.set_xticks((1, 3, 10), ("1", "3", "10"))
_ = axes.legend(frameon=False)

# %% [markdown]
# Hand in this notebook and `06_spectrogram_image.safetensors`, which is in the same folder. Your
# model is graded by its accuracy on new clips of other voices: all the points from 83 % on, none up
# to 45 %, and in between in proportion. Our own recipe reaches about 88 %, whatever the seed. The
# same clips and steps without pretraining reach about 39 %.
#
# **Think:** English words helped with German ones. What did the model learn that both need? And
# when would pretraining help less?
#
# <details><summary>An answer</summary>
#
# Where sounds begin and end, vowels and consonants, and what does not matter: loudness, pitch, the
# room. It would help less with more clips of the new words (from scratch, ten clips are four times
# as good as one), and for tasks that need what pretraining taught to ignore, such as who is
# speaking.
#
# </details>

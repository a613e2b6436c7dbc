"""The contract of assignment 6: patches, positions of two dimensions, patchout, AST, carrying over.

Shape letters: B batch   T frames   F mel bands   D model width   E feed-forward width   C classes
               P pixels of a patch   f rows and t columns of a grid   N tokens
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kws.course.a02_attention.contract import count
from kws.course.a04_conformer.contract import exception_of
from kws.course.a05_keyword_transformer.contract import encoder_layer_weights
from kws.course.operators import size_beyond, watch
from kws.course.recipes import within_reason
from kws.course.trial import Draw, plain, trial

Measured = Iterator[tuple[str, Any]]
DRAWS = 1000  # of a patchout, where the places that stay are counted
BUDGET = 500_000  # numbers of the small model that training changes
CERTAIN = 5.0  # standard deviations of such a count: a fair draw is beyond once in a million


def patch_weights(draw: Draw, D: int, patch: tuple[int, int]) -> dict[str, Tensor]:
    return draw.weights(weight=(D, patch[0] * patch[1]), bias=(D,))


# 6.1


@trial(
    "6.1",
    public={"bands": 37, "frames": 61, "patch": (5, 7), "stride": (3, 4)},
    hidden={"bands": 41, "frames": 53, "patch": (9, 4), "stride": (2, 5)},
)
def count_values(draw, bands, frames, patch, stride, count_patches):
    """patches are counted along each axis, and a clip smaller than a patch is an error."""
    sizes = ((bands, frames), (bands, patch[1]), patch, (bands + 1, frames + 2))
    for some in sizes:
        for step in (stride, patch, stride[::-1]):
            what = f"count_patches({some[0]}, {some[1]}, {patch}, {step})"
            yield what, list(count_patches(*some, patch, step))
    for some in ((patch[0] - 1, frames), (bands, patch[1] - 1), (1, 1)):
        what = f"the error raised by count_patches({some[0]}, {some[1]}, {patch}, {stride})"
        yield what, exception_of(count_patches, *some, patch, stride)


@trial(
    "6.1",
    public={"B": 3, "T": 17, "F": 13, "patch": (4, 3), "stride": (3, 2)},
    hidden={"B": 2, "T": 23, "F": 11, "patch": (3, 5), "stride": (2, 3)},
)
def patches_values(draw, B, T, F, patch, stride, cut_patches):
    """every patch has its pixels in order, and patches come row by row."""
    mel = draw(B, T, F).requires_grad_()
    for step in (stride, patch, stride[::-1]):
        yield f"cut_patches(mel, {patch}, {step})", cut_patches(mel, patch, step)
    patches = cut_patches(mel, patch, stride)
    yield "does a gradient of the patches reach mel?", getattr(patches, "requires_grad", False)
    (patches * draw(*patches.shape)).sum().backward()
    yield "the gradient of mel", mel.grad
    yield "one patch, as large as the image,", cut_patches(mel, (F, T), stride)


# 6.2


@trial(
    "6.2",
    public={"B": 3, "T": 17, "F": 13, "D": 5, "patch": (4, 3), "stride": (3, 2)},
    hidden={"B": 2, "T": 23, "F": 11, "D": 7, "patch": (3, 5), "stride": (2, 3)},
)
def embedding_values(draw, B, T, F, D, patch, stride, PatchEmbedding, load_patches):
    """a token is the linear layer of its patch, at its place of the grid."""
    for step in (stride, patch):
        embed = PatchEmbedding(D, patch, step)
        load_patches(embed, patch_weights(draw, D, patch))
        mel = draw(B, T, F).requires_grad_()
        y = embed(mel)
        yield f"embed(mel) with patch={patch}, stride={step}", y
        (y * draw(*y.shape)).sum().backward()
        yield "the gradient of mel", mel.grad
        yield "parameters without a gradient", sum(p.grad is None for p in embed.parameters())


@trial("6.2", public={"D": 5, "patch": (4, 3)}, hidden={"D": 7, "patch": (3, 5)})
def embedding_count(draw, D, patch, PatchEmbedding):
    """the embedding has P D + D parameters, whatever the stride."""
    for stride in ((2, 2), patch):
        what = f"parameters of PatchEmbedding({D}, {patch}, {stride})"
        yield what, count(PatchEmbedding(D, patch, stride))


# 6.3


@trial("6.3", public={"f": 3, "t": 5, "D": 12}, hidden={"f": 7, "t": 4, "D": 20})
def sinusoids_values(draw, f, t, D, sinusoids_2d):
    """each place has the sinusoids of its row and of its column."""
    for sizes in ((f, t, D), (1, t, 4), (f, 1, D), (2 * f, 3 * t, D)):
        yield f"sinusoids_2d{sizes}", sinusoids_2d(*sizes)


@trial("6.3", public={"B": 2, "D": 8, "f": 3, "t": 5}, hidden={"B": 3, "D": 12, "f": 5, "t": 4})
def positions_values(draw, B, D, f, t, GridPositions, SplitPositions, load_positions):
    """known positions are added to each token; a larger grid raises a ValueError."""
    yield "a new GridPositions on zeros", GridPositions(D, f, t)(torch.zeros(1, D, f, t))
    split = SplitPositions(D, f, t)
    new = split(torch.zeros(1, D, f, t))
    yield "a new SplitPositions on zeros: is any number beyond ±0.5?", bool(new.abs().max() > 0.5)
    yield (
        "new SplitPositions: is a table all zeros?",
        any(not p.any() for p in split.parameters()),
    )
    yield "a new SplitPositions on zeros: are there negative numbers?", bool(new.min() < 0)
    tables = {"by_row": draw(D, f), "by_column": draw(D, t)}
    for kind, weights in ((GridPositions, {"table": draw(D, f, t)}), (SplitPositions, tables)):
        positions, name = kind(D, f, t), kind.__name__
        load_positions(positions, weights)
        x = draw(B, D, f, t)
        y = positions(x)
        yield f"{name}(x)", y
        ((y + torch.zeros((), requires_grad=True)) * draw(*y.shape)).sum().backward()
        learns = [p.grad is not None and bool(p.grad.any()) for p in positions.parameters()]
        yield f"do all positions of {name} learn?", bool(learns) and all(learns)
        yield "x after the call (modified in place?)", x
        yield f"{name} of a smaller grid", positions(draw(B, D, f - 1, t - 2))
        for sizes in ((f + 1, t), (f, t + 1)):
            what = f"the error raised by {name}({D}, {f}, {t}) for {sizes[0]} x {sizes[1]} tokens"
            yield what, exception_of(positions, draw(B, D, *sizes))


@trial("6.3", public={"D": 8, "f": 3, "t": 5}, hidden={"D": 12, "f": 7, "t": 4})
def positions_count(draw, D, f, t, GridPositions, SplitPositions):
    """the table has D f t parameters, split positions have D (f + t)."""
    yield f"parameters of GridPositions({D}, {f}, {t})", count(GridPositions(D, f, t))
    yield f"parameters of SplitPositions({D}, {f}, {t})", count(SplitPositions(D, f, t))


# 6.4


@trial("6.4", public={"old": 5, "new": 7}, hidden={"old": 4, "new": 11})
def weights_values(draw, old, new, linear_weights):
    """the weights of old cells in new ones, with more cells or fewer."""
    for sizes in ((old, new), (new, old), (old, old), (1, new), (new, 1), (24, 101)):
        yield f"linear_weights{sizes}", linear_weights(*sizes)


@trial(
    "6.4",
    public={"D": 3, "f": 4, "t": 7, "size": (6, 5)},
    hidden={"D": 5, "f": 3, "t": 8, "size": (2, 13)},
)
def resize_values(draw, D, f, t, size, resize):
    """a table is interpolated along both axes; at equal size it does not change."""
    table = draw(D, f, t)
    for new in (size, (f, t), (f, size[1]), (size[0], t), (1, 1)):
        yield f"resize(table, {new})", resize(table, new)
    yield "table after the call (modified in place?)", table
    yield f"resize(a table of ones, {size})", resize(torch.ones(D, f, t), size)


@trial(
    "6.4",
    public={"D": 3, "f": 6, "t": 9, "size": (3, 4)},
    hidden={"D": 5, "f": 10, "t": 9, "size": (3, 4)},
)
def middle_values(draw, D, f, t, size, cut_middle):
    """the middle is cut out of both axes, and stays if nothing is to be cut."""
    table = draw(D, f, t)
    for new in (size, (f, t), (f - 1, t), (f, t - 1), (size[0] + 1, size[1])):
        yield f"cut_middle(table, {new})", cut_middle(table, new)


# 6.5


def numbered(B: int, D: int, *places: int) -> Tensor:
    """x (B, D, ...) in which every number is another one: 1,000 for each feature."""
    size = math.prod(places)
    rows = torch.arange(B * D)[:, None] * 1000 + torch.arange(size)
    return rows.reshape(B, D, *places).double()


KEPT = "tokens of x, the same ones in every clip"


def _places(y: Any, B: int, D: int, size: int) -> Tensor | str:
    """Which places stay, if y (B, D, n) is what `KEPT` says; in words what it is otherwise."""
    if not isinstance(y, Tensor) or y.ndim != 3 or y.shape[:2] != (B, D):
        return "something else than the features of each clip"
    kept = y[0, 0].double()
    if not bool(torch.isin(kept, torch.arange(size).double()).all()):
        return "numbers that x does not have there"
    if not torch.equal(y.double(), kept + 1000 * torch.arange(B * D).reshape(B, D, 1)):
        return "other tokens in each clip, or features that do not belong together"
    return kept.long()


def _form(y: Any) -> Any:
    return list(y.shape) if isinstance(y, Tensor) else type(y).__name__


def _same_values(one: Any, other: Any) -> bool:
    return isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)


def measure_structured(
    results: Mapping[str, Any], B: int, D: int, f: int, t: int, rows: int, columns: int
) -> Measured:
    for what, y in results.items():
        yield f"the shape of {what}", _form(y)
        flat = y.flatten(2) if isinstance(y, Tensor) and y.ndim == 4 else y
        kept = _places(flat, B, D, f * t)
        yield f"what stays in {what}", kept if isinstance(kept, str) else KEPT
        if isinstance(kept, str):
            continue
        yield f"different tokens in {what}", len(kept.unique())
        yield f"rows with a token in {what}", len((kept // t).unique())
        yield f"columns with a token in {what}", len((kept % t).unique())
    first, again, *others = list(results.values())[:6]
    yield "the same seed: is it the same draw?", _same_values(first, again)
    yield "another seed: is it always the same draw?", all(_same_values(first, y) for y in others)


@trial(
    "6.5",
    public={"B": 2, "D": 3, "f": 5, "t": 7, "rows": 2, "columns": 3},
    hidden={"B": 3, "D": 2, "f": 4, "t": 9, "rows": 1, "columns": 4},
    measure=measure_structured,
)
def structured_values(draw, B, D, f, t, rows, columns, structured):
    """whole rows and columns are left out, and every token that stays is one of x."""
    x = numbered(B, D, f, t)
    for seed, text in enumerate(("", " again", " other", " third", " fourth", " fifth")):
        generator = torch.Generator().manual_seed(max(seed, 1))
        yield (
            f"structured(x, {rows}, {columns}, generator){text}",
            structured(x, rows, columns, generator),
        )
    generator = torch.Generator().manual_seed(1)
    yield "structured(x, 0, 0, generator)", structured(x, 0, 0, generator)
    yield f"structured(x, {f - 1}, 0, generator)", structured(x, f - 1, 0, generator)
    yield f"structured(x, 0, {t - 1})", structured(x, 0, t - 1)
    yield "x after the call", x


def measure_unstructured(results: Mapping[str, Any], B: int, N: int, D: int, keep: int) -> Measured:
    for what, y in results.items():
        yield f"the shape of {what}", _form(y)
        kept = _places(y.mT if isinstance(y, Tensor) and y.ndim == 3 else y, B, D, N)
        yield f"what stays in {what}", kept if isinstance(kept, str) else KEPT
        if isinstance(kept, str):
            continue
        yield f"different tokens in {what}", len(kept.unique())
    first, again, *others = list(results.values())[:6]
    yield "the same seed: is it the same draw?", _same_values(first, again)
    yield "another seed: is it always the same draw?", all(_same_values(first, y) for y in others)


@trial(
    "6.5",
    public={"B": 2, "N": 23, "D": 3, "keep": 7},
    hidden={"B": 3, "N": 31, "D": 2, "keep": 11},
    measure=measure_unstructured,
)
def unstructured_values(draw, B, N, D, keep, unstructured):
    """the right number of tokens stays, each once, the same ones in every clip."""
    x = numbered(B, D, N).mT
    for seed, text in enumerate(("", " again", " other", " third", " fourth", " fifth")):
        generator = torch.Generator().manual_seed(max(seed, 1))
        yield f"unstructured(x, {keep}, generator){text}", unstructured(x, keep, generator)
    yield f"unstructured(x, {N})", unstructured(x, N)
    yield "x after the call", x


def _sets(places: Any) -> Tensor:
    """The number of the set of places that each of DRAWS draws has; none if their sizes differ."""
    places = torch.as_tensor(places).long().flatten()
    if len(places) % DRAWS:
        return places[:0]
    return places.reshape(DRAWS, -1).sort(dim=1).values.unique(dim=0, return_inverse=True)[1]


def _independent(places: Tensor, t: int) -> bool:
    """Whether the rows of a draw tell nothing of its columns: chi-squared, up to 7 deviations."""
    sets = (_sets(places // t), _sets(places % t))
    rows, columns = ((one[:, None] == one.unique()).double() for one in sets)
    table = rows.T @ columns
    expected = table.sum(dim=1, keepdim=True) * table.sum(dim=0) / DRAWS
    free = (table.shape[0] - 1) * (table.shape[1] - 1)
    return float(((table - expected) ** 2 / expected).sum()) <= free + 7 * (2 * free) ** 0.5


def measure_fair(results: Mapping[str, Any], f: int, t: int, keep: int) -> Measured:
    shares = {"structured": (f - 1) * (t - 2) / (f * t), "unstructured": keep / (f * t)}
    for name, share in shares.items():
        seen = torch.as_tensor(plain(results[f"places that {name} kept"]))
        yield f"tokens that all draws of {name} kept", seen.numel()
        if name == "structured":
            yield "are rows and columns drawn independently?", _independent(seen, t)
        counts = torch.bincount(seen.long().flatten().clamp(0), minlength=f * t)
        expected, deviation = DRAWS * share, (DRAWS * share * (1 - share)) ** 0.5
        for text, beyond in (("often", counts - expected), ("rarely", expected - counts)):
            found = int((beyond > CERTAIN * deviation).sum())
            yield f"places that {name} keeps too {text}", found
        # a fair draw leaves a set of structured out once in 300,000 runs; unstructured repeats few
        most = math.comb(t, 2) * f if name == "structured" else DRAWS // 2
        enough = len(_sets(seen).unique()) >= most
        yield f"does {name} keep any places together, not neighbors alone?", enough
    for name in shares:
        yield f"does a gradient of {name}(x) reach x?", results[f"the gradient of {name}(x)"]


@trial(
    "6.5",
    public={"f": 4, "t": 6, "keep": 6},  # even: one seed for rows and columns shows
    hidden={"f": 3, "t": 6, "keep": 7},
    measure=measure_fair,
)
def patchout_fair(draw, f, t, keep, structured, unstructured):
    """every place is kept as often as any other."""
    grid, generator = numbered(1, 1, f, t), torch.Generator().manual_seed(3)
    kept = [structured(grid, 1, 2, generator).flatten() for _ in range(DRAWS)]
    yield "places that structured kept", torch.cat(kept)
    tokens = grid.flatten(2).mT
    kept = [unstructured(tokens, keep, generator).flatten() for _ in range(DRAWS)]
    yield "places that unstructured kept", torch.cat(kept)
    x = draw(1, 2, f, t).requires_grad_()
    yield "the gradient of structured(x)", bool(structured(x, 1, 2, generator).requires_grad)
    y = unstructured(x.flatten(2).mT, keep, generator)
    yield "the gradient of unstructured(x)", bool(y.requires_grad)


# 6.6


def model_weights(
    draw: Draw, C: int, D: int, E: int, L: int, patch: tuple[int, int], *sizes: int
) -> dict[str, Any]:
    f, t, n = sizes
    return {
        "embed": patch_weights(draw, D, patch),
        "positions": {"table": draw(D, f, t)},
        **draw.weights(tokens=(n, D), places=(n, D)),
        "layers": [encoder_layer_weights(draw, D, E) for _ in range(L)],
        "norm": draw.weights(weight=(D,), bias=(D,)),
        "head": draw.weights(weight=(C, D), bias=(C,)),
    }


@trial(
    "6.6",
    public={"C": 5, "F": 13, "T": 21, "patch": (4, 5), "stride": (3, 4), "f": 4, "t": 5, "L": 3},
    hidden={"C": 7, "F": 11, "T": 19, "patch": (3, 5), "stride": (4, 2), "f": 3, "t": 8, "L": 2},
)
def transformer_values(
    draw, C, F, T, patch, stride, f, t, L, SpectrogramTransformer, load_transformer
):
    """the model equals its parts, one after the other; one token is read, or the mean of two."""
    D, H, E = 12, 3, 7
    mel = draw(3, T, F)
    for distilled in (False, True):
        kind = f"distilled={distilled}"
        model = SpectrogramTransformer(C, patch, stride, F, T, D, H, E, L, distilled)
        load_transformer(model, model_weights(draw, C, D, E, L, patch, f, t, 1 + distilled))
        logits = model(mel)
        yield f"model(mel) with {kind}, in training mode,", logits
        (logits * draw(*logits.shape)).sum().backward()
        yield "parameters without a gradient", sum(p.grad is None for p in model.parameters())
        model.eval()
        yield f"model(mel) with {kind}, in evaluation mode,", model(mel)
        yield f"model(mel) of one clip alone, with {kind},", model(mel[:1])
        yield f"model(mel) of a shorter clip, with {kind},", model(mel[:, : T - stride[1]])
    names = dict(model.named_parameters())
    yield "the shape of head.weight", list(names["head.weight"].shape)
    yield "the shape of positions.table", list(names["positions.table"].shape)


@trial("6.6", public={"C": 5}, hidden={"C": 7})
def transformer_without_layers(draw, C, SpectrogramTransformer):
    """without layers, the logits depend on the prepended tokens only."""
    for distilled in (False, True):
        model = SpectrogramTransformer(C, num_layers=0, distilled=distilled).eval()
        logits = model(draw(3, 101, 64))
        yield "the shape of model(mel)", list(logits.shape)
        distance = (logits - logits[:1]).abs().max()
        what = "how far the logits of clips are apart where there are no layers"
        yield f"{what}, distilled={distilled}", distance


@trial("6.6", public={"C": 5, "D": 12, "E": 7}, hidden={"C": 7, "D": 20, "E": 3})
def transformer_count(draw, C, D, E, SpectrogramTransformer):
    """every layer and every prepended token has its own parameters."""
    for layers, distilled in ((0, False), (1, False), (3, True)):
        model = SpectrogramTransformer(
            C, d_model=D, num_heads=2, d_ff=E, num_layers=layers, distilled=distilled
        )
        what = f"num_layers={layers}, distilled={distilled}"
        yield f"parameters of SpectrogramTransformer({C}, …, {what})", count(model)
    model = SpectrogramTransformer(C, (16, 16), (10, 10), 128, 1024, D, 2, E, 1)
    yield "parameters with AST's patches", count(model)
    yield f"parameters of SpectrogramTransformer({C})", count(SpectrogramTransformer(C))


@trial("6.6", public={"patchout": (1, 5)}, hidden={"patchout": (0, 7)})
def transformer_patchout(draw, patchout, SpectrogramTransformer):
    """rows and columns are left out before the layers, in training only."""
    torch.manual_seed(0)
    model = SpectrogramTransformer(5, d_model=8, num_heads=2, d_ff=9, patchout=patchout)
    mel = draw(2, 101, 64)
    for mode in (True, False):
        model.train(mode)
        sizes = [one.shape[-2] for one in watch(model, mel).ran if one.attends and one.shape]
        kind = "training" if mode else "evaluation"
        yield f"tokens that the layers compare, in {kind}", max(sizes, default=0)
    whole = SpectrogramTransformer(5, d_model=8, num_heads=2, d_ff=9).eval()
    whole.load_state_dict(model.state_dict())
    distance = (whole(mel) - model(mel)).abs().max()
    yield "how far the logits are from those of a model without patchout, in evaluation,", distance
    turned = torch.cat([mel[:, 8:16], mel[:, :8], mel[:, 16:]], dim=1)
    changed = bool((model(mel) - model(turned)).abs().max() > 1e-6)
    yield "do logits change where the first two columns change places, in evaluation?", changed
    model.train()
    draws = {round(float(model(mel)[0, 0].detach()), 6) for _ in range(8)}
    yield "does each step of training leave out other tokens?", len(draws) > 1
    silence = torch.zeros(2, 101, 64)  # its patches are alike: only their positions differ
    draws = {round(float(model(silence)[0, 0].detach()), 6) for _ in range(8)}
    yield "does it matter which tokens of silence stay?", len(draws) > 1


@trial(
    "6.6",
    public={"C": 5, "patch": (7, 3), "grid": (4, 9), "D": 12, "E": 13, "L": 2},
    hidden={"C": 31, "patch": (5, 8), "grid": (3, 11), "D": 20, "E": 17, "L": 4},
)
def parameters_values(draw, C, patch, grid, D, E, L, ast_parameters):
    """the formula is right for other patches, grids, widths and depths."""
    for depth in (L, 1, 0):
        for distilled in (False, True):
            sizes = (C, patch, grid, D, E, depth, distilled)
            yield f"ast_parameters{sizes}", ast_parameters(*sizes)
    yield f"ast_parameters({C}, {patch}, {grid})", ast_parameters(C, patch, grid)


# 6.7


@trial(
    "6.7",
    public={"N": 1190, "D": 768, "E": 3072, "L": 12},
    hidden={"N": 474, "D": 96, "E": 192, "L": 3},
)
def cost_values(draw, N, D, E, L, cost):
    """matrices grow with the tokens, attention with their square, both with the layers."""
    for sizes in ((N, D, E, L), (2 * N, D, E, L), (N, D, E, 1), (7, 5, 3, 2), (1, 1, 1, 1)):
        yield f"cost{sizes}", cost(*sizes)
    yield "cost(5, 4, 3, 0)", cost(5, 4, 3, 0)


# 6.8


class _Places(nn.Module):
    def __init__(self, D: int, f: int, t: int):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(D, f, t))


class _Toy(nn.Module):
    """A module as `carry_over` may meet it: matrices, a table, a buffer, a head, and `headway`."""

    def __init__(self, D: int, f: int, t: int, C: int, width: int = 3):
        super().__init__()
        self.embed = nn.Linear(width, D)
        self.positions = _Places(D, f, t)
        self.headway = nn.LayerNorm(D)  # its name begins as that of the head does
        self.register_buffer("seen", torch.zeros(D))
        self.head = nn.Linear(D, C)


def _state(draw: Draw, module: nn.Module) -> dict[str, Tensor]:
    return {name: draw(*own.shape) for name, own in module.state_dict().items()}


@trial("6.8", public={"D": 4, "f": 2, "t": 5, "C": 3}, hidden={"D": 5, "f": 3, "t": 7, "C": 2})
def carry_over_values(draw, D, f, t, C, carry_over):
    """all but the head is copied, a table of a different grid resized, every name reported."""
    for grid in ((f, t), (f + 1, t + 2), (f, t - 2)):
        for classes in (C, C + 4):
            source, target = _state(draw, _Toy(D, f, t, C)), _Toy(D, *grid, classes)
            before = _state(draw, target)
            target.load_state_dict(before)
            kind = f"a grid of {grid[0]} x {grid[1]} and {classes} classes"
            report = carry_over(source, target)
            reported = {key: list(names) for key, names in dict(report).items()}
            yield f"the report for {kind}", reported
            after = target.state_dict()
            for name in ("embed.weight", "embed.bias", "positions.table", "headway.weight", "seen"):
                yield f"{name} for {kind}", after[name]
            kept = all(torch.equal(after[n], before[n]) for n in before if n.startswith("head."))
            yield f"is the head as it was, for {kind}?", kept
    yield "the source after the call", source["positions.table"]
    del source["head.weight"], source["head.bias"]
    yield "the report for weights without a head", dict(carry_over(source, target))["new"]
    source["head.scale"] = draw(D)
    yield "the report for weights with another head", dict(carry_over(source, target))["new"]


def _refusal(carry_over: Any, state: Mapping[str, Tensor], model: nn.Module, name: str) -> str:
    try:
        carry_over(state, model)
    except NotImplementedError:
        raise
    except ValueError as error:
        return "a ValueError with the name" if name in str(error) else "another ValueError"
    except Exception as error:
        return type(error).__name__
    return "no error"


@trial("6.8", public={"D": 4, "f": 2, "t": 5, "C": 3}, hidden={"D": 5, "f": 3, "t": 7, "C": 2})
def carry_over_refuses(draw, D, f, t, C, carry_over):
    """weights that do not fit raise a ValueError with their name."""
    good = _state(draw, _Toy(D, f, t, C))

    def refused(name: str, **changes: Tensor) -> str:
        state = {key: tensor for key, tensor in good.items() if key != name} | changes
        return _refusal(carry_over, state, _Toy(D, f, t, C), name)

    for name in ("embed.bias", "positions.table", "headway.weight"):
        yield f"the error raised if the weights lack {name}", refused(name)
    strange = {"embed.wieght": draw(D, 3)}
    yield (
        "the error raised if the weights have embed.wieght, too",
        _refusal(carry_over, good | strange, _Toy(D, f, t, C), "embed.wieght"),
    )
    strange = {"headword.bias": draw(D)}
    yield (
        "the error raised if the weights have headword.bias, too",
        _refusal(carry_over, good | strange, _Toy(D, f, t, C), "headword.bias"),
    )
    others = {"embed.weight": draw(D, 4), "embed.bias": draw(1), "seen": draw(D + 1)}
    others |= {"positions.table": draw(D + 1, f, t), "headway.weight": draw(D, 1, 1)}
    for name, tensor in others.items():
        what = f"the error raised if {name} is {tuple(tensor.shape)} in the weights"
        yield what, refused(name, **{name: tensor})


@trial("6.8", public={"D": 4, "factor": 0.25}, hidden={"D": 5, "factor": 0.125})
def groups_values(draw, D, factor, groups):
    """each parameter is in one group, with the rate of its part."""
    model = _Toy(D, 2, 3, 7)
    names = {id(p): name for name, p in model.named_parameters()}
    for rate, share in ((0.5, factor), (2.0, 0.0), (1.0, 1.0)):
        found = [dict(one) for one in groups(model, rate, share)]
        for one in found:
            one.pop("name", None)  # for logs
        kind = f"groups(model, {rate}, {share})"
        yield f"the keys of {kind}", [sorted(one) for one in found]
        members = [sorted(names.get(id(p), "?") for p in one["params"]) for one in found]
        yield f"the parameters of {kind}", members
        yield f"the rates of {kind}", [float(one["lr"]) for one in found]


# 6.9


def _people(draw: Draw, classes: int, speakers: int) -> tuple[Tensor, list[str]]:
    """Each speaker says each class up to three times, in a mixed order."""
    pairs = [(label, f"id{who}") for label in range(classes) for who in range(speakers)]
    pairs += [(label, f"id{speakers}") for label in range(1, classes)]  # but one speaker not all
    pairs = [pair for at, pair in enumerate(pairs) for _ in range(1 + at % 3)]
    order = draw(len(pairs)).argsort().tolist()
    return torch.tensor([pairs[at][0] for at in order]), [pairs[at][1] for at in order]


ROWS = "numbers of rows"


def measure_rows(results: Mapping[str, Any], classes: int, speakers: int) -> Measured:
    labels, people = results["labels"].tolist(), results["speakers"]
    chosen = {what: rows for what, rows in results.items() if what.startswith("few_shot_rows")}
    for what, rows in chosen.items():
        rows = rows.tolist() if isinstance(rows, Tensor) else rows
        whole = isinstance(rows, list) and all(isinstance(row, int) for row in rows)
        right = whole and all(0 <= row < len(labels) for row in rows)
        yield f"what is in {what}", ROWS if right else "not a list of row numbers"
        if not right:
            continue
        yield (
            f"rows of each class in {what}",
            [sum(labels[row] == label for row in rows) for label in range(classes)],
        )
        pairs = {(labels[row], people[row]) for row in rows}
        yield f"different pairs of a class and a speaker in {what}", len(pairs)
    several = [sorted(plain(torch.as_tensor(rows)).tolist()) for rows in chosen.values()]
    yield "the same seed: are they the same rows?", several[0] == several[1]
    yield "another seed: are they always the same rows?", all(one == several[0] for one in several)


@trial(
    "6.9",
    public={"classes": 4, "speakers": 6},
    hidden={"classes": 5, "speakers": 7},
    measure=measure_rows,
)
def rows_values(draw, classes, speakers, few_shot_rows):
    """k clips of each word, from different speakers, the same ones for the same seed."""
    labels, people = _people(draw, classes, speakers)
    yield "labels", labels
    yield "speakers", list(people)
    for seed, k, text in ((0, 2, ""), (0, 2, " again"), (1, 2, " other"), (2, 1, ""), (2, 5, "")):
        generator = torch.Generator().manual_seed(seed)
        what = f"few_shot_rows(labels, speakers, {k}, generator){text}"
        yield what, few_shot_rows(labels, list(people), k, generator)
    k, generator = speakers, torch.Generator().manual_seed(5)
    what = f"few_shot_rows(labels, speakers, {k}, generator), all speakers"
    yield what, few_shot_rows(labels, list(people), k, generator)


def measure_drawn(results: Mapping[str, Any], classes: int, speakers: int) -> Measured:
    people, rows = results["speakers"], results["rows of many draws"]
    speakers_drawn = [people[row] for row in torch.as_tensor(rows).long().flatten().tolist()]
    yield "rows of many draws, in all", len(speakers_drawn)
    expected = len(speakers_drawn) / len(people)
    bound = CERTAIN * (expected * (1 - 1 / speakers)) ** 0.5
    beyond = [who for who in set(people) if abs(speakers_drawn.count(who) - expected) > bound]
    yield "speakers that are drawn too often or too rarely", sorted(beyond)


@trial(
    "6.9",
    public={"classes": 3, "speakers": 5},
    hidden={"classes": 4, "speakers": 6},
    measure=measure_drawn,
)
def rows_fair(draw, classes, speakers, few_shot_rows):
    """every speaker is drawn as often as any other where all say each word once."""
    labels = torch.arange(classes).repeat_interleave(speakers)
    people = [f"id{who}" for who in range(classes * speakers)]
    generator = torch.Generator().manual_seed(4)
    rows = [few_shot_rows(labels, list(people), 1, generator) for _ in range(DRAWS)]
    yield "speakers", people
    yield "rows of many draws", torch.cat([torch.as_tensor(one).flatten() for one in rows])


@trial("6.9", public={"B": 3}, hidden={"B": 5})
def budget(draw, B, small_model):
    """training changes at most 500,000 numbers of the small model, wherever they are."""
    for classes in (20, 35):
        yield size_beyond(BUDGET, lambda some=classes: small_model(some), draw(B, 101, 64))


@trial("6.9", public={"B": 3}, hidden={"B": 5})
def small_model_learns(draw, B, small_model):
    """a gradient reaches every parameter of the small model."""
    for classes in (20, 35):
        model = small_model(classes)
        logits = model(draw(B, 101, 64))
        yield f"the shape of small_model({classes})(mel)", list(logits.shape)
        logits.square().sum().backward()
        yield "parameters without a gradient", sum(p.grad is None for p in model.parameters())


@trial("6.9", public={"most": 100_000}, hidden={"most": 100_000})
def recipe_values(draw, most, recipe):
    """the recipe has the arguments of fit, and a warm-up."""
    found = recipe()
    yield from within_reason(found, most, 1024)
    yield "is factor between 0 and 1?", bool(0 <= found["factor"] <= 1)

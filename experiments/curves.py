"""The plots of the page: learning curves of a table, accuracy over a setting, confusions.

A plot carries a digest of its numbers, so that a stale one is recognized by what it shows, whatever
version of the plotting library drew it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.figure import Figure

from experiments.results import Result, recipe_in
from experiments.rows import Table
from kws import plots
from kws.data.protocols import get_protocol
from kws.metrics import Proportion
from kws.training.recipe import Recipe, changed_keys

KEY = "Comment"  # of the digest, among the texts of the PNG
COLORS = (plots.BLUE, plots.ORANGE, plots.GREEN, "#D55E00", "#CC79A7", "#56B4E9", "#000000")
LINES = ("-", "--", ":", "-.")
COLUMNS = 3  # of panels
Point = tuple[float, float]


def points(table: Table) -> dict[str, list[list[Point]]]:
    """Row -> for each seed (percent of the training done, validation accuracy in percent)."""
    found: dict[str, list[list[Point]]] = {}
    for row in table.rows:
        for result in row.results:
            history = result["history"]
            name = "validation" if "validation_accuracy" in history[0] else "crop"
            last = history[-1]["step"]
            line = [(100 * r["step"] / last, 100 * r[f"{name}_accuracy"]) for r in history]
            found.setdefault(row.key, []).append(line)
    return found


@dataclass(frozen=True)
class Drawing:
    """A plot that can be drawn: `shown` is all that it depends on, for JSON."""

    shown: Any
    draw: Callable[[], Figure]

    @property
    def digest(self) -> str:
        """SHA-256 of what it shows."""
        return "sha256:" + hashlib.sha256(json.dumps(self.shown).encode()).hexdigest()


def curves_of(table: Table) -> Drawing:
    """The learning curves of a table."""
    return Drawing([title(table), points(table), COLUMNS, COLORS], lambda: learning_curves(table))


def digest_in(path: Path) -> str | None:
    """The digest that a plot carries; None for any other file, or none at all."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            found: Any = image.info.get(KEY)
    except (OSError, UnidentifiedImageError):
        return None
    return found if isinstance(found, str) and found.startswith("sha256:") else None


def title(table: Table) -> str:
    """Group, data and protocol."""
    assert table.where is not None
    return f"{table.group} on {table.where.data}, {table.where.protocol}"


@mpl.rc_context(plots.STYLE)
def learning_curves(table: Table) -> Figure:
    """A panel for each recipe, with a line for each seed, all on the same axes."""
    curves = sorted(points(table).items())
    rows = -(-len(curves) // COLUMNS)
    layout = {"height": 0.9 + 1.3 * rows, "sharex": True, "sharey": True}
    figure, grid = plots.new_figure(rows, COLUMNS, width=7.6, title=title(table), **layout)
    for axes, (name, lines) in zip(grid.flat, curves, strict=False):
        axes.set_title(name, fontsize=8)
        for line, color in zip(lines, cycle(COLORS), strict=False):
            marker = "." if len(line) < 8 else ""
            axes.plot(*zip(*line, strict=True), color=color, linewidth=1.0, marker=marker)
        axes.grid(axis="y")
    for axes in grid.flat[len(curves) :]:
        axes.set_axis_off()
    grid[0, 0].set(xlim=(0, 103), ylim=(0, 103))
    figure.supxlabel("share of the training done (%), a line for each seed", fontsize=9)
    figure.supylabel("validation accuracy (%)", fontsize=9)
    return figure


RATE_KEYS = {"train.lr", "train.optimizer", "train.weight_decay", "train.momentum"}
SHARE_KEYS = {"data.unknown"}
Lines = dict[str, dict[float, list[float]]]  # line -> setting -> accuracies in percent


def rates(results: Iterable[Result], base: Result) -> Lines:
    """By optimizer: runs that differ from `base` in optimizer and rate alone, and its own."""
    found: Lines = {}
    for result, recipe in _near(results, base, RATE_KEYS):
        by_rate = found.setdefault(recipe.train.optimizer, {})
        by_rate.setdefault(recipe.train.lr, []).append(100 * result["accuracy"])
    return _sorted(found)


def shares(results: Iterable[Result], base: Result) -> Lines:
    """By kind of clip, over the percentage of the training clips that are other words.

    Of the runs that differ from `base` in that alone, and its own. A kind's accuracy is its recall.
    """
    found: Lines = {}
    for result, recipe in _near(results, base, SHARE_KEYS):
        if not isinstance(recipe.data.unknown, int) or not result.get("confusion"):
            continue
        share = 100 * recipe.data.unknown / result["data"]["training"]
        matrix, protocol = torch.tensor(result["confusion"]), get_protocol(result["protocol"])
        other = [label == protocol.unknown_label for label in protocol.labels]
        silence = [label == protocol.silence_label for label in protocol.labels]
        is_other, is_silence = torch.tensor(other), torch.tensor(silence)
        kinds = {
            "all": torch.ones_like(is_other),
            "other words (unknown)": is_other,
            f"the {len(protocol.words)} words": ~(is_other | is_silence),
        }
        for name, rows in kinds.items():
            recall = matrix.diagonal()[rows].sum() / matrix[rows].sum()
            found.setdefault(name, {}).setdefault(share, []).append(100 * float(recall))
    return _sorted(found)


def _near(
    results: Iterable[Result], base: Result, keys: set[str]
) -> Iterator[tuple[Result, Recipe]]:
    """The runs on the data of `base` whose recipes differ from its own in `keys` and seed alone."""
    ours = recipe_in(base)
    for result in results:
        theirs = recipe_in(result)
        same = all(result[key] == base[key] for key in ("group", "protocol", "split"))
        same = same and result["data"]["identity"] == base["data"]["identity"]
        if not same or ours is None or theirs is None:
            continue
        if {key for key, _, _ in changed_keys(ours, theirs)} <= keys | {"train.seed"}:
            yield result, theirs


def _sorted(found: Lines) -> Lines:
    return {name: dict(sorted(line.items())) for name, line in sorted(found.items())}


def lines_over(found: Lines, name: str, setting: str, scale: str = "linear") -> Drawing:
    """Accuracy over a setting, a line for each key."""
    shown = [name, [[line, list(x.items())] for line, x in found.items()]]
    return Drawing(shown, lambda: _lines_over(found, name, setting, scale))


@mpl.rc_context(plots.STYLE)
def _lines_over(found: Lines, name: str, setting: str, scale: str) -> Figure:
    figure, ((axes,),) = plots.new_figure(width=6.4, height=3.6, title=name)
    for (label, line), color, marker in zip(found.items(), COLORS, "os^v", strict=False):
        means = [sum(values) / len(values) for values in line.values()]
        axes.plot(list(line), means, color=color, marker=marker, label=label)
        for x, values in line.items():
            axes.plot([x] * len(values), values, color=color, marker=".", linestyle="")
    axes.set_xscale(scale)
    axes.set(xlabel=setting, ylabel="test accuracy (%)", ylim=(0, 100))
    axes.grid(axis="y")
    axes.legend()
    return figure


def norms_of(runs: Mapping[str, Sequence[Result]], name: str) -> Drawing:
    """The norm of the gradient over the steps: recipe -> its runs, a line for each."""
    lines = {
        recipe: [[(row["step"], row["gradient_norm"]) for row in run["history"]] for run in made]
        for recipe, made in runs.items()
    }
    return Drawing([name, lines], lambda: _norms(lines, name))


@mpl.rc_context(plots.STYLE)
def _norms(lines: Mapping[str, Sequence[Sequence[Point]]], name: str) -> Figure:
    figure, ((axes,),) = plots.new_figure(width=6.4, height=3.6, title=name)
    for (recipe, made), color, style in zip(lines.items(), COLORS, LINES, strict=False):
        for number, line in enumerate(made):
            label = recipe if number == 0 else f"_{recipe}"  # no entry of its own
            axes.plot(
                *zip(*line, strict=True), color=color, linestyle=style, marker=".", label=label
            )
    axes.set_yscale("log")
    axes.set(xlabel="step", ylabel="norm of the gradient, mean")
    axes.grid(axis="y")
    axes.legend()
    return figure


def confusion_of(result: Result) -> Drawing:
    """The confusion matrix of a run."""
    labels: Sequence[str] = get_protocol(result["protocol"]).labels
    accuracy = Proportion(correct=result["correct"], n=result["n"])
    data = f"{result['data']['name']}, protocol {result['protocol']}"
    name = f"{result['name']}, seed {result['seed']}, on {data}\n{accuracy}"
    matrix = torch.tensor(result["confusion"])
    return Drawing(
        [name, result["confusion"], list(labels)],
        lambda: plots.confusion(matrix, labels, title=name),
    )

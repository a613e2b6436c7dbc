"""Learning curves of a table: validation accuracy against the share of the training done.

A plot carries a digest of its numbers, so that a stale one is recognized by what it shows, whatever
version of the plotting library drew it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from kws import plots
from kws.experiments.rows import Table

KEY = "Comment"  # of the digest, among the texts of the PNG
COLORS = (plots.BLUE, plots.ORANGE, plots.GREEN, "#D55E00", "#CC79A7", "#56B4E9", "#000000")
LINES = ("-", "--", ":", "-.")
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


def digest_of(table: Table) -> str:
    """SHA-256 of what the plot of a table shows."""
    shown = [title(table), points(table), COLORS, LINES]
    return "sha256:" + hashlib.sha256(json.dumps(shown).encode()).hexdigest()


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
    """A line for each seed, a color and a stroke for each recipe."""
    curves = points(table)
    height = max(3.4, 1.2 + 0.24 * len(curves))
    figure, ((axes,),) = plots.new_figure(width=7.6, height=height, title=title(table))
    for number, (name, lines) in enumerate(sorted(curves.items())):
        look = {
            "color": COLORS[number % len(COLORS)],
            "linestyle": LINES[number // len(COLORS) % len(LINES)],
            "linewidth": 1.2,
            "marker": "." if max(map(len, lines)) < 8 else "",
        }
        for seed, line in enumerate(lines):
            label = name if seed == 0 else f"_{name}"  # no entry of its own
            axes.plot([x for x, _ in line], [y for _, y in line], label=label, **look)
    axes.set(xlabel="share of the training done (%)", ylabel="validation accuracy (%)")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    figure.legend(loc="outside right upper", fontsize=8)
    return figure

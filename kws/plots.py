"""Pictures of a training run, in one style: curves, confusion matrix, recall, spectrogram.

Every function returns a `matplotlib.figure.Figure` of its own, so nothing depends on pyplot's
global state, no window is opened and a notebook shows the return value. `save` writes it as PNG.

Colors: Okabe & Ito, "Color Universal Design" (https://jfly.uni-koeln.de/color/), distinguished with
any color vision; series differ in marker or line style too. Images use `cividis` and `Blues`,
whose lightness rises steadily.

Shape letters: T frames   F mel bands   C classes
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from kws.files import atomic_path
from kws.metrics import ClassScore, Proportion

INK, PALE = "#333333", "#d9d9d9"
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
SERIES = {  # columns of a history: name, color, line
    "train": ("training, augmented", ORANGE, "--"),
    "validation": ("validation", BLUE, "-"),
    "crop": ("validation, crops", GREEN, ":"),
}
MOST_CELLS = 40  # classes whose names and counts are still readable in one picture
STYLE: Any = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "font.size": 10,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


class ShownFigure(Figure):
    """A figure that a notebook shows, also one that has not loaded pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


@mpl.rc_context(STYLE)
def new_figure(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = 7.0,
    height: float = 4.0,
    title: str = "",
    **layout: Any,
) -> tuple[Figure, np.ndarray]:
    """A figure of `width` × `height` inches and its axes; `layout` is for `Figure.subplots`."""
    figure = ShownFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        lines = [textwrap.fill(line, width=int(13 * width)) for line in title.splitlines()]
        figure.suptitle("\n".join(lines), x=0.02, ha="left", fontsize=11)
    return figure, figure.subplots(rows, columns, squeeze=False, **layout)


def save(figure: Figure, path: str | Path, **texts: str) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130, metadata={"Software": None, **texts})
    return Path(path)


@mpl.rc_context(STYLE)
def draw_spectrogram(
    axes: Axes,
    mel: Float[Tensor, "T F"],
    *,
    frames_per_second: float = 100.0,
    bands: str = "mel band",
    label: str = "",
) -> None:
    """Draw a spectrogram with time in seconds to the right and its `bands` upwards."""
    seconds = mel.shape[0] / frames_per_second
    axes.imshow(
        mel.detach().float().cpu().numpy().T,
        origin="lower",
        aspect="auto",
        cmap="cividis",
        interpolation="nearest",
        extent=(0.0, seconds, 0.0, float(mel.shape[1])),
    )
    axes.set(xlabel="time (s)", ylabel=bands, title=label)


@mpl.rc_context(STYLE)
def det(
    points: Sequence[tuple[float, float]], chosen: tuple[float, float], *, title: str = ""
) -> Figure:
    """Misses (share of 1) over false alarms an hour, one point a threshold; `chosen` is marked."""
    figure, ((axes,),) = new_figure(width=6.0, height=4.2, title=title)
    alarms, missed = zip(*sorted(points), strict=True)
    axes.plot(alarms, [100 * share for share in missed], color=BLUE, marker="o", label="thresholds")
    axes.plot(chosen[0], 100 * chosen[1], color=ORANGE, marker="s", linestyle="", label="chosen")
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set(xlabel="false alarms an hour", ylabel="missed words (%)", ylim=(0, None))
    axes.set_xlim(0, None)
    axes.grid(True)
    axes.legend()
    return figure


@mpl.rc_context(STYLE)
def confusion(matrix: Int[Tensor, "C C"], labels: Sequence[str], *, title: str = "") -> Figure:
    """Counts of a confusion matrix, shaded by their share of the row, the true class.

    Up to 40 classes carry their names and counts; above that only some names fit.
    """
    counts = matrix.cpu().numpy()
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(labels)
    side = min(max(5.0, 0.42 * size), 13.0)
    figure, ((axes,),) = new_figure(width=side + 1.4, height=side + 0.6, title=title)
    norm = PowerNorm(0.5, vmin=0, vmax=100)  # by the root: a rare confusion is seen too
    image = axes.imshow(share, cmap="Blues", norm=norm, interpolation="nearest")
    step = 1 if size <= MOST_CELLS else -(-size // MOST_CELLS)
    ticks = range(0, size, step)
    axes.set_xticks(ticks, [labels[i] for i in ticks], rotation=90)
    axes.set_yticks(ticks, [labels[i] for i in ticks])
    axes.set(xlabel="predicted", ylabel="true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=10 if size <= 15 else 8)
    if size <= MOST_CELLS:
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if share[row, column] > 30 else INK
            axes.text(
                column,
                row,
                str(counts[row, column]),
                ha="center",
                va="center",
                color=color,
                fontsize=9 if size <= 15 else 7,
            )
    bar = figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true class (%)")
    bar.set_ticks([0, 5, 20, 50, 100])
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


@mpl.rc_context(STYLE)
def class_balance(counts: Mapping[str, Mapping[str, int]], *, title: str = "") -> Figure:
    """Clips of every label, in a panel for each split: split -> label -> clips."""
    labels = list(next(iter(counts.values())))
    height = 1.4 + 0.24 * len(labels)
    figure, (panels,) = new_figure(1, len(counts), width=10.0, height=height, title=title)
    rows = np.arange(len(labels))
    for axes, (split, found) in zip(panels, counts.items(), strict=True):
        values = np.array([found[label] for label in labels])
        axes.barh(rows, values, color=BLUE, height=0.7)
        axes.set_yticks(rows, labels if axes is panels[0] else [""] * len(labels))
        axes.set_ylim(len(labels) - 0.4, -0.6)
        for row, value in zip(rows, values, strict=True):
            share = 100 * value / max(values.sum(), 1)
            axes.text(value, row, f" {value:,} ({share:.0f} %)", va="center", fontsize=8)
        axes.set_xlim(0, 1.6 * max(values.max(), 1))  # room for the numbers
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel=f"clips, {split} (n={values.sum():,})")
    return figure


def recall(scores: Sequence[ClassScore], overall: Proportion, *, title: str = "") -> Figure:
    """Recall of every class, beside the accuracy over all classes.

    Of more than 40 classes, the 40 with the lowest recall, lowest first; none without an example.
    """
    shown = [score for score in scores if score.recall.n]
    if len(shown) > MOST_CELLS:
        shown = sorted(shown, key=lambda score: score.recall.value)[:MOST_CELLS]
        title = f"{title}\nthe {MOST_CELLS} classes of {len(scores)} with the lowest recall".strip()
    rows = [(score.label, score.recall) for score in shown]
    return shares(rows, overall, name="recall", of=("one class", "all classes"), title=title)


@mpl.rc_context(STYLE)
def shares(
    parts: Sequence[tuple[str, Proportion]],
    overall: Proportion,
    *,
    name: str,
    of: tuple[str, str],
    title: str = "",
) -> Figure:
    """A row a part with its share and 95 % interval, beside that of all; `of`: one part, all."""
    values, low, high = (
        100 * np.array([getattr(share, field) for _, share in parts])
        for field in ("value", "low", "high")
    )
    rows = np.arange(len(parts))
    figure, ((axes,),) = new_figure(height=1.8 + 0.26 * len(parts), title=title)
    axes.axvspan(100 * overall.low, 100 * overall.high, color=ORANGE, alpha=0.2, linewidth=0)
    axes.axvline(100 * overall.value, color=ORANGE, linestyle="--", label=of[1])
    axes.hlines(rows, low, high, color=BLUE, linewidth=2)
    label = f"{of[0]}, each with its 95 % interval"
    axes.plot(values, rows, "o", color=BLUE, markersize=6, label=label)
    axes.set_yticks(rows, [f"{part}  (n={share.n})" for part, share in parts])
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel=f"{name} (%)")
    figure.legend(loc="outside lower left", ncols=2, fontsize=9)
    return figure


@mpl.rc_context(STYLE)
def curves(
    rows: Sequence[Mapping[str, Any]],
    *,
    best: Mapping[str, Any],
    loss_name: str = "cross-entropy (nats)",
    title: str = "",
) -> Figure:
    """Loss and accuracy of a training run against its optimizer steps; the best row is circled.

    `rows` are those of a `kws.training.history.History`, oldest first. Where they hold no accuracy
    the loss is alone, and there the best row is circled.

    The training loss is that of augmented examples, and usually lies above the others.
    """
    criterion = "validation" if "validation_loss" in best else "crop"
    measured = f"{criterion}_accuracy" in best
    columns = 1 + measured
    figure, panels = new_figure(1, columns, width=5.0 * columns, height=3.8, title=title)
    loss, accuracy = panels[0, 0], panels[0, -1]
    for key, (name, color, line) in SERIES.items():
        if f"{key}_loss" not in rows[0]:
            continue
        steps = [row["step"] for row in rows]
        style = {"color": color, "linestyle": line, "label": name}
        loss.plot(steps, [row[f"{key}_loss"] for row in rows], **style)
        if f"{key}_accuracy" not in rows[0]:
            continue
        n = f"{name} (n={rows[0][f'{key}_n']:,})" if f"{key}_n" in rows[0] else name
        accuracy.plot(steps, [100 * row[f"{key}_accuracy"] for row in rows], **style | {"label": n})
    value = 100 * best[f"{criterion}_accuracy"] if measured else best[f"{criterion}_loss"]
    best_value = f"{value:.1f} %" if measured else f"{value:.3f}"
    accuracy.plot(
        best["step"],
        value,
        "o",
        color=INK,
        markersize=9,
        fillstyle="none",
        label=f"best: {best_value} at step {best['step']:,}",
    )
    accuracy.set(xlabel="optimizer step", ylabel="accuracy (%)")
    loss.set(xlabel="optimizer step", ylabel=loss_name)
    loss.set_ylim(bottom=0)
    for axes in panels.flat:
        axes.grid(axis="y")
        axes.legend(fontsize=9)
    return figure


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """One picture of attention over time, to place below a spectrogram with the same time axis.

    `values`, weights as shares of 1, become a line if they are (T,), and if (R, T) an image whose
    rows reach from 0 to `height` on an axis called `ylabel`.
    """

    name: str
    values: Float[Tensor, "*rows T"]
    ylabel: str = "weight (%)"
    height: float = 1.0


@mpl.rc_context(STYLE)
def attention(
    mel: Float[Tensor, "T F"],
    panels: Sequence[Panel],
    *,
    frames_per_second: float = 100.0,
    bands: str = "mel band",
    title: str = "",
) -> Figure:
    """A spectrogram, and below it on the same time axis what a model paid attention to."""
    seconds = mel.shape[0] / frames_per_second
    rows = 1 + len(panels)
    figure, axes = new_figure(rows, 1, height=1.2 + 1.9 * rows, title=title, sharex=True)
    spectrogram = {"frames_per_second": frames_per_second, "bands": bands, "label": "input"}
    draw_spectrogram(axes[0, 0], mel, **spectrogram)
    for below, panel in zip(axes[1:, 0], panels, strict=True):
        values = 100 * panel.values.detach().float().cpu().numpy()
        if values.ndim == 1:
            times = (np.arange(len(values)) + 0.5) * seconds / len(values)
            below.fill_between(times, values, color=BLUE, alpha=0.3, linewidth=0)
            below.plot(times, values, color=BLUE)
            below.set_ylim(bottom=0)
        else:
            extent = (0.0, seconds, 0.0, panel.height)
            image = below.imshow(
                values, origin="lower", aspect="auto", cmap="cividis", vmin=0, extent=extent
            )
            figure.colorbar(image, ax=below, label="weight (%)", pad=0.01)
        below.set(ylabel=panel.ylabel, title=panel.name)
    for above in axes[:-1, 0]:
        above.set_xlabel("")
    axes[-1, 0].set_xlabel("time (s)")
    return figure

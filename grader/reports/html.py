"""Common HTML of all pages, and figures as SVG.

No external resources; dark mode, small screens, print. People's text is escaped by `text`,
and a content security policy blocks the rest: the only script is that of the page, by its hash.

Figures are written by hand: small, scalable, deterministic, in the page's own colors, which change
in dark mode. Every figure has a title and a description for screen readers.

Colors: Okabe & Ito, "Color Universal Design" (https://jfly.uni-koeln.de/color/).
"""

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from grader.core.outcomes import Figure
from grader.core.text import printable

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8").strip()
WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 12, 48
FARTHEST = 1e300  # clip there, so that differences stay finite
SHOWN_COUNTS = 20  # classes up to which a confusion matrix shows its numbers


def text(value: object) -> str:
    return escape(printable(str(value)))


def contents(sections: Mapping[str, tuple[str, str]]) -> list[str]:
    """Links to sections, if there are several: anchor -> heading and a note on it."""
    if len(sections) < 2:
        return []
    lines = [
        f'<li><a href="#{text(anchor)}">{text(heading)}</a>: {text(note)}</li>'
        for anchor, (heading, note) in sections.items()
    ]
    return [f"<ul>{''.join(lines)}</ul>"]


def document(
    title: str, body: str, *, wide: bool = False, pictures: bool = False, script: str = ""
) -> bytes:
    """A complete page; `body` is HTML.

    Args:
        wide: as wide as the window, for the staff's tables.
        pictures: allow images as `data:` URLs; others are never fetched.
        script: name of a file beside this one; a student's page has none.
    """
    allowed, code = "; img-src data:" if pictures else "", ""
    if script:
        code = Path(__file__).with_name(script).read_text(encoding="utf-8")
        digest = b64encode(sha256(code.encode()).digest()).decode()
        allowed += f"; script-src 'sha256-{digest}'"
        code = f"<script>{code}</script>\n"
    main = '<main class="broad">' if wide else "<main>"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'unsafe-inline'{allowed}\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n"
        f"<body>\n{main}\n{body}\n</main>\n{code}</body>\n</html>\n"
    ).encode("utf-8", "replace")


def svg(figure: Figure) -> str:
    """A figure as an `<svg>` element; ValueError for a kind that does not exist."""
    draw = {"curve": _curve, "confusion": _confusion, "bars": _bars}.get(figure.kind)
    if draw is None:
        raise ValueError(f"no figure of kind {figure.kind!r} exists")
    return draw(figure)


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` + 1 round numbers, in equal steps, from `low` or above to `high` or below.

    >>> nice_ticks(0, 1, 5), nice_ticks(0, 730)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 200.0, 400.0, 600.0])
    """
    span = high - low
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * m for m in (1, 2, 5, 10) if span / (power * m) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _frame(figure: Figure, description: str, body: str, width: int, height: int) -> str:
    return (
        f'<svg class="figure" role="img" viewBox="0 0 {width} {height}" '
        f'xmlns="http://www.w3.org/2000/svg" style="max-width:{width}px">'
        f"<title>{text(figure.title)}</title><desc>{text(description)}</desc>{body}</svg>"
    )


def _text(x: float, y: float, words: str, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{text(words)}</text>'


def _tick(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:g}"


def _range(values: Sequence[float], *, zero: bool = False) -> tuple[float, float]:
    low, high = min(values), max(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    most = max(1.0, abs(low), abs(high))
    if high - low < 1e-9 * most:
        margin = max(0.5, 1e-9 * most)
        low, high = low - margin, high + margin
    return float(low), float(high)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    except OverflowError:  # a whole number of more than 308 digits
        return FARTHEST if value > 0 else -FARTHEST
    return max(-FARTHEST, min(number, FARTHEST)) if math.isfinite(number) else None


class _Axes:
    def __init__(self, x: tuple[float, float], y: tuple[float, float], *, whole: bool = False):
        self._x, self._y, self._whole = x, y, whole

    def at_x(self, value: float) -> float:
        share = (value - self._x[0]) / (self._x[1] - self._x[0])
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def at_y(self, value: float) -> float:
        share = (value - self._y[0]) / (self._y[1] - self._y[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def draw(self, x_label: str, y_label: str, *, x_ticks: bool = True) -> str:
        right, low = WIDTH - RIGHT, HEIGHT - BOTTOM
        parts = []
        ticks = nice_ticks(*self._y)
        for tick in [t for t in ticks if t.is_integer()] if self._whole else ticks:
            y = self.at_y(tick)
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
            parts.append(_text(LEFT - 6, y + 4, _tick(tick), "end"))
        if x_ticks:
            for tick in nice_ticks(*self._x):
                x = self.at_x(tick)
                parts.append(f'<path class="axis" d="M{x:.1f} {low}v4"/>')
                parts.append(_text(x, low + 18, _tick(tick)))
        parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{low}H{right}"/>')
        parts.append(_text((LEFT + right) / 2, HEIGHT - 8, x_label))
        middle = (TOP + low) / 2
        turn = f' transform="rotate(-90 14 {middle:.1f})"'
        parts.append(_text(14, middle, y_label, extra=turn))
        return "".join(parts)


def _curve(figure: Figure) -> str:
    data = figure.data
    numbers = [(_number(x), _number(y)) for x, y in zip(data["x"], data["y"], strict=True)]
    points = [(x, y) for x, y in numbers if x is not None and y is not None]
    x_label, y_label = str(data["x_label"]), str(data["y_label"])
    if not points:
        return _frame(figure, "nothing to draw", _text(80, 30, "no values"), 160, 60)
    axes = _Axes(_range([x for x, _ in points]), _range([y for _, y in points]))
    path = " ".join(f"{axes.at_x(x):.1f},{axes.at_y(y):.1f}" for x, y in points)
    line = f'<polyline class="line" points="{path}"/>'
    if len(points) <= 30:
        line += "".join(
            f'<circle class="dot" cx="{axes.at_x(x):.1f}" cy="{axes.at_y(y):.1f}" r="3"/>'
            for x, y in points
        )
    (x0, y0), (x1, y1) = points[0], points[-1]
    description = f"{y_label} against {x_label}: from {y0:g} at {x0:g} to {y1:g} at {x1:g}"
    return _frame(figure, description, axes.draw(x_label, y_label) + line, WIDTH, HEIGHT)


def _bars(figure: Figure) -> str:
    labels, counts = [str(x) for x in figure.data["labels"]], list(figure.data["counts"])
    axes = _Axes((0, len(labels)), _range([*counts, 1], zero=True), whole=True)
    base = axes.at_y(0)
    body = axes.draw(str(figure.data["x_label"]), str(figure.data["y_label"]), x_ticks=False)
    wide = 7 * max(map(len, labels), default=0) * len(labels)  # pixels of all names side by side
    every = max(1, -(-wide // (WIDTH - LEFT - RIGHT)))
    for at, (label, count) in enumerate(zip(labels, counts, strict=True)):
        x, width = axes.at_x(at + 0.1), axes.at_x(0.8) - axes.at_x(0)
        top = axes.at_y(count)
        body += (
            f'<rect class="bar" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
            f'height="{base - top:.1f}"/>'
        )
        if at % every == 0:
            body += _text(axes.at_x(at + 0.5), HEIGHT - BOTTOM + 18, label)
    description = ", ".join(
        f"{label}: {count}" for label, count in zip(labels, counts, strict=True)
    )
    return _frame(figure, description, body, WIDTH, HEIGHT)


def _confusion(figure: Figure) -> str:
    labels, counts = [str(x) for x in figure.data["labels"]], figure.data["counts"]
    size = len(labels)
    cell = max(10.0, min(34.0, 420 / max(size, 1)))
    longest = max((len(label) for label in labels), default=0)
    margin = 30 + 7 * min(longest, 16)
    side = margin + cell * size
    width, height = math.ceil(side + 10), math.ceil(side + 26)
    body = _text(max(margin + cell * size / 2, 60), side + 18, "predicted")
    turn = f' transform="rotate(-90 14 {margin + cell * size / 2:.1f})"'
    body += _text(14, margin + cell * size / 2, "true", extra=turn)
    every = -(-size // 40)
    for row in range(size):
        y = margin + cell * row
        total = max(sum(counts[row]), 1)
        if row % every == 0:
            name = labels[row][:16]
            body += _text(margin - 5, y + cell / 2 + 4, name, "end")
            x = margin + cell * (row + 0.5) + 4
            turn = f' transform="rotate(-90 {x:.1f} {margin - 5})"'
            body += _text(x, margin - 5, name, "start", turn)
        for column in range(size):
            count = counts[row][column]
            x, share = margin + cell * column, count / total
            body += (
                f'<rect class="cell" x="{x:.1f}" y="{y:.1f}" width="{cell:.1f}" '
                f'height="{cell:.1f}" fill-opacity="{math.sqrt(share):.3f}"/>'
            )
            if count and size <= SHOWN_COUNTS:
                kind = ' class="on"' if share > 0.25 else ""
                body += _text(x + cell / 2, y + cell / 2 + 4, str(count), extra=kind)
    right = sum(counts[i][i] for i in range(size))
    description = f"{right} of {sum(map(sum, counts))} right; rows are the true class"
    return _frame(figure, description, body, width, height)

"""Figures filled into written text: `{cosine:accuracy}`, `{cosine minus step:accuracy}`.

    {recipe:field}                 a recipe of this group
    {data/recipe:field}            where it was run on several data sets: on which
    {group/recipe:field}           of another group; {data/group/recipe:field} both
    {one minus another:accuracy}   the difference in points, with its sign
    {{ and }}                      braces

A recipe run as written, where it has a shorter form, is called `recipe-full`. No figure in a
commentary is typed by hand, so none can be older than the table above it.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from kws.errors import UsageError, did_you_mean
from kws.experiments.rows import Mean, Row, Table
from kws.metrics import percent

PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
MINUS = " minus "


def spoken_time(seconds: float) -> str:
    """A duration with two digits or so.

    >>> spoken_time(0.42), spoken_time(34.4), spoken_time(245.0), spoken_time(9000.0)
    ('0.4 s', '34 s', '4.1 min', '2.5 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


FIELDS: dict[str, Callable[[Row, str], str]] = {
    "accuracy": lambda row, view: f"{percent(_mean(row, view).value)} %",
    "interval": lambda row, view: "–".join(map(percent, _mean(row, view).interval)),
    "n": lambda row, view: f"{_mean(row, view).n:,}",
    "seeds": lambda row, view: str(_mean(row, view).seeds),
    "spread": lambda row, view: percent(_mean(row, view).spread or 0.0),
    "parameters": lambda row, view: f"{row.results[0]['parameters']:,}",
    "steps": lambda row, view: f"{row.average('steps'):,.0f}",
    "time": lambda row, view: spoken_time(row.average("seconds", "wall")),
    "reported": lambda row, view: reported_figure(row),
}


def _mean(row: Row, view: str) -> Mean:
    if (mean := row.mean(view)) is None:
        raise UsageError(f"{row.key} was not measured on {view}: leave the figure out")
    return mean


def reported_figure(row: Row) -> str:
    """What the source says, in percent."""
    reported = row.written.reported
    if reported.accuracy is None:
        return "no figure"
    return f"{reported.accuracy:g}" + (f" ± {reported.spread:g}" if reported.spread else "") + " %"


def fill(text: str, tables: Sequence[Table], group: str, path: Path) -> str:
    """`text` with its placeholders replaced from the tables; `path` names it in messages.

    Raises:
        UsageError: a placeholder that stands for nothing, or for several things.
    """

    def figure(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        line = text.count("\n", 0, match.start()) + 1
        if match[1] is None:
            raise UsageError(f"{path}, line {line}: a single {match[0]}: write it twice")
        try:
            return _value(match[1], tables, group)
        except UsageError as error:
            raise UsageError(f"{path}, line {line}: {match[0]}: {error}") from None

    return PLACEHOLDER.sub(figure, text)


def _value(placeholder: str, tables: Sequence[Table], group: str) -> str:
    reference, colon, name = placeholder.rpartition(":")
    if not colon or name not in FIELDS:
        raise UsageError(
            f"no figure called {name!r}{did_you_mean(name, FIELDS)}: write recipe:figure with one "
            f"of {', '.join(FIELDS)}"
        )
    if MINUS not in reference:
        return FIELDS[name](*_find(reference.strip(), tables, group))
    if name != "accuracy":
        raise UsageError(f"differences are of accuracies: write accuracy instead of {name}")
    (one, view), (other, other_view) = (
        _find(part.strip(), tables, group) for part in reference.split(MINUS, 1)
    )
    return f"{100 * (_mean(one, view).value - _mean(other, other_view).value):+.1f} points"


def _find(reference: str, tables: Sequence[Table], group: str) -> tuple[Row, str]:
    """The row that a reference names, and the first view of its table."""
    *path, key = reference.split("/")
    groups, names = {table.group for table in tables}, {row.key for t in tables for row in t.rows}
    wanted = next((part for part in path if part in groups), group)
    data = [part for part in path if part not in groups]
    inside = [table for table in tables if table.group == wanted]
    rows = [
        (table.where, row, table.views)
        for table in inside
        for row in table.rows
        if row.key == key and (not data or (table.where and table.where.data == data[0]))
    ]
    if not rows:
        raise UsageError(f"no recipe {reference!r} here{did_you_mean(key, names)}: correct it")
    ran = [(where, row, views[0]) for where, row, views in rows if row.results and where]
    if not ran:
        raise UsageError(f"{reference} was not run: run it, or leave the figure out")
    if len(ran) > 1:
        known = ", ".join(f"{where.data}/{key}" for where, _, _ in ran)
        raise UsageError(f"{reference} was run on several data sets: write one of {known}")
    return ran[0][1], ran[0][2]

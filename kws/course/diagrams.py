"""Diagrams of models and algorithms, drawn from text: `diagram("conformer_block")` in a notebook.

An assignment's `diagrams.toml` has a table for each. A line of its `rows` is a row of the picture,
with `|` between columns; an arrow leads from each box down to the next. A cell is

    text       a box, with `//` between its lines; `text +` has a residual connection around it
    *text      a box in another color, `_text` text without a box
    (B, T, D)  the label of an arrow, `^` an arrow that goes on; an empty cell ends it
    > text     an arrow from the box at the left to the one at the right, `<` one back
    { text     a frame around what follows in its column, up to `}`

`edges` are more arrows, [row, column, row, column, label, "dashed"]. With `gap`, the distance of
columns in inches, cells form a table without arrows of its own; `widths` are those of the columns.
Sized for a phone: text of 10 points on a width of 390 pixels.
"""

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from kws.course.notebooks import assignment_folders
from kws.errors import UsageError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib
if TYPE_CHECKING:
    from matplotlib.figure import Figure


@cache
def tables() -> dict[str, dict[str, Any]]:
    paths = [folder / "diagrams.toml" for folder in assignment_folders().values()]
    texts = [path.read_text(encoding="utf-8") for path in paths if path.is_file()]
    return {name: table for text in texts for name, table in tomllib.loads(text).items()}


def diagram(name: str) -> "Figure":
    """The picture of this name. UsageError for one that the course does not have."""
    if name not in tables():
        near = did_you_mean(name, tables())
        raise UsageError(f"no diagram {name!r}{near}: choose one of {', '.join(tables())}")
    from kws.course.picture import Picture  # matplotlib, which checks do without

    return Picture(**tables()[name]).figure

"""The cells of a notebook of nbformat 4 or 3; a person looks at what is not whole JSON."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from grader.submission.decoding import plain

MAX_CELLS = 5_000
MAX_VALUES = 4_000_000  # numbers, texts, lists and so on in one file, outputs not counted
MARK = re.compile(r'"(?:cell_type|nbformat)"')


@dataclass(frozen=True, kw_only=True)
class NotebookCell:
    """One cell of any `kind`; `where` is "cell 7", counted from 1, or the name of a script."""

    kind: str
    source: str
    where: str
    raw: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class NotebookFile:
    """Cells, the assignment that the metadata name, repairs; `broken` says why there are none."""

    cells: tuple[NotebookCell, ...] = ()
    assignment: str | None = None
    notes: tuple[str, ...] = ()
    broken: str = ""


def looks_like_notebook(text: str) -> bool:
    """Whether this is JSON with cells, whole or broken, whatever the file is called."""
    return text.lstrip()[:1] in ("{", "[") and bool(MARK.search(text))


def read_notebook(text: str) -> NotebookFile:
    """The notebook in `text`; without cells where there are none to be found. Never raises."""
    if sum(map(text.count, "{[,")) > MAX_VALUES:
        return NotebookFile(broken="is too large")
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return NotebookFile(broken="is not a whole notebook: it was cut or damaged")
    raw = _raw_cells(tree)
    if raw is None:
        return NotebookFile(broken="is not a notebook")
    notes = []
    if raw and '"tags"' not in text:
        notes.append("the cells' tags were missing: answers were found by the names they define")
    if isinstance(tree, dict) and "worksheets" in tree:
        notes.append("the notebook has an old format: its worksheets were read")
    if len(raw) > MAX_CELLS:
        notes.append(f"only the first {MAX_CELLS} cells were read")
    stated = tree.get("metadata") if isinstance(tree, dict) else None
    ours = stated.get("kws") if isinstance(stated, dict) else None
    number = ours.get("assignment") if isinstance(ours, dict) else None
    return NotebookFile(
        cells=tuple(_cell(each, n) for n, each in enumerate(raw[:MAX_CELLS], start=1)),
        assignment=number if isinstance(number, str) else None,
        notes=tuple(notes),
    )


def _raw_cells(tree: Any) -> list[Any] | None:
    if isinstance(tree, list):
        return tree if any(isinstance(c, dict) and "cell_type" in c for c in tree) else None
    sheets = tree.get("worksheets") if isinstance(tree, dict) else None
    if isinstance(sheets, list):
        found = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        return [cell for cells in found if isinstance(cells, list) for cell in cells]
    cells = tree.get("cells") if isinstance(tree, dict) else None
    return cells if isinstance(cells, list) else None


def _cell(cell: Any, number: int) -> NotebookCell:
    raw = cell if isinstance(cell, dict) else {}
    kind, source = raw.get("cell_type"), raw.get("source", raw.get("input", ""))
    if isinstance(source, list):
        source = _joined(line for line in source if isinstance(line, str))
    return NotebookCell(
        kind=kind if isinstance(kind, str) else "unknown",
        source=plain(source).replace("\0", "") if isinstance(source, str) else "",
        where=f"cell {number}",
        raw=raw,
    )


def _joined(lines: Iterable[str]) -> str:
    """Lines of source as one text; some writers leave the newlines out."""
    listed = list(lines)
    if len(listed) > 1 and not any(line.endswith(("\n", "\r")) for line in listed[:-1]):
        return "\n".join(listed)
    return "".join(listed)

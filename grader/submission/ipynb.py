"""The cells of a notebook, also of one whose JSON broke.

Well-formed: nbformat 4, and 3 and 2, whose cells lie in worksheets. Broken: every stretch that
starts like a cell is read by itself, and of the cell in which the damage lies, the lines of source
in front of it. So is a notebook read that holds more values than memory should: nothing but the
sources of its cells.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from grader.submission.decoding import plain, sides

MAX_CELLS = 5_000
MAX_VALUES = 1_000_000  # numbers, texts, lists and so on in one file; a picture is one text
MAX_STARTS = 200_000  # places of a broken file that look like the start of a cell
MAX_LINES = 100_000  # of one cell's source in a broken file
EFFORT = 4  # how often the characters of a broken file are decoded before we only look for source
NESTED = 100_000  # characters that an attempt counts for which ended in too deep nesting
AHEAD = 16  # an attempt that failed counts the lines in front of it, so many times as fast
KEYS = "attachments|cell_type|collapsed|execution_count|id|input|language|level|metadata|outputs"
KEYS += "|source"
CELL = re.compile(r'\{\s*"(?:' + KEYS + r')"\s*:')
KIND = re.compile(r'"cell_type"\s*:\s*"(\w+)"')
SOURCE = re.compile(r'"(?:source|input)"\s*:\s*(?=["\[])')
SEPARATOR = re.compile(r"[\s,\[]*")
ASSIGNMENT = re.compile(r'"kws"\s*:\s*\{\s*"assignment"\s*:\s*"(\d\d)"')
STRING = json.decoder.scanstring  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True)
class NotebookCell:
    """One cell; `kind` is code, markdown, raw, or unknown in a broken file.

    `where` is "cell 7" as the student counts, or the name of a script.
    """

    kind: str
    source: str
    where: str


@dataclass(frozen=True, kw_only=True)
class NotebookFile:
    """What could be read: the cells, the assignment that the metadata name, and what was mended."""

    cells: tuple[NotebookCell, ...]
    assignment: str | None = None
    notes: tuple[str, ...] = ()


def looks_like_notebook(text: str) -> bool:
    """Whether this is JSON with cells, whole or broken, whatever the file is called."""
    start = text.lstrip()[:1]
    packed = start == '"' and '\\"nbformat\\"' in text
    return packed or (start in ("{", "[", "<") and bool(KIND.search(text) or '"nbformat"' in text))


def read_notebook(text: str) -> NotebookFile:
    """The notebook in `text`; without cells where there are none to be found. Never raises."""
    notes = []
    tree = _load(text)
    for _ in range(2):
        if isinstance(tree, str) and looks_like_notebook(tree):
            text, tree = tree, _load(tree)
            notes.append("the notebook was packed into a text once more: it was unpacked")
    if tree is None:
        for side in sides(text):
            tree = _load(side)
            if tree is not None:
                notes.append("merge conflicts in the file were resolved: look which side was kept")
                text = side
                break
    cells = _cells(tree)
    if cells is None:
        cells = _scan(text)
        if not cells:
            notes.append("the file is not a notebook, and no cell could be read from it")
        elif _is_full(text):
            notes.append("the file holds very many values: only its cells' sources were read")
        else:
            notes.append(
                f"the file is not a whole notebook: {len(cells)} cells could still be read from it"
            )
    elif cells and '"tags"' not in text:
        notes.append("the cells' tags were gone: answers were found by the names that they define")
    if isinstance(tree, dict) and "worksheets" in tree:
        notes.append("the notebook is of an old format: its worksheets were read")
    found = ASSIGNMENT.search(text)
    stated = tree.get("metadata") if isinstance(tree, dict) else None
    ours = stated.get("kws") if isinstance(stated, dict) else None
    number = ours.get("assignment") if isinstance(ours, dict) else None
    if not isinstance(number, str):
        number = found[1] if found else None
    if len(cells) > MAX_CELLS:
        notes.append(f"only the first {MAX_CELLS} cells were read")
    numbered = tuple(
        NotebookCell(kind=kind, source=plain(source).replace("\0", ""), where=f"cell {count}")
        for count, (kind, source) in enumerate(cells[:MAX_CELLS], start=1)
    )
    return NotebookFile(cells=numbered, assignment=number, notes=tuple(notes))


def _is_full(text: str) -> bool:
    """Whether the values in it would take many times the memory that the text does."""
    return sum(map(text.count, "{[,")) > MAX_VALUES


def _load(text: str) -> Any:
    if _is_full(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _cells(tree: Any) -> list[tuple[str, str]] | None:
    """Kind and source of each cell; None when the tree is not a notebook."""
    if isinstance(tree, dict) and isinstance(tree.get("worksheets"), list):
        sheets = [sheet for sheet in tree["worksheets"] if isinstance(sheet, dict)]
        listed = [cell for sheet in sheets for cell in _list(sheet.get("cells"))]
    elif isinstance(tree, dict) and isinstance(tree.get("cells"), list):
        listed = tree["cells"]
    elif isinstance(tree, list) and any(isinstance(c, dict) and "cell_type" in c for c in tree):
        listed = tree
    else:
        return None
    return [_cell(cell) for cell in listed[: MAX_CELLS + 1]]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _cell(cell: Any) -> tuple[str, str]:
    if not isinstance(cell, dict):
        return "unknown", ""
    kind = cell.get("cell_type")
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = _joined(line for line in source if isinstance(line, str))
    return (
        kind if isinstance(kind, str) else "unknown",
        source if isinstance(source, str) else "",
    )


def _joined(lines: Iterable[str]) -> str:
    """Lines of source as one text; some writers leave the newlines out."""
    listed = list(lines)
    if len(listed) > 1 and not any(line.endswith(("\n", "\r")) for line in listed[:-1]):
        return "\n".join(listed)
    return "".join(listed)


def _scan(text: str) -> list[tuple[str, str]]:
    """The cells of broken JSON, in order."""
    decoder = json.JSONDecoder()
    cells: list[tuple[str, str]] = []
    starts = itertools.islice((match.start() for match in CELL.finditer(text)), MAX_STARTS)
    done, left = 0, 0 if _is_full(text) else EFFORT * len(text) + NESTED
    kind = None
    for start, after in itertools.pairwise(itertools.chain(starts, [len(text)])):
        if start < done:
            continue
        if len(cells) > MAX_CELLS:
            break
        tree = None
        if left > 0:
            try:
                tree, done = decoder.raw_decode(text, start)
            except json.JSONDecodeError as error:
                left -= error.pos - start + error.pos // AHEAD
            except (ValueError, RecursionError):
                left -= NESTED
        if tree is not None and ("source" in tree or "input" in tree):
            cells.append(_cell(tree))
            kind = None
            continue
        stretch = text[start if tree is None else done : after]
        kind = KIND.search(stretch) or kind  # a cell's metadata may begin like another cell
        sources = list(itertools.islice(_sources(stretch), MAX_CELLS + 1))
        cells += [(kind[1] if kind else "unknown", source) for source in sources]
        kind = None if sources else kind
    return cells


def _sources(stretch: str) -> Iterator[str]:
    """The sources in a stretch of broken JSON, up to the first that breaks off."""
    for found in SOURCE.finditer(stretch):
        lines, whole = [], True
        try:
            for line in itertools.islice(_lines(stretch, found.end()), MAX_LINES):
                lines.append(line)  # what came before an error stays
        except ValueError:
            whole = False
        yield _joined(lines)
        if not whole:
            return


def _lines(text: str, position: int) -> Iterator[str]:
    """The strings of a list, or the one string, from `position` on; ValueError at a broken one."""
    alone = text[position] == '"'
    while True:
        gap = SEPARATOR.match(text, position)
        position = gap.end() if gap else position
        if text[position : position + 1] != '"':
            return
        line, position = STRING(text, position + 1, False)
        yield line
        if alone:
            return

"""The notebooks of the course: the folder of each assignment, and the cells of a saved notebook.

Folders, `a02_attention`, are listed here and named nowhere. Tags of cells:

export  its definitions are the answer: it runs whole
check   holds `with check("2.1-…", "…")` or `check_values("2.1-…", …)`, whatever its tags say
"""

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from kws.course.source import as_python, parse
from kws.errors import UsageError

COURSE = Path(__file__).parent
IMPORT = re.compile(r"^(?:from (kws[\w.]*) import (\w+)|import (kws[\w.]*))", re.MULTILINE)
DEFINES = re.compile(r"^(?:def|class) \w+", re.M)
LONGEST_HEAD = 32  # characters of a cell's first line in its name
CALLS = ("check_values", "check_accuracy")  # each is a check by itself


@cache
def assignment_folders() -> dict[str, Path]:
    """The folder of each assignment that this copy of the course has, by number: "02"."""
    found = sorted(COURSE.glob("a[0-9][0-9]_*/contract.py"))
    return {path.parent.name[1:3]: path.parent for path in found}


def stem_of(number: str) -> str:
    return assignment_folders()[number].name[1:]


@cache
def modules_used(number: str) -> frozenset[str]:
    """The modules of kws that its notebook imports, as it was released: answers may use them."""
    folder = assignment_folders().get(number)
    if folder is None or not (path := folder / "released.ipynb").is_file():
        return frozenset()
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    found = [match for source in sources for match in IMPORT.findall(source)]
    return frozenset(
        f"kws.{name}" if module == "kws" else module or whole for module, name, whole in found
    )


def task_of(check_id: str) -> str:
    """`2.1` of "2.1-attend-values"."""
    return check_id.partition("-")[0]


@dataclass(frozen=True, kw_only=True)
class NotebookCell:
    """One cell; `number` counts all cells from 1, as a reader of the notebook does."""

    number: int
    kind: str
    source: str
    id: str = ""
    tags: tuple[str, ...] = ()
    task: str | None = None
    checks: Mapping[str, str] = field(default_factory=dict)  # id -> title
    count: int | None = None  # the [7] that Jupyter shows, of the last time that it ran

    @property
    def name(self) -> str:
        """What a reader sees of it: "cell [7] `def attend`", without a number where it never ran.

        >>> NotebookCell(number=9, kind="code", source="# one\\ndef f(x):", count=7).name
        'cell [7] `def f`'
        """
        number = "" if self.count is None else f" [{self.count}]"
        return f"cell{number} `{self._head()}`"

    def _head(self) -> str:
        if found := DEFINES.search(self.source):
            return found[0]
        if self.checks:
            return next(iter(self.checks))
        lines = [line.strip() for line in self.source.splitlines()]
        first = next((line for line in lines if line and not line.startswith("#")), "empty")
        return first if len(first) <= LONGEST_HEAD else f"{first[:LONGEST_HEAD]}…"

    @property
    def answers(self) -> bool:
        return self.kind == "code" and ("export" in self.tags or self.task is not None)


def read_table(path: Path) -> dict[str, Any]:
    """The JSON of a notebook. UsageError for what is none."""
    try:
        table = json.loads(path.read_text(encoding="utf-8-sig"))
        if isinstance(table, dict) and isinstance(table.get("cells"), list):
            return table
        why = "it has no cells"
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        why = (
            f"line {error.lineno} is not valid JSON"
            if isinstance(error, json.JSONDecodeError)
            else ""
        )
    raise UsageError(
        f"{path} is not a whole notebook{f' ({why})' if why else ''}: save it again in Jupyter, or "
        "start over with kws reset and the number of the assignment"
    )


def read_cells(path: Path) -> list[NotebookCell]:
    return cells_of(read_table(path))


def cells_of(table: Mapping[str, Any]) -> list[NotebookCell]:
    """The cells of a notebook's JSON; what is malformed in one counts as absent."""
    return [_cell(raw, n) for n, raw in enumerate(table["cells"], 1) if isinstance(raw, dict)]


def _cell(raw: Mapping[str, Any], number: int) -> NotebookCell:
    kind = raw.get("cell_type")
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    tags, ours = metadata.get("tags"), metadata.get("kws")
    task = ours.get("task") if isinstance(ours, dict) else None
    source, count = text_of(raw), raw.get("execution_count")
    return NotebookCell(
        count=count if isinstance(count, int) else None,
        number=number,
        kind=kind if isinstance(kind, str) else "raw",
        source=source,
        id=str(raw.get("id", "")),
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
        task=task if isinstance(task, str) else None,
        checks=checks_in(source) if kind == "code" else {},
    )


def text_of(raw: Mapping[str, Any]) -> str:
    """The source of a cell: text, or a list of lines; Windows newlines are newlines."""
    source = raw.get("source", "")
    lines = source if isinstance(source, list) else [source]
    return "".join(map(str, lines)).replace("\r\n", "\n")


def checks_in(source: str) -> dict[str, str]:
    """Ids and titles of the visible checks of a cell, in order; of a broken cell, by its text."""
    try:
        tree = parse(as_python(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pattern = r'^(?:with check|check_values|check_accuracy)\(\s*"([^"]+)"'
        return {found: "" for found in re.findall(pattern, source, re.M)}
    return checks_of(tree)


def checks_of(tree: ast.AST) -> dict[str, str]:
    """Ids and titles of the checks below a node, in order; a trial's title is in its contract."""
    found = {}
    for node in sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", 0)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in CALLS:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found[first.value] = ""
        if not isinstance(node, ast.With):
            continue
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check":
                words = [each.value for each in call.args if isinstance(each, ast.Constant)]
                if words and isinstance(words[0], str):
                    found[words[0]] = str(words[1]) if len(words) > 1 else ""
    return found

"""A student's notebook from its solution: the same script gives the same bytes.

A solution is a py:percent script, `solutions/02_attention.py`. Its code cells may carry tags:

    export  its definitions are graded; only these may contain solution regions (see `markers`)
    check   a visible check
    staff   dropped, whatever kind of cell it is
    written a question that a person marks, see `questions`; as code, a place for its figure

All other text is kept; headings of tasks get their points. Metadata: `kws.assignment` of the
notebook, `kws.task` and `kws.written` of cells. A cell's id is its assignment and number,
`02-attention-003`.
"""

import ast
import importlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.markers import (
    HEADING,
    PLACEHOLDER,
    MarkerError,
    RawCell,
    divide_question,
    read_percent,
    regions_of,
    strip_solutions,
)
from grader.core.written import WrittenQuestion
from kws.errors import UsageError, did_you_mean

STEM = re.compile(r"(?P<number>\d\d)_[a-z0-9_]+")
TASK_HEADING = re.compile(r"^#+ (\d+\.\d+) .+$", re.MULTILINE)
TAGS = ("export", "check", "staff", "written")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


@dataclass(frozen=True, kw_only=True)
class SolutionCell:
    kind: str
    source: str
    tags: tuple[str, ...]
    line: int
    task: str | None


def solution_scripts(root: Path = ROOT) -> list[Path]:
    scripts = (root / "solutions").glob("*.py")
    return sorted(path for path in scripts if STEM.fullmatch(path.stem))


def read_solution(solution: Path) -> list[SolutionCell]:
    """Read all cells of a solution, staff cells included; UsageError names file and line."""
    name = f"{solution.parent.name}/{solution.name}"
    stem = STEM.fullmatch(solution.stem)
    if not stem:
        raise UsageError(f"{name}: call a solution NN_slug.py, such as 02_attention.py")
    try:
        text = solution.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise UsageError(f"{name}: cannot be read ({error}): write it as UTF-8 text") from error
    _parse(text, name, 1)
    number = str(int(stem["number"]))
    return [_cell(raw, name, raw.line, number) for raw in read_percent(text)]


def _in_the_script(raw: RawCell) -> str:
    if raw.cell_type == "code":
        return raw.source
    return "\n".join(f"# {line}".rstrip() for line in raw.source.split("\n"))


def _cell(raw: RawCell, name: str, line: int, number: str) -> SolutionCell:
    where = f"{name}:{line}"
    for tag in raw.tags:
        if tag not in TAGS:
            near = did_you_mean(tag, TAGS)
            raise UsageError(f"{where}: unknown tag {tag!r}{near}: choose one of {', '.join(TAGS)}")
    regions = regions_of(_in_the_script(raw), where=name, line=line)
    tasks = sorted({region.task for region in regions})
    if regions and (raw.cell_type != "code" or "export" not in raw.tags):
        raise MarkerError(f"{where}: a solution region outside a code cell with the tag `export`")
    if len(tasks) > 1:
        raise MarkerError(f"{where}: one cell answers {' and '.join(tasks)}: divide it")
    if tasks and tasks[0].partition(".")[0] != number:
        raise MarkerError(f"{where}: task {tasks[0]} does not belong to assignment {number}")
    if regions and "staff" in raw.tags:
        raise MarkerError(f"{where}: a solution region in a cell that students do not get")
    return SolutionCell(
        kind=raw.cell_type,
        source=raw.source,
        tags=raw.tags,
        line=line,
        task=tasks[0] if tasks else None,
    )


def _parse(source: str, name: str, line: int, what: str = "this") -> None:
    try:
        ast.parse(source)
    except SyntaxError as error:
        at = line + (error.lineno or 1) - 1
        raise UsageError(f"{name}:{at}: {what} is not valid Python: {error.msg}") from error


def student_cells(solution: Path) -> list[SolutionCell]:
    """The cells of the notebook, answers included; a written question becomes two cells."""
    cells, has_question = [], False
    for cell in read_solution(solution):
        if "staff" in cell.tags:
            continue
        if "written" not in cell.tags:
            cells.append(cell)
        elif cell.kind == "markdown":
            where = f"{solution.parent.name}/{solution.name}:{cell.line}"
            question, has_question = divide_question(cell.source, where), True
            placeholder = PLACEHOLDER.format(id=question.id)
            cells += [replace(cell, source=each) for each in (question.prompt, placeholder)]
        elif has_question and cell.kind == "code":
            cells.append(cell)
        else:
            raise UsageError(
                f"{solution.parent.name}/{solution.name}:{cell.line}: a cell with the tag "
                "`written` is a question in Markdown, or a code cell below one"
            )
    return cells


def points_of(solution: Path) -> Mapping[str, float]:
    """Points of each task of an assignment of the course; empty for other solutions."""
    folder = f"a{solution.stem}"
    course = ROOT / "grader" / "course" / folder / "test_checks.py"
    if solution.parent != ROOT / "solutions" or not course.is_file():
        return {}
    found: Counter[str] = Counter()
    for check in vars(importlib.import_module(f"grader.course.{folder}.test_checks")).values():
        for mark in getattr(check, "pytestmark", ()):
            if mark.name == "check" and not mark.kwargs.get("retrain"):
                found[mark.args[0]] += mark.kwargs["points"]
    return found


def build_notebook(solution: Path) -> str:
    def with_points(heading: re.Match[str]) -> str:
        earned = points.get(heading[1])
        return f"{heading[0]} ({earned:g} point{'s' * (earned != 1)})" if earned else heading[0]

    points = points_of(solution)
    name = f"{solution.parent.name}/{solution.name}"
    cells = []
    written = None  # the question that the cells for an answer belong to
    for cell in student_cells(solution):
        metadata: dict[str, Any] = {"tags": list(cell.tags)} if cell.tags else {}
        if cell.task:
            metadata["kws"] = {"task": cell.task}
        if "written" in cell.tags and (heading := HEADING.match(cell.source)):
            written = heading["id"]
        elif "written" in cell.tags:
            metadata["kws"] = {"written": written}
        table: dict[str, Any] = {
            "cell_type": cell.kind,
            "id": f"{solution.stem.replace('_', '-')}-{len(cells) + 1:03d}",
            "metadata": metadata,
            "source": cell.source,
        }
        if cell.kind == "markdown":
            table["source"] = TASK_HEADING.sub(with_points, cell.source)
        if cell.kind == "code":
            table["source"] = strip_solutions(cell.source, where=name, line=cell.line)
            _parse(table["source"], name, cell.line, "the cell with its TODO")
            table |= {"execution_count": None, "outputs": []}
        cells.append(table)
    number = solution.stem.partition("_")[0]
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": KERNEL,
            "kws": {"assignment": number},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    import nbformat  # slow to import

    nbformat.validate(notebook)
    for table in cells:
        table["source"] = table["source"].splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


@cache
def written_questions(number: str, root: Path = ROOT) -> tuple[WrittenQuestion, ...]:
    """The questions that a person marks, in order; UsageError for a duplicate."""
    solution = root / "solutions" / f"{ASSIGNMENTS[number].stem}.py"
    given = frozenset(
        (strip_solutions(cell.source) if cell.kind == "code" else cell.source).strip()
        for cell in student_cells(solution)
    )
    found: dict[str, WrittenQuestion] = {}
    for cell in read_solution(solution):
        if "written" not in cell.tags or cell.kind != "markdown":
            continue
        where = f"{solution.parent.name}/{solution.name}:{cell.line}"
        one = divide_question(cell.source, where)
        if one.id in found or int(one.id.partition(".")[0]) != int(number):
            raise UsageError(f"{where}: {one.id} is there twice, or of another assignment")
        found[one.id] = replace(one, given=given)
    return tuple(found.values())

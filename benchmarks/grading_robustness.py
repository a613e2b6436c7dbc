"""Right answers in bad shape: what becomes of them at each grader.

Each case is the benchmark's notebook with one thing wrong. Both answers are right but for two cases
in which question 1 ends or holds up the process: there question 2 is worth its point all the same.
"""

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from graders import Grade, Grader, Ours, Work
from grading_task import POINTS, STEM, notebook, notebook_bytes
from report import print_table

FILE = f"{STEM}.ipynb"


@dataclass(frozen=True)
class Case:
    """What is wrong with it, the file, and the points that it deserves."""

    name: str
    work: Work
    due: float = POINTS


def cases() -> list[Case]:
    """Every row of the table."""
    whole = notebook_bytes(notebook())
    return [
        Case("code emits a warning", _with('warnings.warn("a word of caution", stacklevel=2)')),
        Case("a test cell duplicated", Work(FILE, notebook_bytes(duplicated(notebook())))),
        Case("metadata stripped by an editor", Work(FILE, notebook_bytes(stripped(notebook())))),
        Case("os._exit in question 1", _with("os._exit(0)"), POINTS - 1),
        Case("while True in question 1", _with("while True: pass"), POINTS - 1),
        Case("40 MB of prints", _with('for _ in range(40): print("x" * 1_000_000)')),
        Case("truncated JSON", Work(FILE, truncated(whole))),
        Case("renamed notebook", Work("homework final (2).ipynb", whole)),
    ]


def _with(line: str) -> Work:
    """The notebook with one more line in the first answer."""
    return Work(FILE, notebook_bytes(notebook(extra=f"    {line}\n")))


def duplicated(table: dict[str, Any]) -> dict[str, Any]:
    """The first test cell twice, as copy and paste leaves it: a new id, the same metadata."""
    at = next(i for i, cell in enumerate(table["cells"]) if cell["id"] == "test-1")
    again = copy.deepcopy(table["cells"][at]) | {"id": "test-1-copy"}
    return {**table, "cells": [*table["cells"][: at + 1], again, *table["cells"][at + 1 :]]}


def stripped(table: dict[str, Any]) -> dict[str, Any]:
    """No metadata, of the notebook or of any cell."""
    return {**table, "metadata": {}, "cells": [cell | {"metadata": {}} for cell in table["cells"]]}


def truncated(data: bytes) -> bytes:
    """The file without its end; both answers are still in it."""
    return data[: data.index(b'"test-2"')]


def compare(graders: Sequence[Grader], limit: float) -> dict[str, dict[str, Any]]:
    """Print the table. Name of the grader -> how many cases it gave what they deserve, and each."""
    todo = cases()
    columns = [_grades(grader, todo, limit) for grader in graders]
    rows = [
        [case.name, f"{case.due:g} of {POINTS}", *(cells[i][1] for cells in columns)]
        for i, case in enumerate(todo)
    ]
    print_table(["case", "deserves", *(grader.name for grader in graders)], rows)
    print()
    return {
        grader.name: {
            "right": sum(
                grade.score == case.due for case, (grade, _) in zip(todo, cells, strict=True)
            ),
            "of": len(todo),
        }
        for grader, cells in zip(graders, columns, strict=True)
    }


def _grades(grader: Grader, todo: Sequence[Case], limit: float) -> list[tuple[Grade, str]]:
    """Grade and cell of each case; ours takes them all at once, as a class."""
    if isinstance(grader, Ours):
        names = {f"case{i}": case.work for i, case in enumerate(todo)}
        found = grader.grade(names, limit * len(todo))
        return [(found[name], str(found[name])) for name in names]
    cells = []
    for i, case in enumerate(todo):
        print(f"{grader.name}: {case.name}", file=sys.stderr, flush=True)
        started = perf_counter()
        (grade,) = grader.grade({f"case{i}": case.work}, limit).values()
        cells.append((grade, f"{grade} ({perf_counter() - started:.0f} s)"))
    return cells

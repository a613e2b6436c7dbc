"""Our answers, right and with mistakes, for the selftest, the demo and the tests.

The tables `[[mistake]]`, `[[alternative]]` and `[[borrowed]]` of an `assignment.toml` each have a
text of our solution to `find` and its replacement `put`. `added` reads the mistakes of a class from
added_NN.toml.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from grader.adapters import COURSE, FILE, get_assignment
from grader.authoring.build import read_solution
from grader.authoring.reference import solution
from grader.core.tables import parse_toml, read_entries
from grader.course.mistakes.added import added_mistakes, as_planted
from grader.course.mistakes.mistake import Alternative, Borrowed, Edit, Mistake
from kws.errors import UsageError

ATTACKED, ANSWER = "02", "def attend("  # the assignment whose attacks are planted, and their cell
SPELLED = re.compile(r"SPELLED\(([\w.]+)\)")


@dataclass(frozen=True)
class Planted:
    mistakes: Sequence[Mistake]
    alternatives: Mapping[str, Sequence[Edit]]
    borrowed: Sequence[Borrowed] = ()

    def rounds(self) -> list[list[Mistake]]:
        """One mistake of each task at a time: later tasks are graded on our earlier answers."""
        by_task: dict[str, list[Mistake]] = {}
        for mistake in self.mistakes:
            by_task.setdefault(mistake.task, []).append(mistake)
        rounds = itertools.zip_longest(*by_task.values())
        return [[mistake for mistake in one if mistake] for one in rounds]


def planted(number: str) -> Planted:
    own = _read(COURSE / get_assignment(number).folder / FILE)
    added = [as_planted(one, solution(number)) for one in added_mistakes(number)]
    return replace(own, mistakes=[*own.mistakes, *added])


@cache
def _read(path: Path) -> Planted:
    table, where = parse_toml(path.read_text(encoding="utf-8"), path), f"{path.parent.name}/{FILE}"
    borrowed = read_entries(Borrowed, table.get("borrowed", ()), f"{where}: borrowed")
    others = read_entries(Alternative, table.get("alternative", ()), f"{where}: alternative")
    return Planted(
        mistakes=read_entries(Mistake, table.get("mistake", ()), f"{where}: mistake"),
        alternatives={one.name: one.edit for one in others},
        borrowed=[
            replace(one, edit=tuple(Edit(old, SPELLED.sub(_spelled, new)) for old, new in one.edit))
            for one in borrowed
        ],
    )


def _spelled(found: re.Match[str]) -> str:
    return f"''.join(map(chr, {tuple(found[1].encode())}))"


def edited(number: str, edits: Iterable[Edit] = ()) -> bytes:
    """Our answers after edits; each text to replace must occur exactly once."""
    text = solution(number).read_text(encoding="utf-8")
    for old, new in edits:
        if text.count(old) != 1:
            raise UsageError(f"a planted edit does not fit its solution: {old!r}")
        text = text.replace(old, new)
    return text.encode()


def mistaken(number: str, mistakes: Iterable[Mistake]) -> bytes:
    return edited(number, [edit for mistake in mistakes for edit in mistake.edits])


def as_notebook(number: str, answer: str | None = None) -> dict[str, Any]:
    """Our answers as a notebook, optionally with another cell for `attend`."""
    path, cells = solution(number), []
    for at, cell in enumerate(read_solution(path)):
        source = answer if answer and ANSWER in cell.source and cell.task else cell.source
        table: dict[str, Any] = {"cell_type": cell.kind, "source": source}
        table |= {"id": f"{path.stem.replace('_', '-')}-{at:03d}"}
        table |= {"metadata": {"tags": list(cell.tags)}}
        code = {"outputs": [], "execution_count": None} if cell.kind == "code" else {}
        cells.append(table | code)
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}

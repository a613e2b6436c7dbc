"""Our own answers, and our answers gone wrong: what the selftest, the demo and the tests hand in.

`mistakes_NN.py` beside this file holds `MISTAKES`, `ALTERNATIVES` (other right answers: name ->
edits) and, where there are such, `NEED_WEIGHTS`: ids of checks that need trained weights. Mistakes
that came from a class are read by `added` from added_NN.json.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from grader.course.mistakes import (
    mistakes_01,
    mistakes_02,
    mistakes_03,
    mistakes_04,
    mistakes_05,
    mistakes_06,
    mistakes_07,
    mistakes_08,
    mistakes_09,
)
from grader.course.mistakes.added import added_mistakes, as_planted
from grader.course.mistakes.mistake import Edit, Mistake
from kws.errors import UsageError

ATTACKED, ANSWER = "02", "def attend("  # the assignment whose attacks are planted, and their cell


@dataclass(frozen=True)
class Planted:
    """What is planted in an assignment; see above."""

    mistakes: Sequence[Mistake]
    alternatives: Mapping[str, Sequence[Edit]]
    need_weights: tuple[str, ...] = ()

    def rounds(self) -> list[list[Mistake]]:
        """One mistake of each task at a time: later tasks are graded on our earlier answers."""
        by_task: dict[str, list[Mistake]] = {}
        for mistake in self.mistakes:
            by_task.setdefault(mistake.task, []).append(mistake)
        rounds = itertools.zip_longest(*by_task.values())
        return [[mistake for mistake in one if mistake] for one in rounds]


PLANTED = {
    "01": Planted(mistakes_01.MISTAKES, mistakes_01.ALTERNATIVES),
    "02": Planted(mistakes_02.MISTAKES, mistakes_02.ALTERNATIVES),
    "03": Planted(mistakes_03.MISTAKES, mistakes_03.ALTERNATIVES, mistakes_03.NEED_WEIGHTS),
    "04": Planted(mistakes_04.MISTAKES, mistakes_04.ALTERNATIVES, mistakes_04.NEED_WEIGHTS),
    "05": Planted(mistakes_05.MISTAKES, mistakes_05.ALTERNATIVES, mistakes_05.NEED_WEIGHTS),
    "06": Planted(mistakes_06.MISTAKES, mistakes_06.ALTERNATIVES, mistakes_06.NEED_WEIGHTS),
    "07": Planted(mistakes_07.MISTAKES, mistakes_07.ALTERNATIVES, mistakes_07.NEED_WEIGHTS),
    "08": Planted(mistakes_08.MISTAKES, mistakes_08.ALTERNATIVES, mistakes_08.NEED_WEIGHTS),
    "09": Planted(mistakes_09.MISTAKES, mistakes_09.ALTERNATIVES, mistakes_09.NEED_WEIGHTS),
}


def solution(number: str) -> Path:
    """Our answers to an assignment."""
    return ROOT / "solutions" / f"{ASSIGNMENTS[number].stem}.py"


def planted(number: str) -> Planted:
    """What is planted in an assignment; UsageError where nothing is."""
    if number not in PLANTED:
        known = ", ".join(PLANTED)
        raise UsageError(f"no mistakes are planted in assignment {number}: choose one of {known}")
    added = [as_planted(one, solution(number)) for one in added_mistakes(number)]
    return replace(PLANTED[number], mistakes=[*PLANTED[number].mistakes, *added])


def edited(number: str, edits: Iterable[Edit] = ()) -> bytes:
    """Our answers after some edits, each of a text that stands there once."""
    text = solution(number).read_text(encoding="utf-8")
    for old, new in edits:
        if text.count(old) != 1:
            raise UsageError(f"a planted edit does not fit its solution: {old!r}")
        text = text.replace(old, new)
    return text.encode()


def mistaken(number: str, mistakes: Iterable[Mistake]) -> bytes:
    """Our answers with all of these mistakes in them."""
    return edited(number, [edit for mistake in mistakes for edit in mistake.edits])


def as_notebook(number: str, answer: str | None = None) -> dict[str, Any]:
    """Our answers as a notebook, with another cell in the place of attend's where wanted."""
    path, cells = solution(number), []
    for at, cell in enumerate(read_solution(path)):
        source = answer if answer and ANSWER in cell.source and cell.task else cell.source
        table: dict[str, Any] = {"cell_type": cell.kind, "source": source}
        table |= {"id": f"{path.stem.replace('_', '-')}-{at:03d}"}
        table |= {"metadata": {"tags": list(cell.tags)}}
        code = {"outputs": [], "execution_count": None} if cell.kind == "code" else {}
        cells.append(table | code)
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}

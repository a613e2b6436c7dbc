"""Our own answers, and our answers gone wrong: what the selftest, the demo and the tests hand in.

Mistakes lie beside this file (`mistakes_NN.py`): `MISTAKES` are
(task, name, old text, new text, check, words, more edits …), `ALTERNATIVES` name -> edits, and
`NEED_WEIGHTS` ids of checks that need trained weights. An edit is (old text, new text).
"""

import importlib.util
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from kws.errors import UsageError

MISTAKES = Path(__file__).parent
ATTACKED, ANSWER = "02", "def attend("  # the assignment whose attacks are planted, and their cell
Edit = tuple[str, str]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer to `task`, made by `edits`, that `check` is to name in `words`."""

    task: str
    name: str
    check: str
    words: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Planted:
    """What is planted in an assignment; see above."""

    mistakes: tuple[Mistake, ...]
    alternatives: Mapping[str, Sequence[Edit]]
    need_weights: tuple[str, ...]

    def rounds(self) -> list[list[Mistake]]:
        """One mistake of each task at a time: later tasks are graded on our earlier answers."""
        by_task: dict[str, list[Mistake]] = {}
        for mistake in self.mistakes:
            by_task.setdefault(mistake.task, []).append(mistake)
        columns = itertools.zip_longest(*by_task.values())
        return [[mistake for mistake in column if mistake] for column in columns]


def solution(number: str) -> Path:
    """Our answers to an assignment."""
    return ROOT / "solutions" / f"{ASSIGNMENTS[number].stem}.py"


def planted(number: str) -> Planted:
    """What is planted in an assignment; UsageError where nothing is."""
    path = MISTAKES / f"mistakes_{number}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UsageError(f"{path} is not there: the selftest needs the whole repository")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Planted(
        mistakes=tuple(
            Mistake(task, name, check, words, ((old, new), *more))
            for task, name, old, new, check, words, *more in module.MISTAKES
        ),
        alternatives=module.ALTERNATIVES,
        need_weights=tuple(getattr(module, "NEED_WEIGHTS", ())),
    )


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

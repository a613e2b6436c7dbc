"""Our own answers as running code, whole or with edits; a student's code never runs here."""

import linecache
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from grader.authoring.percent import read_percent
from kws.course.trial import Trial

Results = list[tuple[str, Any]]  # (what, value), the last value an exception if one was raised


def exported_cells(solution: Path, text: str | None = None) -> list[str]:
    """The code that is graded, cell by cell; `text` stands in for what the file says."""
    text = solution.read_text(encoding="utf-8") if text is None else text
    return [cell.source for cell in read_percent(text) if "export" in cell.tags]


def load_answers(cells: Iterable[str], name: str) -> dict[str, Any]:
    """Run these cells one after the other; the names that they define. `name` is for tracebacks."""
    names: dict[str, Any] = {"__name__": name}
    for position, source in enumerate(cells):
        where = f"<{name} {position}>"
        linecache.cache[where] = (len(source), None, source.splitlines(keepends=True), where)
        exec(compile(source, where, "exec", dont_inherit=True), names)
    return names


def try_trial(
    trial: Trial, answers: Mapping[str, Any], seed: int, *, hidden: bool = False
) -> Results:
    """What the answers give, measured; an exception is the last result."""
    found: Results = []
    try:
        for what, value in trial.results(answers, seed=seed, hidden=hidden):
            found.append((what, value))
        return trial.measured(found, hidden=hidden)
    except Exception as error:
        kept = [] if trial.measure else found
        return [*kept, ("an exception", error)]

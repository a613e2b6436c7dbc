"""Run the visible checks of a saved notebook in a fresh process.

Only the requested checks, those of the tasks before them, the answers, and definitions from other
cells are run; `whole` runs everything. A deleted check runs as released. Results that only a whole
run produces are taken from the outputs saved in the notebook.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kws.course.notebooks import read_cells
from kws.course.source import as_python, decide, describe, parse
from kws.errors import UsageError
from kws.student.processes import CODE, JsonProcess, WarmProcess, warm_process
from kws.student.released import (
    SeveralTargets,
    Target,
    answers_of,
    checks_released,
    released_cells,
    task_of,
    tasks_before,
)
from kws.student.saved_outputs import saved_lines

MODELS = {  # assignment -> the model of its notebook that is graded with the handed-in weights
    "03": "SpeakerClassifier(100)",
    "04": "SpeakerConformer(40, 100)",
    "05": "small_model()",
    "06": "small_model(20)",
    "07": "SpeechTransformer(40, 19)",
    "08": "FastSpeech(len(SYMBOLS) + 1)",
    "09": "CodeModel()",
}
SECONDS, SECONDS_WHOLE = 60.0, 1200.0  # time limits by default
SECONDS_START = 300.0  # until torch is loaded, from a slow disk


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """What became of a check; `state`: pass, unmet, error, todo, or later (needs a whole run)."""

    check: str
    state: str
    text: str
    hint: str = ""
    where: str = ""
    printed: str = ""

    @property
    def passed(self) -> bool:
        return self.state == "pass"


@dataclass(frozen=True, kw_only=True)
class RaisedCell:
    name: str
    text: str
    where: str


def start_kernel() -> JsonProcess | WarmProcess:
    """A fresh process for one run of `kws.student.cell_process`, with torch loaded if possible."""
    return warm_process() or cold_kernel()


def cold_kernel() -> JsonProcess:
    """The same as a Python of its own, which loads torch now."""
    quiet = {"stderr": subprocess.DEVNULL, "env": {**os.environ, "MPLBACKEND": "Agg"}}
    return JsonProcess(
        [sys.executable, "-c", f"{CODE}from kws.student.cell_process import main; main()"], **quiet
    )


class LostFork(Exception):  # noqa: N818  (no error: another process runs the cells again)
    """A fork of the warm process ended early, by the student's doing or as a fork."""


def run_cells(
    kernel: JsonProcess | WarmProcess,
    job: dict[str, Any],
    seconds: float,
    handle: Callable[[dict[str, Any]], None],
) -> str:
    """Pass every event of the job to `handle`. Returns why it ended early, or ""."""
    kernel.send(job)
    end, cell = time.monotonic() + SECONDS_START, ""
    while True:
        try:
            event = kernel.receive(end - time.monotonic())
        except TimeoutError:
            if not cell:
                return "torch did not start"
            return f"{cell} was still running after {seconds:g} s"
        if event is None:
            if isinstance(kernel, WarmProcess):
                raise LostFork
            code = kernel.exit_code()
            return f"{cell} ended Python (exit code {code})" if cell else "Python ended"
        if "broken" in event:
            raise UsageError(f"torch does not start ({event['broken']}): install kws again")
        if event.get("done"):
            return ""
        if event.get("ready"):
            end = time.monotonic() + seconds
        cell = event["name"] if "cell" in event else cell
        handle(event)


def run_checks(
    path: Path,
    target: Target | SeveralTargets,
    *,
    whole: bool = False,
    seconds: float | None = None,
    kernel: JsonProcess | WarmProcess | None = None,
    raised: list[RaisedCell] | None = None,
    notes: list[str] | None = None,
) -> list[CheckOutcome]:
    """The checks of `target` on the notebook at `path`, in the order of the course.

    A `kernel` started in advance is used up. Cells that raised, with `whole`, or with a statement
    that was stopped are added to `raised`.
    `notes` receives which of several definitions of an answer counts. UsageError: not a notebook.
    """
    wanted = [check for check in checks_released(target.assignment) if target.covers(check)]
    cells = plan(path, target, whole=whole, notes=notes)
    job = {"folder": str(path.parent.resolve()), "cells": cells, "whole": whole}
    names = {cell["number"]: cell["name"] for cell in cells}
    found: dict[str, CheckOutcome] = {}
    broken: list[RaisedCell] = [] if raised is None else raised

    def handle(event: dict[str, Any]) -> None:
        if event.get("check") in wanted:
            found[event["check"]] = CheckOutcome(**event)
        cell, text = event.get("stopped"), event.get("text", "")
        if whole and "raised" in event:
            cell, text = event["raised"], f"raised {text}"
        if cell is not None:
            broken.append(RaisedCell(name=names[cell], text=text, where=event["where"]))

    usual = SECONDS_WHOLE if whole else SECONDS
    limit = usual if seconds is None else seconds
    try:
        with kernel or start_kernel() as kernel:
            ended = run_cells(kernel, job, limit, handle)
    except LostFork:
        found.clear()
        broken.clear()
        with cold_kernel() as kernel:
            ended = run_cells(kernel, job, limit, handle)
    missing = [check for check in wanted if check not in found]
    for check in missing:
        text = ended if check == missing[0] else "not reached"
        found[check] = CheckOutcome(check=check, state="error", text=text or "its cell did not run")
    ran = saved_lines(path) if any(each.state == "later" for each in found.values()) else {}
    return [_as_it_ran(found[check], ran) for check in wanted]


def weights_misfit(path: Path, number: str, weights: Path) -> str:
    """Why handed-in weights do not fit the notebook's model, in half a sentence; nothing if so."""
    model = {"make": MODELS[number], "weights": str(weights.resolve())}
    target = Target(assignment=number)
    cells = [each for each in plan(path, target) if each["mode"] != "checks"]
    checked: list[str] = []

    def handle(event: dict[str, Any]) -> None:
        if "weights" in event:
            checked.append(event["weights"])

    job = {"folder": str(path.parent.resolve()), "cells": cells, "model": model}
    try:
        with start_kernel() as kernel:
            ended = run_cells(kernel, job, SECONDS, handle)
    except LostFork:
        with cold_kernel() as kernel:
            ended = run_cells(kernel, job, SECONDS, handle)
    return checked[0] if checked else ended


def _as_it_ran(outcome: CheckOutcome, ran: Mapping[str, tuple[bool, str]]) -> CheckOutcome:
    """The check's result in the saved outputs, for checks that need a whole run."""
    if outcome.state != "later" or outcome.check not in ran:
        return outcome
    passed, text = ran[outcome.check]
    state, text = ("pass" if passed else "unmet"), f"{text} (as it ran in the notebook)"
    return CheckOutcome(check=outcome.check, state=state, text=text)


def plan(
    path: Path,
    target: Target | SeveralTargets,
    *,
    whole: bool = False,
    notes: list[str] | None = None,
) -> list[dict[str, Any]]:
    """Which cells run and how, up to the last requested check; `notes` as in `run_checks`."""
    cells = [cell for cell in read_cells(path) if cell.kind == "code"]
    there = {check for cell in cells for check in cell.checks}
    for cell in released_cells(target.assignment):
        if any(target.covers(check) and check not in there for check in cell.checks):
            cells.append(cell)
    wanted_tasks = {task_of(c) for cell in cells for c in cell.checks if target.covers(c)}
    before = tasks_before(target.assignment, wanted_tasks)
    planned, wanted_at = [], []
    for cell in cells:
        wanted = any(map(target.covers, cell.checks))
        if whole or (cell.answers and not cell.checks):
            mode = "whole"
        elif wanted or any(task_of(check) in before for check in cell.checks):
            mode = "checks"
        else:
            mode = "definitions"
        source, number = as_python(cell.source), len(planned) + 1
        planned.append({"number": number, "name": cell.name, "source": source, "mode": mode})
        if wanted:
            wanted_at.append(len(planned))
    if whole or not wanted_at:
        return planned[: max(wanted_at, default=0)]
    last = _without_rivals(planned, answers_of(target.assignment), [] if notes is None else notes)
    if last <= wanted_at[0]:  # as usual: an answer, then its checks
        return planned[: wanted_at[-1]]
    answers = [each for each in planned[:last] if each["mode"] != "checks"]
    return answers + [each for each in planned[: wanted_at[-1]] if each not in answers]


def _without_rivals(planned: list[dict[str, Any]], wanted: set[str], notes: list[str]) -> int:
    """Blank the definitions that do not count, and note which do; the last such cell's number."""
    nodes, where = [], []
    for cell in planned:
        try:
            body = parse(cell["source"]).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if cell["mode"] != "checks":
            nodes += body
            where += [cell] * len(body)
    decision = decide(nodes, wanted)
    for n in decision.losers:
        lines, node = where[n]["source"].split("\n"), nodes[n]
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        last = node.end_lineno or node.lineno
        lines[first - 1 : last] = [""] * (last - first + 1)
        where[n]["source"] = "\n".join(lines)
    places = [
        f"{cell['name']}, line {node.lineno}" for cell, node in zip(where, nodes, strict=True)
    ]
    several = []
    for name, (there, best) in decision.winners.items():
        if name in wanted:
            several.append(best)
            notes.append(describe(name, [places[n] for n in there], places[best]))
    return max((where[best]["number"] for best in several), default=0)

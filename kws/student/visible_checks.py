"""The visible checks of a saved notebook, run in a fresh process; what became of each.

The answers run, and the checks that were asked for; of all other cells only what they define. With
`whole`, everything runs, plots and trainings too. A check whose cell was deleted runs as released.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kws
from kws.errors import UsageError
from kws.parallel import JsonProcess
from kws.student.cells import as_python, read_cells
from kws.student.released import SeveralTargets, Target, checks_released, released_cells

SECONDS, SECONDS_WHOLE = 60.0, 1200.0  # time limits by default
SECONDS_START = 300.0  # until torch is loaded, from a slow disk
ROOT = Path(kws.__file__).parents[1]
START = (  # this very kws, and nothing of the folder that we are in
    f"import sys; sys.path[:] = [{str(ROOT)!r}, *filter(None, sys.path)]; import kws; "
    "del sys.path[0]; from kws.student.cell_process import main; main()"
)


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """What became of one check.

    `state` is pass, unmet, error, todo (not started) or later (needs the whole notebook).
    """

    check: str
    state: str
    text: str
    hint: str = ""
    where: str = ""
    printed: str = ""

    @property
    def passed(self) -> bool:
        """Whether the check passes."""
        return self.state == "pass"


def start_kernel() -> JsonProcess:
    """A fresh Python for one run of `kws.student.cell_process`, loading torch already."""
    quiet = {"stderr": subprocess.DEVNULL, "env": {**os.environ, "MPLBACKEND": "Agg"}}
    return JsonProcess([sys.executable, "-c", START], **quiet)


def run_cells(
    kernel: JsonProcess,
    job: dict[str, Any],
    seconds: float,
    heard: Callable[[dict[str, Any]], None],
) -> str:
    """Hand every event of the job to `heard`. Returns why it ended early, or nothing."""
    kernel.send(job)
    end, cell = time.monotonic() + SECONDS_START, 0
    while True:
        try:
            event = kernel.receive(end - time.monotonic())
        except TimeoutError:
            if not cell:
                return "torch did not start"
            return f"cell {cell} was still running after {seconds:g} s"
        if event is None:
            code = kernel.process.wait()
            return f"cell {cell} ended Python (exit code {code})" if cell else "Python ended"
        if "broken" in event:
            raise UsageError(f"torch does not start ({event['broken']}): install kws again")
        if event.get("done"):
            return ""
        if event.get("ready"):
            end = time.monotonic() + seconds
        cell = event.get("cell", cell)
        heard(event)


def run_checks(
    path: Path,
    target: Target | SeveralTargets,
    *,
    whole: bool = False,
    seconds: float | None = None,
    kernel: JsonProcess | None = None,
) -> list[CheckOutcome]:
    """The checks of `target` on the notebook at `path`, in the order of the course.

    A `kernel` that was started before answers sooner; it is used up. UsageError for a file that is
    not a notebook.
    """
    wanted = [check for check in checks_released(target.assignment) if target.covers(check)]
    job = {"folder": str(path.parent.resolve()), "cells": plan(path, target, whole=whole)}
    found: dict[str, CheckOutcome] = {}

    def heard(event: dict[str, Any]) -> None:
        if event.get("check") in wanted:
            found[event["check"]] = CheckOutcome(**event)

    limit = seconds if seconds is not None else SECONDS_WHOLE if whole else SECONDS
    with kernel or start_kernel() as kernel:
        ended = run_cells(kernel, job, limit, heard)
    missing = [check for check in wanted if check not in found]
    for check in missing:
        text = ended if check == missing[0] else "not reached"
        found[check] = CheckOutcome(check=check, state="error", text=text or "its cell did not run")
    return [found[check] for check in wanted]


def plan(
    path: Path, target: Target | SeveralTargets, *, whole: bool = False
) -> list[dict[str, Any]]:
    """Which cells run and how, up to the last check that was asked for."""
    cells = [cell for cell in read_cells(path) if cell.kind == "code"]
    there = {check for cell in cells for check in cell.checks}
    for cell in released_cells(target.assignment):
        if any(target.covers(check) and check not in there for check in cell.checks):
            cells.append(cell)
    planned, last = [], 0
    for cell in cells:
        asked = any(map(target.covers, cell.checks))
        if whole or (cell.answers and not cell.checks):
            mode = "whole"
        else:
            mode = "checks" if asked else "definitions"
        planned.append({"number": cell.number, "source": as_python(cell.source), "mode": mode})
        if asked:
            last = len(planned)
    return planned[:last]

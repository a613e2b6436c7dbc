"""`python -m grader selftest`: grade submissions with known results, before a release.

For each assignment our own answer earns everything, the blank notebook nothing, other right answers
everything, and each planted mistake loses points at the check that names it, in the words planned.
Attacks earn what the same wrong answer earns without them, and cost honest answers nothing; a
damaged file keeps its points. The students' kits contain no secrets.

Checks that need trained weights are left out.
"""

import contextlib
import json
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from grader.adapters import ASSIGNMENTS, Assignment, get_assignment
from grader.authoring.build import build_notebook
from grader.batch.workers import Workers
from grader.core.outcomes import Report
from grader.core.seed import VARIABLE
from grader.course.attacks import ATTACKS, WRONG
from grader.course.broken_files import BROKEN, cut_off
from grader.course.mistakes.mistake import Borrowed
from grader.course.mistakes.planted import (
    ATTACKED,
    Mistake,
    as_notebook,
    edited,
    mistaken,
    planted,
    solution,
)
from kws.errors import UsageError
from kws.parallel import cores

SECRET = "c0ffee-the-hidden-seed"
Judge = Callable[[Report], list[str]]


@dataclass(frozen=True, kw_only=True)
class SelftestCase:
    """One submission: what it is, its assignment and files, and what is wrong with its report."""

    name: str
    assignment: str
    files: dict[str, bytes]
    judge: Judge


def main(number: str | None = None) -> int:
    """Run all cases and print what failed; return 1 if anything did."""
    chosen = [get_assignment(number)] if number else list(ASSIGNMENTS.values())
    here = tempfile.TemporaryDirectory(prefix="selftest-")
    with here as folder, socket.create_server(("127.0.0.1", 0)) as server:
        trials = [trial for one in chosen for trial in _trials(one)]
        if any(one.number == ATTACKED for one in chosen):
            attacks = _attacks(Path(folder) / "attacked", server.getsockname()[1])
            trials = [*attacks, *trials]  # two of them take longest
        short = grade_trials(trials, Path(folder))
        short += ["an attack reached the network"] * _was_called(server)
    short += [fault for one in chosen for fault in _kit(one)]
    for line in short:
        print(f"fell short: {line}")
    print(f"{len(trials)} submissions and {len(chosen)} kits tried, {len(short)} fell short")
    return 1 if short else 0


def grade_trials(trials: Sequence[SelftestCase], folder: Path) -> list[str]:
    jobs = []
    for at, trial in enumerate(trials):
        place = folder / f"{at:04d}"
        for name, data in trial.files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
        jobs.append(_job(trial, place))
    messages: dict[int, list[str]] = {}
    with Workers(cores(), environ={VARIABLE: SECRET}) as workers:
        workers.info()
        answers = workers.run(jobs)
        for at, answer in tqdm(answers, total=len(jobs), unit="submission", file=sys.stderr):
            faults = [f"the grader stumbled: {fault}" for fault in answer["faults"]]
            reports = [Report.from_json(row["report"]) for row in answer["graded"]]
            if not reports and not faults:
                faults = ["nothing was graded"]
            messages[at] = faults + [
                word for report in reports for word in trials[at].judge(report)
            ]
    return [
        f"{trials[at].assignment} {trials[at].name}: {word}"
        for at in sorted(messages)
        for word in messages[at]
    ]


def _job(trial: SelftestCase, place: Path) -> dict[str, Any]:
    return {
        "student": "",
        "files": [[place.name, str(place)]],
        "assignment": trial.assignment,
        "guess": trial.assignment,
        "retrain": False,
        "wall": 600.0,
        "have": {},
    }


# Cases


def _trials(assignment: Assignment) -> Iterator[SelftestCase]:
    number, found = assignment.number, planted(assignment.number)
    name, whole = f"{assignment.stem}.py", everything(assignment.need_weights)

    def trial(title: str, files: dict[str, bytes], judge: Judge) -> SelftestCase:
        return SelftestCase(name=title, assignment=number, files=files, judge=judge)

    yield trial("reference", {name: edited(number)}, whole)
    blank = build_notebook(solution(number)).encode()
    yield trial("blank", {f"{assignment.stem}.ipynb": blank}, nothing)
    for title, edits in found.alternatives.items():
        yield trial(f"other answer, {title}", {name: edited(number, edits)}, whole)
    for round_ in found.rounds():
        titles = ", ".join(f"“{mistake.name}”" for mistake in round_)
        yield trial(f"mistakes {titles}", {name: mistaken(number, round_)}, named(round_))
    for one in found.borrowed:
        title = f"borrowed or pretended, {one.name}"
        yield trial(title, {name: edited(number, one.edit)}, without_gain(one))
    for title, broken in BROKEN.items():
        file, data = broken(as_notebook(number))
        yield trial(f"broken file, {title}", {file: data}, whole)
    file, data = cut_off(as_notebook(number))
    yield trial("broken file, cut off", {file: data}, left_open)


# Judges: what is wrong with a report


def everything(without: Sequence[str] = ()) -> Judge:
    return lambda report: [
        f"{check.id} earned {check.earned} of {check.points}: {check.message}"
        for check in report.checks
        if not check.passed and check.id not in without
    ]


def nothing(report: Report) -> list[str]:
    return [
        f"{check.id} earned {check.earned}"
        for check in report.checks
        if check.earned is None or check.earned > 0
    ]


def left_open(report: Report) -> list[str]:
    return [f"{each.id} is not open" for each in report.checks if each.earned is not None]


def without_gain(one: Borrowed) -> Judge:
    return lambda report: [
        f"“{one.name}” earned {check.earned} of {check.points} at {check.id}"
        for check in report.checks
        if check.id == one.check and check.earned != 0
    ]


def named(mistakes: Sequence[Mistake]) -> Judge:
    """Each mistake loses points at its check, with its hint."""

    def judge(report: Report) -> list[str]:
        wrong = []
        for one in mistakes:
            caught = [
                f"{check.message}\n{check.hint}"
                for check in report.checks
                if check.task == one.task and one.check in ("", check.id)
                if check.earned is not None and not check.passed
            ]
            if not caught:
                wrong.append(f"“{one.name}” is not caught in {one.task}")
            elif not any(one.question in messages or " raised " in messages for messages in caught):
                wrong.append(f"“{one.name}”: nothing asks “{one.question}”, but “{caught[0]}”")
        return wrong

    return judge


def _attacks(folder: Path, port: int) -> Iterator[SelftestCase]:
    folder.mkdir()
    (folder / "other").write_text(SECRET)
    for at, attack in enumerate((WRONG, *ATTACKS)):
        target = folder / f"written-{at}"
        cell = attack.cell(
            TARGET=str(target),
            OTHER=str(folder / "other"),
            COURSE=str(folder / "course"),
            PORT=port,
            SOCKET=str(folder / "line"),
            SECRET_NAME=VARIABLE,
        )
        notebook = json.dumps(as_notebook(ATTACKED, cell)).encode()
        yield SelftestCase(
            name=f"attack, {attack.name}",
            assignment=ATTACKED,
            files={f"{ASSIGNMENTS[ATTACKED].stem}.ipynb": notebook, **attack.files},
            judge=gained(target),
        )


def gained(target: Path) -> Judge:
    """An attack on task 2.1 gains nothing, and the other answers lose nothing."""
    task = "2.1"

    def judge(report: Report) -> list[str]:
        wrong = [
            f"{check.id} earned {check.earned} of {check.points}: {check.message}"
            for check in report.checks
            if check.task != task and not check.passed
        ]
        values = [c for c in report.checks if c.task == task and "values" in c.id]
        wrong += [f"{check.id} passed" for check in values if check.passed]
        wrong += [f"it wrote {target.name}"] if target.exists() else []
        wrong += ["the secret is in the report"] if SECRET in report.to_json() else []
        return wrong

    return judge


def _was_called(server: socket.socket) -> bool:
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        server.accept()[0].close()
        return True
    return False


def _kit(assignment: Assignment) -> list[str]:
    from grader.authoring.kit import make_kit

    try:
        make_kit(assignment.number)
    except UsageError as error:
        return [f"kit through {assignment.number}: {error}"]
    return []

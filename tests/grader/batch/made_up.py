"""Checks, entries and outcomes made up for tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from grader.batch.handins import HandIn
from grader.batch.remarks import Outcome
from grader.batch.roster import Turn
from grader.core.outcomes import CheckResult, Reason, Report


def check(name: str, points: float, earned: float | None, message: str = "") -> CheckResult:
    reason = None if earned == points else Reason.WRONG if earned is not None else Reason.ERROR
    return CheckResult(
        id=name,
        task=name[:3],
        title=f"{name} holds",
        points=points,
        earned=earned,
        reason=reason,
        message=message,
    )


def entry(student: str, hour: int = 0, **more) -> HandIn:
    source = more.pop("source", student)
    return HandIn(
        student=student,
        keys=(student,),
        source=source,
        files=((source, Path("submissions") / source),),
        when=datetime(2025, 3, 1, hour, tzinfo=timezone.utc),
        **more,
    )


def outcome(report: Report, **more) -> Outcome:
    student = report.student
    turn = more.pop("turn", None) or Turn(student=student, name="", entry=entry(student))
    return Outcome(turn=turn, report=report, **more)


@contextmanager
def nested(folder: Path, levels: int, name: str) -> Iterator[None]:
    """So many folders within each other; pytest could not clear them away itself."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        yield
    finally:
        spare = folder.parent / "spare"
        while (folder / name).is_dir():
            with suppress(OSError):  # the last has none in it
                (folder / name / name).rename(spare)
            (folder / name).rmdir()
            if spare.exists():
                spare.rename(folder / name)

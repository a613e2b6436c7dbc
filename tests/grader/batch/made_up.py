"""checks, entries and results made up for tests."""

import os
import subprocess
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from grader.batch.handins import FolderEntry
from grader.batch.roster import GradedSubmission, StudentSubmission
from grader.core.outcomes import CheckResult, Reason, Report


def check(name: str, points: float, earned: float | None, message: str = "", **more) -> CheckResult:
    reason = None if earned == points else Reason.WRONG if earned is not None else Reason.ERROR
    given = {"id": name, "task": name[:3], "title": f"{name} holds", "points": points}
    given |= {"earned": earned, "reason": reason, "message": message}
    return CheckResult(**given | more)


def report_of(*checks: CheckResult, student: str = "alice", **more) -> Report:
    given = {"assignment": "02", "title": "Attention", "digest": "d1", "checks_digest": "c1"}
    given |= {"seed_id": "development", "tier": "sealed"}
    return Report(student=student, checks=checks, **{**given, **more})


def entry(student: str, hour: int = 0, **more) -> FolderEntry:
    source = more.pop("source", student)
    return FolderEntry(
        student=student,
        keys=(student,),
        source=source,
        files=((source, Path("submissions") / source),),
        when=datetime(2025, 3, 1, hour, tzinfo=timezone.utc),
        **more,
    )


def outcome(report: Report, **more) -> GradedSubmission:
    student = report.student
    submission = more.pop("submission", None) or StudentSubmission(
        student=student, name="", entry=entry(student)
    )
    return GradedSubmission(submission=submission, report=report, **more)


@contextmanager
def nested(folder: Path, levels: int, name: str, files: dict[str, bytes] | None = None):
    """So many folders within each other, and files in the last: paths longer than a call takes."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        outer, here = here, os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(outer)
    for file, data in (files or {}).items():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, dir_fd=here), "wb") as opened:
            opened.write(data)
    os.close(here)
    try:
        yield
    finally:  # pytest could not clear them away itself
        subprocess.run(["rm", "-rf", folder / name], check=True)

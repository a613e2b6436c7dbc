"""Remarks on submissions for staff: late, twice, similar to another. No points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from grader.batch.roster import StudentSubmission
from grader.core.outcomes import Report
from grader.reports.course_rules import format_span
from grader.reports.similarity import Pair
from kws.errors import UsageError

Key = tuple[str, str]  # student, assignment
NAMED = 3  # others with similar work; more are counted


@dataclass(frozen=True, kw_only=True)
class GradedSubmission:
    submission: StudentSubmission
    report: Report
    kept: bool = False
    faults: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.submission.student, self.report.assignment


def read_deadline(text: str, *, option: str = "--deadline") -> datetime:
    """An ISO date and time; without an offset in this machine's time zone."""
    try:
        when = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is not a date: write 2025-03-01T23:59, or 2025-03-01T23:59+01:00"
        ) from None
    return when.astimezone()


def lateness(submission: StudentSubmission, deadline: datetime | None) -> str:
    entry = submission.entry
    if deadline is not None and entry.when > deadline:
        when = entry.when.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        return f"late by {format_span(entry.when - deadline)} ({when})"
    # a date that is in time by our deadline or extension counts more than Canvas's mark
    return "late, according to its file name" if entry.marked and deadline is None else ""


def several(names: Sequence[str]) -> str:
    """
    >>> several(["bob", "cy"]), several(["bob", "cy", "di", "eva", "flo"])
    ('bob, cy', 'bob, cy, di and 2 others')
    """
    more = len(names) - NAMED
    if more < 2:  # "and 1 other" is not shorter than the name
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {more} others"


def circumstances(
    submission: StudentSubmission, deadline: datetime | None = None
) -> tuple[str, ...]:
    """Remarks that do not depend on the result: late, more than once, unknown student."""
    words = [lateness(submission, deadline)]
    if submission.replaced:
        others = several([entry.source for entry in submission.replaced])
        words.append(f"handed in more than once: {submission.entry.source} counts, not {others}")
    if not submission.known:
        words.append("not on the roster")
    return tuple(word for word in words if word)


def remarks(
    graded: Sequence[GradedSubmission],
    deadline_of: Callable[[str, str], datetime | None] = lambda student, number: None,
    similar: Sequence[Pair] = (),
) -> dict[Key, tuple[str, ...]]:
    resembling: dict[Key, list[str]] = {}
    for pair in similar:
        for student in pair.students:
            resembling.setdefault((student, pair.assignment), []).append(pair.other(student))
    found = {}
    for one in graded:
        words = list(circumstances(one.submission, deadline_of(*one.key)))
        if one.key in resembling:
            words.append(f"similar to {several(sorted(resembling[one.key]))}: see similar.html")
        if one.faults:
            words.append(f"attempts that failed: {'; '.join(one.faults)}")
        if words:
            found[one.key] = tuple(words)
    return found

"""The changes between two gradings: student, points, check and reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from grader.batch.grade_class import ClassResult
from grader.core.outcomes import CheckResult, Report
from grader.core.text import one_line
from grader.reports.gradebook import as_csv
from grader.reports.scorecard import points

WHY = {
    "digest": "another submission",
    "checks_digest": "other checks",
    "seed_id": "another secret seed",
    "tier": "another tier of isolation",
}


@dataclass(frozen=True, kw_only=True)
class Change:
    student: str
    assignment: str
    before: float
    after: float
    # what differs in what the two were graded from; "open points" where nothing does
    why: tuple[str, ...]
    # before and after of each check that earned something else; None where there is none
    checks: tuple[tuple[CheckResult | None, CheckResult | None], ...]


def compare(before: Report, after: Report) -> Change | None:
    """The change between two reports on a student and an assignment; None if equal."""
    old = {check.id: check for check in before.checks}
    new = {check.id: check for check in after.checks}
    pairs = [(old.get(one), new.get(one)) for one in [*new, *(i for i in old if i not in new)]]
    checks = tuple(pair for pair in pairs if _worth(pair[0]) != _worth(pair[1]))
    if not checks:
        return None
    why = [words for key, words in WHY.items() if getattr(before, key) != getattr(after, key)]
    return Change(
        student=after.student,
        assignment=after.assignment,
        before=before.score,
        after=after.score,
        why=tuple(why) or ("another attempt",),
        checks=checks,
    )


def _worth(check: CheckResult | None) -> tuple[float | None, float] | None:
    return check and (check.earned, check.points)


def changes(batch: ClassResult) -> tuple[Change, ...]:
    found = [
        compare(batch.before[one.key], one.report)
        for one in batch.graded
        if one.key in batch.before
    ]
    return tuple(change for change in found if change is not None)


def table(found: Sequence[Change], *, every_check: bool = True) -> list[str]:
    """One line per student, with `every_check` followed by one per check."""
    if not found:
        return ["no points changed"]
    lines = [f"points of {len(found)} changed:"]
    for one in found:
        gap = one.after - one.before
        sign = "+" if gap >= 0 else "−"
        lines.append(
            f"  {one.student} {one.assignment}: {points(one.before)} → {points(one.after)} "
            f"({sign}{points(abs(gap))}): {', '.join(one.why)}"
        )
        if not every_check:
            continue
        for old, new in one.checks:
            lines.append(f"    {describe_check(old, new)}")
    return [one_line(line) for line in lines]


def describe_check(old: CheckResult | None, new: CheckResult | None) -> str:
    """A check before and after, of which one may be None, as a line."""
    name = (new or old).id  # type: ignore[union-attr]
    return f"{name}: {_describe(old)} → {_describe(new)}{_reason(old, new)}"


def _describe(check: CheckResult | None) -> str:
    return f"{points(check.earned)}/{points(check.points)}" if check else "no such check"


def _reason(old: CheckResult | None, new: CheckResult | None) -> str:
    if new is not None and new.message:
        return f": {new.message}"
    return f": no longer “{old.message}”" if old is not None and old.message else ""


def changes_table(found: Sequence[Change]) -> bytes:
    """A CSV with a line for each check that changed."""
    rows = [["student", "assignment", "check", "before", "after", "of", "why", "message"]]
    for one in found:
        for old, new in one.checks:
            check = new or old
            assert check is not None
            earned = [points(c.earned) if c and c.earned is not None else "" for c in (old, new)]
            row = [one.student, one.assignment, check.id, *earned, points(check.points)]
            rows.append([*row, ", ".join(one.why), _reason(old, new).removeprefix(": ")])
    return as_csv(rows)

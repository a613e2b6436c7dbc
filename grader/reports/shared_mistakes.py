"""Wrong answers that several students share and no hint covers, found by fingerprints.

Two answers are equal if the same results differ from ours, with the same values up to rounding.
Only answers to the same hidden inputs (checks and seed) are compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grader.core.outcomes import CheckResult, Report
from kws.course.compare import Record
from kws.course.trial import ATOL, RTOL

FEWEST = 2  # students: one alone is not a pattern


@dataclass(frozen=True, kw_only=True)
class SharedMistake:
    """One wrong answer to a task.

    Attributes:
        checks: ids of the failed checks.
        message: that of the first of these checks.
        programs: each version of the code and its students; the most frequent first.
    """

    task: str
    checks: tuple[str, ...]
    message: str
    programs: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def students(self) -> tuple[str, ...]:
        return tuple(sorted(one for _, students in self.programs for one in students))


def shared_mistakes(reports: Sequence[Report]) -> list[SharedMistake]:
    """Those of these reports of one assignment, the most frequent first."""
    found: dict[tuple[str, tuple[str, ...]], SharedMistake] = {}
    for group in _groups(reports):
        first = group[0][1]
        codes: dict[str, list[str]] = {}
        for student, check in group:
            codes.setdefault(check.code, []).append(student)
        ranked = sorted(codes.items(), key=lambda pair: (-len(pair[1]), sorted(pair[1])))
        one = SharedMistake(
            task=first.task,
            checks=(first.id,),
            message=first.message,
            programs=tuple((code, tuple(sorted(students))) for code, students in ranked),
        )
        key = one.task, one.students
        if key in found:  # the same mistake, seen by two checks
            before = found[key]
            one = SharedMistake(
                task=one.task,
                checks=(*before.checks, first.id),
                message=before.message,
                programs=before.programs,
            )
        found[key] = one
    return sorted(found.values(), key=lambda one: (-len(one.students), one.task, one.students))


def _groups(reports: Sequence[Report]) -> Iterator[list[tuple[str, CheckResult]]]:
    groups: dict[tuple[str, ...], list[list[tuple[str, CheckResult]]]] = {}
    for report in sorted(reports, key=lambda report: report.student):
        for check in report.checks:
            if not check.fingerprint or check.hint or check.passed:
                continue
            key = check.id, report.seed_id, report.checks_digest
            same = groups.setdefault(key, [])
            for group in same:
                if same_fingerprint(group[0][1], check):
                    group.append((report.student, check))
                    break
            else:
                same.append([(report.student, check)])
    for same in groups.values():
        yield from (group for group in same if len(group) >= FEWEST)


def same_fingerprint(a: CheckResult, b: CheckResult) -> bool:
    """Whether two wrong answers to a check are the same, up to rounding."""
    if set(a.fingerprint) != set(b.fingerprint):
        return False
    pairs = [(a.fingerprint[at], b.fingerprint[at]) for at in a.fingerprint]
    return all(
        Record.from_json(one).is_like(Record.from_json(other), 2 * RTOL, 2 * ATOL)
        for one, other in pairs
    )

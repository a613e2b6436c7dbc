"""What a batch says at its end: how many of what, who needs a person, what to know, which files."""

from collections.abc import Iterator, Sequence

from grader.batch.grade_class import ClassResult
from grader.batch.remarks import GradedSubmission
from grader.core.outcomes import Reason, Report, Verdict
from grader.core.text import one_line
from grader.reports.scorecard import mean_in_words, verdicts_in_words

MOST = 40  # lines of one kind; the gradebook has all of them


def summary(batch: ClassResult) -> list[str]:
    """The lines to print, each without whatever a terminal would obey."""
    lines = list(_counts(batch))
    tier = f"isolation: {batch.info.tier}, secret seed: {batch.info.seed_id}"
    lines += [tier, *(f"  without: {weakness}" for weakness in batch.info.weaknesses)]
    waiting = [one for one in batch.graded if one.report.verdict is Verdict.PERSON]
    lines += _listed("need a person", [_waiting(one) for one in waiting])
    unmarked = [c for one in batch.whole for c in one.checks if c.reason is Reason.UNMARKED]
    if unmarked:
        lines.append(f"written answers to mark: {len(unmarked)} (python -m grader written)")
    unread = [
        f"{submission.student} ({submission.entry.source}): {why}"
        for submission, why in batch.unread
    ]
    lines += _listed("not graded", unread)
    noted = [f"{student} {n}: {'; '.join(words)}" for (student, n), words in batch.remarks.items()]
    lines += _listed("remarks", sorted(noted))
    broken = [f"{student}: {why}" for student, why in sorted(batch.pageless.items())]
    lines += _listed("pages that could not be made", broken)
    lines += _listed("handed in nothing", [f"{s.id} {s.name}".strip() for s in batch.missing])
    lines += _listed("no submission", list(batch.ignored))
    if batch.leftover:
        lines += _listed("reports of earlier runs, in the tables too", list(batch.leftover))
    lines += batch.notes
    lines += [f"written: {path}" for path in batch.files]
    return [one_line(line) for line in lines]


def _counts(batch: ClassResult) -> Iterator[str]:
    groups: dict[str, list[Report]] = {}
    for report in batch.whole:
        groups.setdefault(report.assignment, []).append(report)
    for number, group in sorted(groups.items()):
        kept = sum(one.kept for one in batch.graded if one.report.assignment == number)
        before = f"; {kept} kept from before" if kept else ""
        yield (
            f"{number} {group[0].title}: {verdicts_in_words(group)}{before}; {mean_in_words(group)}"
        )
    if not groups:
        yield "no submission was graded"


def _waiting(one: GradedSubmission) -> str:
    checks = [check for check in one.report.checks if check.earned is None]
    names = checks[0].id if len(checks) == 1 else f"{len(checks)} checks"
    return f"{one.submission.student} {one.report.assignment}: {names}: {checks[0].message}"


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  … and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return [f"{title}:", *(f"  {line}" for line in lines[:MOST]), *more]

"""The commands `grade`, `regrade` and `course`, and the summary of a batch."""

import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from grader.batch.commands import SUBMISSIONS
from grader.batch.grade_class import ClassResult, Settings, grade_class
from grader.batch.output import Store
from grader.batch.regrade import changes, changes_table, table
from grader.batch.roster import GradedSubmission, read_deadline
from grader.batch.workers import Workers
from grader.core.outcomes import Reason, Report, Verdict
from grader.core.text import one_line
from grader.reports.course_rules import TEMPLATE, read_rules
from grader.reports.scorecard import mean_in_words, verdicts_in_words
from kws.cli.shared_options import options_of
from kws.errors import UsageError
from kws.files import write_bytes

OUT = typer.Option(help="Folder for reports, pages and tables.")
WORKERS = typer.Option(metavar="N", help="Submissions at a time; by default one for each core")
ASSIGNMENT = typer.Option(metavar="NN", help="Grade this one; by default each that is handed in")
ROSTER = typer.Option(
    metavar="CSV", help="Who is in the course: student, name, folder; or an export, Canvas, Moodle."
)
COLUMN = typer.Option(
    metavar="NAME", help='Column of Canvas for an assignment, "Homework 2 (99123)", 02=NAME'
)
COURSE = typer.Option(metavar="TOML", help="The rules of the term: `python -m grader course`.")
DEADLINE = typer.Option(metavar="ISO", help="Note what came later, 2025-03-01T23:59.")
SCHEDULER = typer.Option(metavar="URL", help="local, slurm, or a Dask scheduler: tcp://host:8786")
REQUIRE = typer.Option(metavar="TIER", help="Weakest isolation allowed: sealed, fenced, process.")
RETRAIN = typer.Option("--retrain", help="Train the students' recipes as well.")
WALL = typer.Option(
    metavar="SECONDS", min=1, help="Limit for one student; by default 900; 7200 with --retrain"
)
BOOK = typer.Option(metavar="URL", help="Where the book is online; pages link to its sections.")
DIFF = typer.Option("--diff", help="List who changed, by how much, on which check and why.")


def make_workers(scheduler: str, workers: int | None, required: str | None) -> Workers:
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers} is too few: give 1 or more")
    if scheduler == "local":
        return Workers(workers, required)
    if scheduler == "slurm" or "://" in scheduler:
        return Workers(workers, required, scheduler=scheduler)
    raise UsageError(f"--scheduler {scheduler!r} is unknown: give local, slurm or tcp://host:8786")


def grade(
    submissions: Annotated[Path, SUBMISSIONS],
    out: Annotated[Path, OUT] = Path("graded"),
    workers: Annotated[int | None, WORKERS] = None,
    assignment: Annotated[str | None, ASSIGNMENT] = None,
    roster: Annotated[Path | None, ROSTER] = None,
    course: Annotated[Path | None, COURSE] = None,
    canvas_column: Annotated[list[str] | None, COLUMN] = None,
    deadline: Annotated[str | None, DEADLINE] = None,
    scheduler: Annotated[str, SCHEDULER] = "local",
    require_isolation: Annotated[str | None, REQUIRE] = None,
    retrain: Annotated[bool, RETRAIN] = False,
    wall: Annotated[float | None, WALL] = None,
    book: Annotated[str | None, BOOK] = None,
) -> None:
    """Grade a class: a report and a page for each student, gradebook, Canvas, class page.

    Interrupted at any time, the same command continues.
    """
    _print(summary(_run(locals())))


@options_of(grade)
def regrade(
    submissions: Annotated[Path, SUBMISSIONS],
    out: Annotated[Path, OUT] = Path("graded"),
    diff: Annotated[bool, DIFF] = False,
    **options: Any,
) -> None:
    """Grade a class again, after checks, secret seed or submissions changed; list the changes.

    Unaffected results are kept. OUT/changes.csv lists every check that changed.
    """
    batch = _run({**options, "submissions": submissions, "out": out, "again": True})
    found = changes(batch)
    write_bytes(out / "changes.csv", changes_table(found))
    Store(out).forget()
    _print([*summary(batch), *table(found, every_check=diff)])


def _run(given: dict[str, Any]) -> ClassResult:
    options = {name: value for name, value in given.items() if name in Settings.__annotations__}
    options["columns"] = tuple(given["canvas_column"] or ())
    options["deadline"] = read_deadline(given["deadline"]) if given["deadline"] else None
    workers = (given["scheduler"], given["workers"], given["require_isolation"])
    return grade_class(Settings(**options), lambda: make_workers(*workers))


def course(path: Annotated[Path, typer.Argument(help="The file.")] = Path("course.toml")) -> None:
    """Write the rules of a term with comments to a new file, or check the file that is there."""
    if not path.exists():
        write_bytes(path, TEMPLATE.read_bytes())
        _print([f"written: {path}; edit it, and run the same command to check it"])
        return
    rules = read_rules(path)
    numbers, groups = len(rules.assignments), len(rules.groups)
    _print([f"{path} is correct; assignments: {numbers}, groups: {groups}"])


def _print(lines: Sequence[str]) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    for line in lines:
        print(line)


MOST = 40  # lines of one kind; the gradebook has all of them


def summary(batch: ClassResult) -> list[str]:
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

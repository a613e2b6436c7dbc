"""The commands `grade` and `regrade`, to be registered on the application of `python -m grader`."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from grader.batch.grade_class import Settings, check_wall, grade_class
from grader.batch.output import Store
from grader.batch.regrade import as_csv, changes, table
from grader.batch.remarks import read_deadline
from grader.batch.summary import summary
from grader.batch.workers import Workers
from grader.reports.course_rules import TEMPLATE, read_rules
from kws.errors import UsageError
from kws.files import write_bytes

SUBMISSIONS = typer.Argument(help="Folder with a folder, notebook or zip for each student.")
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
REQUIRE = typer.Option(metavar="TIER", help="Refuse to grade below: sealed, fenced or process.")
RETRAIN = typer.Option("--retrain", help="Train the students' recipes as well.")
WALL = typer.Option(
    metavar="SECONDS", help="Limit for one student; by default 900; 7200 with --retrain"
)
BOOK = typer.Option(metavar="URL", help="Where the book is online; pages link to its sections.")
DIFF = typer.Option("--diff", help="List who changed, by how much, on which check and why.")


def make_workers(scheduler: str, workers: int | None, required: str | None) -> Workers:
    """The workers that `--scheduler` names."""
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers} grades nothing: give 1 or more")
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

    Stopped at any moment, the same command goes on where it was.
    """
    check_wall(wall)
    settings = Settings(
        submissions=submissions,
        out=out,
        assignment=assignment,
        roster=roster,
        course=course,
        columns=tuple(canvas_column or ()),
        deadline=read_deadline(deadline) if deadline else None,
        retrain=retrain,
        wall=wall,
        book=book,
    )
    batch = grade_class(settings, lambda: make_workers(scheduler, workers, require_isolation))
    _print(summary(batch))


def regrade(
    submissions: Annotated[Path, SUBMISSIONS],
    out: Annotated[Path, OUT] = Path("graded"),
    diff: Annotated[bool, DIFF] = False,
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
    """Grade a class again, after checks, secret seed or submissions changed; say what became of it.

    What nothing has changed for is kept as it is. OUT/changes.csv holds every check that changed.
    """
    check_wall(wall)
    settings = Settings(
        submissions=submissions,
        out=out,
        assignment=assignment,
        roster=roster,
        course=course,
        columns=tuple(canvas_column or ()),
        deadline=read_deadline(deadline) if deadline else None,
        retrain=retrain,
        wall=wall,
        book=book,
        again=True,
    )
    batch = grade_class(settings, lambda: make_workers(scheduler, workers, require_isolation))
    found = changes(batch)
    write_bytes(out / "changes.csv", as_csv(found))
    Store(out).forget()
    _print([*summary(batch), *table(found, every_check=diff)])


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
    """Print, with a question mark for what this terminal cannot encode."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    for line in lines:
        print(line)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(grade)
    app.command()(regrade)
    app.command()(course)

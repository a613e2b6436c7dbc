"""The commands `feedback` and `requests`: see `student_folders` and `requests` beside this file."""

from pathlib import Path
from typing import Annotated

import typer

from grader.batch.requests import answer_requests
from grader.batch.student_folders import release_feedback

GRADED = typer.Argument(help="Folder of `grader grade`.")
OUT = typer.Option(help="Folder for what the students get.")
DATE = typer.Option(metavar="ISO", help="Write nothing before, 2025-03-08T12:00.")
REQUESTS = typer.Argument(help="Folder of the regrade.toml files that students sent.")


def feedback(
    graded: Annotated[Path, GRADED],
    out: Annotated[Path, OUT] = Path("feedback"),
    not_before: Annotated[str | None, DATE] = None,
) -> None:
    """Release feedback: a folder a student, a zip for Canvas or Moodle, and grades to import."""
    for line in release_feedback(graded, out, not_before):
        print(line)


def requests(
    folder: Annotated[Path, REQUESTS], graded: Annotated[Path, GRADED] = Path("graded")
) -> None:
    """Show what students ask to have graded again, and answer each with what has changed since."""
    for line in answer_requests(folder, graded):
        print(line)


def register(app: typer.Typer) -> None:
    app.command()(feedback)
    app.command()(requests)

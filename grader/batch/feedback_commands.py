"""The commands `feedback`, `requests` and `leaderboard`, of what is in a graded folder."""

from pathlib import Path
from typing import Annotated

import typer

from grader.batch.output import Store
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


def leaderboard(graded: Annotated[Path, GRADED] = Path("graded")) -> None:
    """Rank students by the share of hidden examples that they reach, each with its interval.

    Each hand-in that was measured is a look; `[leaderboard]` in course.toml limits their number,
    and has the names that students chose. It writes GRADED/leaderboard.html for them.
    """
    for line in Store(graded).write_leaderboard():
        print(line)


def register(app: typer.Typer) -> None:
    app.command()(feedback)
    app.command()(requests)
    app.command()(leaderboard)

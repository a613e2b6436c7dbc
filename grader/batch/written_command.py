"""The command `written`: see `grader.batch.marking`."""

from pathlib import Path
from typing import Annotated

import typer

SUBMISSIONS = typer.Argument(help="Folder with a folder, notebook or zip for each student.")
OUT = typer.Option(help="Folder of `grader grade`.")
ASSIGNMENT = typer.Option(metavar="NN", help="Only this one; by default each that asks for words")
ROSTER = typer.Option(metavar="CSV", help="Who is in the course, as for `grader grade`.")
ANONYMOUS = typer.Option("--anonymous", help="Codes in the place of names, in another order.")
MARKS = typer.Option(metavar="CSV", help="Points and comments: student, question, points, comment.")


def written(
    submissions: Annotated[Path, SUBMISSIONS],
    out: Annotated[Path, OUT] = Path("graded"),
    assignment: Annotated[str | None, ASSIGNMENT] = None,
    roster: Annotated[Path | None, ROSTER] = None,
    anonymous: Annotated[bool, ANONYMOUS] = False,
    marks: Annotated[Path | None, MARKS] = None,
) -> None:
    """Show all answers to each written question on a page, and take marks from a CSV.

    OUT/written/marks.csv has a line for each answer: fill in points and comments, and give it back
    with --marks. Tables and students' pages follow.
    """
    from grader.batch.marking import mark_written  # brings torch

    for line in mark_written(
        submissions,
        out,
        assignment=assignment,
        roster=roster,
        anonymous=anonymous,
        marks=marks,
    ):
        print(line)


def register(app: typer.Typer) -> None:
    app.command()(written)

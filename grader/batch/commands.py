"""Commands for a graded folder: `written`, `feedback`, `requests`, `leaderboard`, `mistake add`."""

from pathlib import Path
from typing import Annotated

import typer

SUBMISSIONS = typer.Argument(help="Folder with a folder, notebook or zip for each student.")
OUT = typer.Option(help="Folder of `grader grade`.")
GRADED = typer.Argument(help="Folder of `grader grade`.")
ASSIGNMENT = typer.Option(
    metavar="NN", help="Only this one; by default each with written questions"
)
ROSTER = typer.Option(metavar="CSV", help="Who is in the course, as for `grader grade`.")
ANONYMOUS = typer.Option("--anonymous", help="Codes instead of names, in another order.")
MARKS = typer.Option(metavar="CSV", help="Points and comments: student, question, points, comment.")
FEEDBACK = typer.Option(help="Folder for the feedback.")
DATE = typer.Option(metavar="ISO", help="Write nothing before, 2025-03-08T12:00.")
REQUESTS = typer.Argument(help="Folder of the regrade.toml files that students sent.")
LIKE = typer.Option(metavar="STUDENT", help="The student of the answer, as in class.html.")
QUESTION = typer.Option(metavar="TEXT", help="Hint for students who make it.")
NAME = typer.Option(metavar="TEXT", help="What to call it; by default the question")
YES = typer.Option("--yes", help="Do not ask: the code has been read.")


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
    from grader.batch.marking import mark_written  # imports torch

    options = {"assignment": assignment, "roster": roster, "anonymous": anonymous, "marks": marks}
    for line in mark_written(submissions, out, **options):
        print(line)


def feedback(
    graded: Annotated[Path, GRADED],
    out: Annotated[Path, FEEDBACK] = Path("feedback"),
    not_before: Annotated[str | None, DATE] = None,
) -> None:
    """Release feedback: a folder a student, a zip for Canvas or Moodle, and grades to import."""
    from grader.batch.student_folders import release_feedback

    for line in release_feedback(graded, out, not_before):
        print(line)


def requests(
    folder: Annotated[Path, REQUESTS], graded: Annotated[Path, GRADED] = Path("graded")
) -> None:
    """Show what students ask to have graded again, and answer each with what has changed since."""
    from grader.batch.requests import answer_requests

    for line in answer_requests(folder, graded):
        print(line)


def leaderboard(graded: Annotated[Path, GRADED] = Path("graded")) -> None:
    """Rank students by the share of hidden examples that they reach, each with its interval.

    Each hand-in that was measured is a look. The file course.toml limits their number, and has the
    names that students chose. The page for them is GRADED/leaderboard.html.
    """
    from grader.batch.output import Store

    for line in Store(graded).write_leaderboard():
        print(line)


mistake_app = typer.Typer(help="Mistakes of students: add one that is not planted yet.")


@mistake_app.callback()
def group() -> None:
    """Mistakes that students make."""


@mistake_app.command()
def add(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Such as 2.4.")],
    like: Annotated[str, LIKE],
    question: Annotated[str, QUESTION],
    name: Annotated[str | None, NAME] = None,
    out: Annotated[Path, OUT] = Path("graded"),
    yes: Annotated[bool, YES] = False,
) -> None:
    """Keep a student's wrong answer as a planted mistake, with the question to ask about it.

    The next `regrade` asks it, and the next `release` writes it into the notebook's checks. The
    answer is tried in the sandbox first; afterwards it runs as part of the course: read it.
    """
    from grader.batch.add_mistake import candidate, keep  # imports torch

    found = candidate(task, like=like, question=question, name=name, out=out)
    print("\n".join(f"    {line}" for line in found.mistake.code.splitlines()))
    if not yes:
        typer.confirm("This becomes part of the course, and runs unconfined. Add it?", abort=True)
    for line in keep(found):
        print(line)

"""`python -m grader mistake add`: a mistake that students made becomes one that is asked about."""

from pathlib import Path
from typing import Annotated

import typer

OUT = typer.Option(help="Folder of `grader grade`.")
LIKE = typer.Option(metavar="STUDENT", help="Whose answer it is, as class.html shows it.")
QUESTION = typer.Option(metavar="TEXT", help="What to ask whoever makes it.")
NAME = typer.Option(metavar="TEXT", help="What to call it; by default the question")
YES = typer.Option("--yes", help="Do not ask: the code has been read.")

app = typer.Typer(help="Mistakes that students make: ask about one that nobody planted.")


@app.callback()
def group() -> None:
    """Mistakes that students make."""


@app.command()
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
    from grader.batch.add_mistake import candidate, keep  # brings torch

    found = candidate(task, like=like, question=question, name=name, out=out)
    print("\n".join(f"    {line}" for line in found.mistake.code.splitlines()))
    if not yes:
        typer.confirm("This becomes part of the course, and runs unconfined. Add it?", abort=True)
    for line in keep(found):
        print(line)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="mistake")

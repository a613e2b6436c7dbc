"""`kws hint`, `kws reset`, `kws submit`: a hint, a fresh start, the zip to hand in."""

from pathlib import Path
from typing import Annotated

import typer

from kws.cli import app
from kws.cli.student import Notebook, chosen, console, positive, show, summary
from kws.errors import UsageError

LEVELS = ("the steps", "the idea and its question", "what the checks would ask")


@app.command("hint")
def hint(
    task: Annotated[str, typer.Argument(help="A task, such as 2.1.")],
    level: Annotated[
        int, typer.Option(min=1, max=3, help="1 the steps, 2 the idea, 3 the checks' questions.")
    ] = 1,
) -> None:
    """Give one hint about a task; a higher level says more, none gives the answer."""
    from kws.student.released import parse_target, tasks_of

    target = parse_target(task)
    if target.task is None:
        first = next(iter(tasks_of(target.assignment)))
        raise UsageError(f"{task} is an assignment: name one task of it, such as {first}")
    wanted = tasks_of(target.assignment)[target.task]
    told = (wanted.steps, wanted.questions, wanted.suspects)[level - 1]
    out = console()
    out.print(f"{wanted.id} {wanted.title}: {LEVELS[level - 1]}")
    for each in told:
        out.print("\n" * (level == 2) + "\n".join(f"  {line}" for line in each.splitlines()))
    if not told:
        out.print("  nothing to say here: read the section in the notebook, and run its check")
    if level < len(LEVELS):
        out.print(f"\nmore: kws hint {wanted.id} --level {level + 1} ({LEVELS[level]})")


@app.command("reset")
def reset(
    what: Annotated[
        str, typer.Argument(metavar="TASK", help="2.1 for a task, 02 for a whole notebook.")
    ],
    notebook: Notebook = None,
) -> None:
    """Put a task back to its TODO; a copy of the notebook as it was stays beside it."""
    from kws.student import restore

    [(target, path)] = chosen(what, notebook)
    if target.check:
        raise UsageError(f"{what} is a check: name its task, {target.task}")
    kept, cells = restore.reset(path, target)
    if kept is None:
        print(f"{path}: {what} is as it was released")
        return
    which = ", ".join(cells) if target.task else "all"
    print(f"{path}: {which} as released; reload it in Jupyter before you save")
    print(f"  what it was: {kept}")


@app.command("submit")
def submit(
    assignment: Annotated[str, typer.Argument(help="The assignment, such as 03.")],
    out: Annotated[
        Path | None, typer.Option(help="The zip to write; by default 03_speakers.zip, here.")
    ] = None,
    notebook: Notebook = None,
    seconds: Annotated[float | None, typer.Option(help="Time limit of the checks: 60.")] = None,
) -> None:
    """Run the visible checks, and zip the notebook, its weights and a manifest to hand in."""
    from kws.student.handin import hand_in
    from kws.student.released import released
    from kws.student.visible_checks import run_checks

    positive(seconds)
    [(target, path)] = chosen(assignment, notebook)
    if target.task:
        raise UsageError(f"{assignment} is a task: hand in its assignment, {target.assignment}")
    out = out or Path(f"{released()[target.assignment].stem}.zip")
    if out.suffix.lower() != ".zip":
        raise UsageError(f"--out {out}: name a zip, such as {out.stem or 'out'}.zip")
    console_ = console()
    outcomes = run_checks(path, target, seconds=seconds)
    show(console_, outcomes)
    console_.print(summary(outcomes))
    written = hand_in(target.assignment, path, outcomes, out)
    console_.print(f"written: {out} with {', '.join(written.files)}")
    if written.missing:
        console_.print(
            f"{written.missing} is not beside the notebook: run the cell that saves it, and submit "
            "again"
        )

"""`kws hint`, `kws reset`, `kws submit`."""

import textwrap
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from kws.cli import app
from kws.cli.student import Notebook, chosen, console, loading, mark_of, positive, show, summary
from kws.errors import UsageError

LEVELS = ("the idea in other words", "a smaller example", "the shapes, and what the checks ask")


@app.command("hint")
def hint(
    task: Annotated[str, typer.Argument(help="A task, such as 2.1.")],
    level: Annotated[
        int, typer.Option(min=1, max=3, help="1 the idea, 2 an example, 3 shapes and questions.")
    ] = 1,
) -> None:
    """Give one hint about a task. A higher level explains more; no level contains the code."""
    from kws.student.released import parse_target, tasks_of
    from kws.student.spoken import LINE

    target = parse_target(task)
    if target.task is None:
        first = next(iter(tasks_of(target.assignment)))
        raise UsageError(f"{task} is an assignment: name one task of it, such as {first}")
    wanted = tasks_of(target.assignment)[target.task]
    out = console()
    out.print(f"{wanted.id} {wanted.title}: {LEVELS[level - 1]}")
    name = ("idea", "example", "shapes")[level - 1]
    text = wanted.hints.get(name) or "\n".join(wanted.steps)
    for line in text.splitlines():
        lines = textwrap.wrap(line, LINE) if level < len(LEVELS) else [line]
        out.print("\n".join(f"  {each}" for each in lines))
    if level == len(LEVELS) and wanted.questions:
        out.print("\n  the checks may ask:")
        for each in wanted.questions:
            out.print(f"  - {each}")
    if level < len(LEVELS):
        out.print(f"\nmore: kws hint {wanted.id} --level {level + 1} ({LEVELS[level]})")


@app.command("think")
def think(task: Annotated[str, typer.Argument(help="A task, such as 2.3.")]) -> None:
    """Print the questions of a task's section and their answers, as the notebook has them."""
    from kws.student.released import parse_target, tasks_of
    from kws.student.spoken import LINE, spoken

    target = parse_target(task)
    if target.task is None or target.check:
        first = next(iter(tasks_of(target.assignment)))
        raise UsageError(f"{task} is not a task: name one, such as {target.task or first}")
    wanted, out = tasks_of(target.assignment)[target.task], console()
    out.print(f"{wanted.id} {wanted.title}")
    if not wanted.thoughts:
        out.print("\nthis section has no questions")
    for question, answer in wanted.thoughts:
        for text in (question, answer):
            out.print()
            for paragraph in spoken(text).split("\n\n"):
                out.print("\n".join(f"  {line}" for line in textwrap.wrap(paragraph, LINE)))


@app.command("reset")
def reset(
    what: Annotated[
        str, typer.Argument(metavar="TASK", help="2.1 for a task, 02 for a whole notebook.")
    ],
    notebook: Notebook = None,
) -> None:
    """Restore a task's TODO; a copy of the notebook as it was is kept beside it."""
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
    name: Annotated[
        str | None, typer.Option(help="Who you are; remembered for the next time.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Time limit of the checks: 60.")] = None,
) -> None:
    """Run the visible checks, try the weights, and zip both with a manifest to hand in."""
    from kws.course.notebooks import stem_of
    from kws.student.handin import hand_in, student_name, unread_weights
    from kws.student.released import weights_name
    from kws.student.visible_checks import MODELS, run_checks, weights_misfit
    from kws.student.written_answers import empty_answers, questions_of

    positive(seconds)
    [(target, path)] = chosen(assignment, notebook)
    if target.task:
        raise UsageError(f"{assignment} is a task: hand in its assignment, {target.assignment}")
    out = out or Path(f"{stem_of(target.assignment)}.zip")
    if out.suffix.lower() != ".zip":
        raise UsageError(f"--out {out}: name a zip, such as {out.stem or 'out'}.zip")
    console_ = console()
    student, own_words = student_name(name, path)
    file_name = weights_name(target.assignment)
    weights = path.with_name(file_name) if file_name else None
    misfit = ""
    with loading():
        outcomes = run_checks(path, target, seconds=seconds)
        if weights and weights.is_file() and target.assignment in MODELS:
            misfit = weights_misfit(path, target.assignment, weights)
    console_.print(f"found: {found_file(path)}")
    show(console_, outcomes)
    console_.print(summary(outcomes))
    empty = empty_answers(target.assignment, path)
    for question, title in questions_of(target.assignment).items():
        state = "nothing is written there yet" if question in empty else "a person will read it"
        sign = mark_of("todo" if question in empty else "pass")
        console_.print(f"{sign} {question}  {title} ({state})")
    if weights and weights.is_file():
        model = MODELS.get(target.assignment)
        console_.print(f"found: {found_file(weights)}")
        if target.assignment in MODELS:
            fits = f"{mark_of('error')} {misfit}" if misfit else f"{mark_of('pass')} fits {model}"
            console_.print(f"  {fits}")
        if misfit:
            cure = "run the cells that make, train and save the model again, and submit again"
            console_.print(f"  as it is, no accuracy can be measured: {cure}")
    written = hand_in(target.assignment, path, outcomes, out, student)
    console_.print(f"written: {out} with {', '.join(written.files)}")
    console_.print(f"handed in as: {student}")
    if not own_words:
        console_.print(
            f"  (your user name on this machine; kws submit {target.assignment} "
            '--name "Ada Lovelace" says otherwise)'
        )
    if written.missing:
        console_.print(
            f"{written.missing} is not beside the notebook: run the cell that saves it, and submit "
            "again"
        )
        for other in unread_weights(path):
            console_.print(f"  {other} is not read: only .safetensors is, which runs no code")


def found_file(path: Path) -> str:
    """`assignments/03_speakers.ipynb, 48 KiB, saved 2026-11-22 14:20`."""
    status = path.stat()
    saved = datetime.fromtimestamp(status.st_mtime).strftime("%Y-%m-%d %H:%M")
    return f"{path}, {-(-status.st_size // 1024):,} KiB, saved {saved}"

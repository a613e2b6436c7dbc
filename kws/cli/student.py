"""`kws check`, `kws watch`, `kws progress`: the visible checks of saved notebooks, on the spot."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kws.cli import app
from kws.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from kws.student.released import Target
    from kws.student.visible_checks import CheckOutcome, RaisedCell

NOT_ALL = 1  # exit code: a check that was asked for does not pass
WIDTH_OF_A_PIPE = 140
SHOWN = 10  # lines of what a cell printed
POLL = 0.3  # seconds between two reads of a file's time
MARKS = {  # state -> mark, the same without Unicode, color
    "pass": ("✓", "+", "green"),
    "unmet": ("✗", "x", "red"),
    "error": ("✗", "x", "red"),
    "todo": ("·", ".", "yellow"),
    "later": ("–", "-", "cyan"),
}
WORDS = {"unmet": "to mend", "error": "error", "todo": "not started", "later": "to run"}

What = Annotated[
    str | None,
    typer.Argument(metavar="[TASK]", help="2.1 for a task, 02 for an assignment; by default all."),
]
Whats = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TASK]...", help="2.1 2.3 for tasks, 02 for an assignment; or all."),
]
Notebook = Annotated[
    Path | None, typer.Option(help="The notebook, where it is not found by its name.")
]
Whole = Annotated[bool, typer.Option("--whole", help="Run every cell, plots and trainings too.")]
Seconds = Annotated[
    float | None, typer.Option(help="Time limit of a notebook: 60, with --whole 1200.")
]


def console() -> "Console":
    from rich.console import Console

    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="replace")  # an old terminal shows ? rather than end
    width = None if sys.stdout.isatty() else WIDTH_OF_A_PIPE
    return Console(width=width, highlight=False, markup=False, soft_wrap=True)


def mark_of(state: str) -> str:
    mark, plain, _ = MARKS[state]
    try:
        mark.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return plain
    return mark


def chosen(what: str | None, notebook: Path | None) -> "list[tuple[Target, Path]]":
    """What a command is about, and the notebooks that it is in. UsageError if there is none."""
    from kws.student.released import Target, find_notebook, notebooks_in, parse_target

    if what is not None:
        target = parse_target(what)
        return [(target, _existing(notebook) if notebook else find_notebook(target.assignment))]
    if notebook is not None:
        raise UsageError(f"--notebook {notebook}: name the task or the assignment as well: 02")
    numbers = list(notebooks_in())
    if not numbers:
        raise UsageError(
            "no notebook of the course in assignments/ or here: go to the folder of the course"
        )
    return [(Target(assignment=number), find_notebook(number)) for number in numbers]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UsageError(f"--notebook {path}: no such file: check the path")
    return path


def show(out: "Console", outcomes: "Sequence[CheckOutcome]") -> None:
    """One line for each check; below it the hint, the place, and what the cell printed."""
    from rich.text import Text

    for each in outcomes:
        color = MARKS[each.state][2]
        out.print(Text.assemble((mark_of(each.state), color), f" {each.check}  {each.text}"))
        if each.where:
            out.print(f"  {each.where}")
        if each.hint:
            out.print(f"  hint: {each.hint}")
        if each.state == "later":
            out.print(f"  kws check {each.check.partition('-')[0]} --whole runs all of it")
        printed = [] if each.passed else each.printed.splitlines()
        for line in printed[:SHOWN]:
            out.print(f"  | {line}")
        if len(printed) > SHOWN:
            out.print("  | …")


def summary(outcomes: "Sequence[CheckOutcome]") -> str:
    passed = sum(each.passed for each in outcomes)
    verb = "passes" if len(outcomes) == 1 else "pass"
    return f"{passed} of {len(outcomes)} check{'s' * (len(outcomes) != 1)} {verb}"


def points_done(outcomes: "Sequence[CheckOutcome]") -> str:
    """`; tasks done: 9 of 34 points`, counting tasks whose checks all ran."""
    from kws.student.released import checks_released, task_of, tasks_of

    done = total = 0.0
    for number in sorted({task_of(each.check).partition(".")[0].zfill(2) for each in outcomes}):
        for task in tasks_of(number).values():
            wanted = {each for each in checks_released(number) if task_of(each) == task.id}
            passed = {each.check: each.passed for each in outcomes}
            if wanted <= passed.keys():
                total += task.points
                done += task.points * all(passed[each] for each in wanted)
    return f"; tasks done: {done:g} of {total:g} points" if total else ""


@app.command("check")
def check(
    what: Whats = None, notebook: Notebook = None, whole: Whole = False, seconds: Seconds = None
) -> None:
    """Run the visible checks of your saved notebooks; exit code 0 when all of them pass."""
    positive(seconds)
    everything, stopped = [], False
    by_notebook: dict[Path, list[Target]] = {}  # what is in the same notebook runs together
    with loading():
        for one in what or [None]:
            for target, path in chosen(one, notebook):
                by_notebook.setdefault(path, []).append(target)
    for path, targets in by_notebook.items():
        with loading():
            from kws.student.released import SeveralTargets
            from kws.student.visible_checks import run_checks

            together = SeveralTargets(assignment=targets[0].assignment, targets=tuple(targets))
            raised: list[RaisedCell] = []
            notes: list[str] = []
            outcomes = run_checks(
                path, together, whole=whole, seconds=seconds, raised=raised, notes=notes
            )
        out = console()
        out.print(f"{path}")
        for note in notes:
            out.print(note)
        show(out, outcomes)
        for each in raised:
            out.print(f"{mark_of('error')} {each.name}: {each.text}")
            if each.where != each.name:
                out.print(f"  {each.where}")
        everything += outcomes
        stopped = stopped or bool(raised)
    console().print(f"{summary(everything)}{points_done(everything)}")
    if stopped or not all(each.passed for each in everything):
        raise typer.Exit(NOT_ALL)


@contextmanager
def loading() -> Iterator[None]:
    """On a terminal, show what is running; cleared at the end."""
    shown = sys.stdout.isatty()
    if shown:
        sys.stdout.write("loading torch …")
        sys.stdout.flush()
    try:
        yield
    finally:
        if shown:
            sys.stdout.write("\r\x1b[K")
            sys.stdout.flush()


def positive(seconds: float | None) -> None:
    """UsageError for a time limit that is none."""
    if seconds is not None and not seconds > 0:
        raise UsageError(f"--seconds {seconds:g}: must be more than 0")


@app.command("watch")
def watch(
    what: What = None,
    notebook: Notebook = None,
    seconds: Seconds = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many runs; by default never.")
    ] = None,
) -> None:
    """Run the checks each time you save a notebook, until Ctrl-C."""
    from kws.student.visible_checks import run_checks, start_kernel

    positive(seconds)
    out, watched = console(), chosen(what, notebook)
    seen: dict[Path, object] = {}
    done = 0
    kernel = start_kernel()  # has torch loaded by the time that something is saved
    try:
        while rounds is None or done < rounds:
            changed = [each for each in watched if stamp(each[1]) not in (None, seen.get(each[1]))]
            for target, path in changed[:1]:
                seen[path] = stamp(path)
                status(out, f"checking {path} …")
                try:
                    outcomes = run_checks(path, target, seconds=seconds, kernel=kernel)
                except UsageError as error:  # half saved, perhaps: the rest is another change
                    status(out, "")
                    out.print(str(error))
                else:
                    status(out, "")
                    out.print(f"{path}: {summary(outcomes)}")
                    show(out, [each for each in outcomes if what or not each.passed])
                done += 1
                kernel.close()
                if done != rounds:
                    kernel = start_kernel()
            if not changed:
                status(out, "watching: save a notebook, or end with Ctrl-C")
                time.sleep(POLL)
    except KeyboardInterrupt:
        status(out, "")
    finally:
        kernel.close()


def stamp(path: Path) -> object:
    """Changes when the file does; None while there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def status(out: "Console", text: str) -> None:
    """A line that the next one replaces; only on a terminal."""
    if sys.stdout.isatty():
        out.file.write(f"\r\x1b[K{text}")
        out.file.flush()


@app.command("progress")
def progress(what: What = None, notebook: Notebook = None, seconds: Seconds = None) -> None:
    """Show each task and how many of its checks pass, computed now from the saved notebooks.

    What you have begun comes first.
    """
    from rich.table import Table
    from rich.text import Text

    from kws.student.released import tasks_of
    from kws.student.visible_checks import run_checks
    from kws.student.written_answers import empty_answers, questions_of

    positive(seconds)
    out, everything = console(), []
    found = [(*one, run_checks(one[1], one[0], seconds=seconds)) for one in chosen(what, notebook)]
    found.sort(key=lambda one: all(each.state == "todo" for each in one[2]))
    for target, path, outcomes in found:
        everything += outcomes
        table = Table("task", "", title=f"{path}: {summary(outcomes)}", title_justify="left")
        table.add_column("checks", justify="right")
        table.add_column("")
        table.add_column("points", justify="right")
        for task in tasks_of(target.assignment).values():
            own = [each for each in outcomes if each.check.partition("-")[0] == task.id]
            if not own:
                continue
            state = next((each.state for each in own if not each.passed), "pass")
            word = Text(f"{mark_of(state)} {WORDS.get(state, 'done')}", MARKS[state][2])
            passed = f"{sum(each.passed for each in own)} of {len(own)}"
            table.add_row(task.id, task.title, passed, word, f"{task.points:g}")
        empty = empty_answers(target.assignment, path)
        for question, title in questions_of(target.assignment).items():
            if target.task is None:
                state = ("todo", "empty") if question in empty else ("pass", "written")
                word = Text(f"{mark_of(state[0])} {state[1]}", MARKS[state[0]][2])
                table.add_row(question, title, "in words", word)
        out.print(table)
    out.print(f"all together: {summary(everything)}{points_done(everything)}")

"""`python -m grader`: the command line for staff; conventions as in `kws.cli`.

Exit codes: 0 done, 1 something fell short, 2 bad input, 130 interrupted (and what is kept).
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from grader.batch.commands import feedback, leaderboard, mistake_app, requests, written
from grader.batch.grade_commands import course, grade, regrade
from grader.course.release_command import new, release
from kws.cli import exit_code, invoke_app

app = typer.Typer(
    name="grader",
    help="Grade submissions, release notebooks, and prove that grading works.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(mistake_app, name="mistake")
COMMANDS = (grade, regrade, course, written, feedback, requests, leaderboard, release, new)
for command in COMMANDS:
    app.command()(command)


@app.command("gradescope-zip")
def gradescope_zip(
    out: Annotated[Path, typer.Argument(help="The zip to write.")],
    assignment: Annotated[str, typer.Option(metavar="NN", help="The one to grade.")],
    require_isolation: Annotated[
        str, typer.Option(metavar="TIER", help="Weakest isolation; below, the result says why.")
    ] = "fenced",
    torch_index: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Index with torch's CPU builds; by default the one that uv knows"
        ),
    ] = None,
    marks: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Points of written answers, by address.")
    ] = None,
) -> None:
    """Write the zip that Gradescope builds its autograder from."""
    from grader.batch.gradescope_zip import write_zip

    names = write_zip(
        out, assignment=assignment, required=require_isolation, torch_index=torch_index, marks=marks
    )
    print(f"written: {out} ({len(names)} files)")
    print(
        "on Gradescope choose a container of 2 GB or more: a submission takes up to 1 GB of memory"
    )


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(help="Folder to make.")] = Path("runs/demo"),
    only: Annotated[str | None, typer.Option(metavar="NN", help="This notebook alone.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every notebook, trainings included.")
    ] = False,
) -> None:
    """Run a notebook with our answers and grade it, train a small model, grade a class of ten.

    Interrupted, the same command continues. `make demo` sets itself up and calls this; `make
    course` does so with --all.
    """
    from grader.selftest.demo import main

    raise typer.Exit(main(out.resolve(), only, everything=everything))


@app.command()
def book(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    sphinx: Annotated[Path, typer.Option(help="Python of an environment with lock/book.txt.")],
    reference: Annotated[
        Path, typer.Option(help="Notebooks that were run with our answers, or will be.")
    ] = Path("runs/course/reference"),
) -> None:
    """Make a site of the course, without answers and hidden checks, to put online.

    Notebooks that have not run yet are run first, trainings included. `make book` sets itself up
    and calls this.
    """
    from grader.book.make import main

    print(f"written: {main(out.resolve(), sphinx.absolute(), reference.resolve())}/index.html")


@app.command("hold-out")
def hold_out(
    out: Annotated[Path, typer.Argument(help="Folder to make, with course/ and held-out/.")],
    words: Annotated[
        Path | None, typer.Option(help="Speech Commands v0.02, extracted, or in its layout.")
    ] = None,
    speakers: Annotated[
        Path | None, typer.Option(help="Speaker features in the homework's layout.")
    ] = None,
) -> None:
    """Divide recordings of people: course/ for students, held-out/ for the grader alone."""
    from grader.course import hold_out as divided

    made = divided.hold_out(out.resolve(), words=words, speakers=speakers)
    print(f"for students:   export KWS_COURSE={made / divided.COURSE}")
    print(f"for the grader: export KWS_GRADER_DATA={made / divided.HELD_OUT}")


@app.command()
def targets(
    assignment: Annotated[
        str | None,
        typer.Option(metavar="NN", help="Only this one; by default each that grades accuracy"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Trainings of each.")] = 6,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train within the grader's own budget.")
    ] = False,
) -> None:
    """Train our own answers with several seeds: the bounds that accuracy is graded by."""
    from grader.course.targets import main

    main(assignment, seeds, retrain=retrain)


@app.command()
def overview(
    pages: Annotated[list[Path], typer.Argument(help="Pages such as docs/teaching.md.")],
) -> None:
    """Update the tables between <!-- NAME --> and <!-- end --> in pages."""
    from grader.course.overview import main

    main(pages)


@app.command()
def mutants(
    assignment: Annotated[str, typer.Argument(metavar="NN", help="The assignment.")],
    visible: Annotated[
        bool, typer.Option("--visible", help="Run the notebook's checks, not the hidden ones.")
    ] = False,
    named: Annotated[
        bool, typer.Option("--named", help="Count planted mistakes that get their own question.")
    ] = False,
) -> None:
    """Change our answers in one place at a time; list the changes that no check notices."""
    from grader.course.mutation import main, main_named

    raise typer.Exit(main_named(assignment) if named else main(assignment, visible=visible))


@app.command()
def tier() -> None:
    """Print the isolation tier of this machine, and what it lacks."""
    from grader.sandbox import Sandbox, read_gpu

    with Sandbox(gpu=read_gpu()) as sandbox:
        print(sandbox.isolation)
        for weakness in sandbox.weaknesses:
            print(f"  without: {weakness}")


@app.command()
def selftest(
    assignment: Annotated[
        str | None, typer.Option(metavar="NN", help="Only this one; by default every assignment")
    ] = None,
) -> None:
    """Grade answers whose points are known, and list those that got other points.

    Reference 100 %, blank 0, other right answers 100 %, each planted mistake caught by the check
    that names it, attacks and broken files handled, nothing secret in the students' kit.
    """
    from grader.selftest.selftest import main

    raise typer.Exit(main(assignment))


def run(arguments: list[str]) -> int:
    """Run one command line, such as `["grade", "submissions"]`, and return its exit code."""
    return exit_code("grader", lambda: invoke_app(app, "grader", arguments))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))

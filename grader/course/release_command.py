"""The commands `release` and `new` of `python -m grader`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from grader import ROOT
from kws.errors import UsageError


def release(
    check: Annotated[
        bool, typer.Option("--check", help="Name stale notebooks and exit with 1; write nothing.")
    ] = False,
    through: Annotated[
        str | None,
        typer.Option(metavar="N", help="Last assignment of the kit; by default the last there is."),
    ] = None,
    assignment: Annotated[
        str | None, typer.Option(metavar="NN", help="Only this assignment; by default all.")
    ] = None,
    zip_path: Annotated[
        Path | None, typer.Option("--zip", metavar="OUT", help="Write the student kit to this zip.")
    ] = None,
    badge: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Of the kit's notebooks online; its README links there."),
    ] = None,
) -> None:
    """Build notebooks and goldens from the solutions, and with --zip the student kit."""
    from grader.adapters import ASSIGNMENTS, get_assignment
    from grader.authoring.release import release as release_notebooks
    from grader.authoring.release import release_kit
    from grader.course.goldens import write_goldens

    if (through or badge) and zip_path is None:
        raise UsageError("--through and --badge are of the kit: give --zip OUT as well")
    if check and zip_path is not None:
        raise UsageError("--check writes nothing: leave out --zip or --check")
    if assignment is not None and zip_path is not None:
        raise UsageError("a kit is made of all its assignments: leave out --zip or --assignment")
    only = [get_assignment(assignment).number] if assignment else None
    if through is not None:
        only = [number for number in ASSIGNMENTS if number <= get_assignment(through).number]
    stale = [*release_notebooks(check=check, only=only), *write_goldens(check=check, only=only)]
    for name in stale:
        print(f"{'stale: ' if check else 'written: '}{name}")
    if check:
        if stale:
            raise typer.Exit(1)
        print("notebooks and goldens are current")
    if zip_path is not None:
        print("the kit: looking for answers and hidden checks in it", file=sys.stderr)
        kit = release_kit(zip_path, through, badge=badge)
        print(f"written: {zip_path} ({len(kit.files)} files)")
        print(f"  withheld: {len(kit.modules.withheld)} modules that students write later")
        print(f"  left out: {len(kit.modules.along)} modules that need one of these")
    elif not check and not stale:
        print("notebooks and goldens are current")


def new(
    number: Annotated[str, typer.Argument(metavar="NN", help="Its number.")],
    slug: Annotated[str, typer.Argument(help="Its name in paths: energy.")],
    title: Annotated[str, typer.Argument(help="Its title: Energy.")],
) -> None:
    """Write another assignment: two tasks that pass everything, to be edited.

    Its notebook and goldens are built; a line names the files to edit, and what to run next.
    """
    import subprocess

    from grader.authoring.new_assignment import write_assignment

    for name in write_assignment(number, slug, title):
        print(f"written: {name}")
    # in a new process: this one has read which assignments there are
    for command in (["release", "--assignment", number], ["overview", "docs/teaching.md"]):
        done = subprocess.run([sys.executable, "-m", "grader", *command], cwd=ROOT)
        if done.returncode:
            raise typer.Exit(done.returncode)
    print("edit the solution, contract.py, test_checks.py and assignment.toml; then run")
    print(f"python -m grader release --assignment {number}")
    print(f"python -m grader selftest --assignment {number}")
    print(f"python -m grader mutants {number}")

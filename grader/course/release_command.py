"""The command `release`, to be registered on the application of `python -m grader`."""

from pathlib import Path
from typing import Annotated

import typer

from kws.errors import UsageError


def release(
    check: Annotated[
        bool, typer.Option("--check", help="Name stale notebooks and exit with 1; write nothing.")
    ] = False,
    through: Annotated[
        str | None,
        typer.Option(metavar="N", help="Last assignment of the kit; by default the last there is."),
    ] = None,
    zip_path: Annotated[
        Path | None, typer.Option("--zip", metavar="OUT", help="Write the student kit to this zip.")
    ] = None,
) -> None:
    """Build notebooks and goldens from the solutions, and with --zip the student kit."""
    from grader.authoring.release import release as release_notebooks
    from grader.authoring.release import release_kit
    from grader.course.goldens import write_goldens

    if through is not None and zip_path is None:
        raise UsageError("--through says how far a kit goes: give --zip OUT as well")
    if check and zip_path is not None:
        raise UsageError("--check writes nothing: leave out --zip or --check")
    stale = [*release_notebooks(check=check), *write_goldens(check=check)]
    for name in stale:
        print(f"{'stale: ' if check else 'written: '}{name}")
    if check:
        if stale:
            raise typer.Exit(1)
        print("notebooks and goldens are current")
    if zip_path is not None:
        kit = release_kit(zip_path, through)
        print(f"written: {zip_path} ({len(kit.files)} files)")
        for title, names in (("withheld", kit.modules.withheld), ("left out", kit.modules.along)):
            for name in names:
                why = f", which needs {kit.modules.along[name]}" if title == "left out" else ""
                print(f"  {title}: {name}{why}")
    elif not check and not stale:
        print("notebooks and goldens are current")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(release)

"""`kws add`: the next kit into the folder of the course. `kws cache`: what is kept."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from kws.cli import app
from kws.errors import UsageError


@app.command("add")
def add(
    kit: Annotated[Path, typer.Argument(help="kws-03.zip as you got it, or its folder.")],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Even if it contains answers to your open tasks.")
    ] = False,
) -> None:
    """Bring the next notebooks, and the modules that they need, into the folder of the course."""
    import kws
    from kws.student.add_kit import MANIFEST, NOTEBOOKS, add_kit, find_unfinished, read_kit

    if "://" in str(kit):
        raise UsageError(f"{kit}: download it first, and name the file")
    course = Path(kws.__file__).parents[1]
    if not (course / MANIFEST).is_file() or not (course / NOTEBOOKS).is_dir():
        raise UsageError(
            f"kws runs from {course}, which is not the folder of a kit: go to that folder and run "
            "python -m pip install --no-deps --no-build-isolation --editable ."
        )
    if not kit.exists():
        raise UsageError(f"{kit}: no such file: check the path")
    found = read_kit(kit)
    if not anyway and (open_ones := find_unfinished(found, course)):
        raise UsageError(
            f"kit {found.number} contains our answers to {' and '.join(open_ones)}, where you have "
            "TODOs left: finish those first, or add --anyway to the command"
        )
    added = add_kit(found, course)
    notebooks = [path for path in added.new if path.startswith(NOTEBOOKS)]
    modules = [path for path in added.new if path.endswith(".py")]
    if not (added.new or added.replaced or added.removed):
        print(f"kit {found.number} is here already, whole: {course}")
        return
    print(f"kit {found.number} added to {course}: {', '.join(notebooks) or 'no new notebook'}")
    print(
        f"  {len(modules)} new modules, {len(added.replaced)} files replaced; your notebooks, "
        "answers and weights are as they were"
    )
    for path in added.kept:
        print(f"  {path} exists and was kept; kws reset replaces it with the kit's")
    for path in added.set_aside:
        print(f"  a file that you had changed was replaced; yours is {path}")
    if "requirements.txt" in added.replaced:
        print("  versions changed: python -m pip install --requirement requirements.txt")


@app.command("cache")
def cache(
    empty: Annotated[bool, typer.Option("--empty", help="Remove all of it.")] = False,
) -> None:
    """Print where recordings that were made or packed are kept, and how large they are."""
    from kws.files import cache_dir

    folder = cache_dir()
    sizes = {path: _bytes_in(path) for path in sorted(folder.glob("*"))}
    print(f"{folder}: {sum(sizes.values()) / 1e6:,.0f} MB")
    for path, size in sizes.items():
        print(f"  {path.name}: {size / 1e6:,.0f} MB")
        if empty:
            remove = shutil.rmtree if path.is_dir() and not path.is_symlink() else Path.unlink
            remove(path)
    if empty:
        print("  removed: what a notebook needs is made again")
    elif sizes:
        print("  kws cache --empty removes all of it; what a notebook needs is made again")


def _bytes_in(path: Path) -> int:
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(each.lstat().st_size for each in inside if not each.is_dir())

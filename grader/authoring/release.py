"""`python -m grader release`: every student notebook, written or checked, and the kit as a zip."""

from collections.abc import Mapping
from pathlib import Path

from grader.adapters import ASSIGNMENTS, Assignment
from grader.authoring.build import ROOT, build_notebook, solution_scripts
from grader.authoring.kit import Kit, make_kit
from kws.errors import UsageError
from kws.files import write_bytes, write_text


def release(root: Path = ROOT, *, check: bool = False) -> list[str]:
    """Write the notebooks whose solutions changed, or with `check` touch nothing.

    Returns the stale ones, sorted, as `assignments/02_attention.ipynb`: those that were written,
    or would be. All are built before any is written, so that a faulty solution changes nothing.
    UsageError for a notebook without a solution: nothing here can bring it up to date.
    """
    folder = root / "assignments"
    built = {folder / f"{path.stem}.ipynb": build_notebook(path) for path in solution_scripts(root)}
    for path in sorted(folder.glob("*.ipynb")):
        if path not in built:
            raise UsageError(
                f"assignments/{path.name} has no solutions/{path.stem}.py: remove it or write that"
            )
    stale = [path for path, text in built.items() if not _holds(path, text)]
    if not check:
        for path in stale:
            write_text(path, built[path])
    return sorted(f"assignments/{path.name}" for path in stale)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def release_kit(
    out: Path,
    through: str | None = None,
    *,
    root: Path = ROOT,
    catalogue: Mapping[str, Assignment] = ASSIGNMENTS,
) -> Kit:
    """Write the kit of assignment `through` (the last one, by default) to the zip `out`."""
    if not catalogue:
        raise UsageError("grader/adapters.py lists no assignment: add one to ASSIGNMENTS")
    kit = make_kit(through or max(catalogue), root=root, catalogue=catalogue)
    write_bytes(out, kit.packed())
    return kit

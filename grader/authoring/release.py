"""`python -m grader release`: every student notebook, written or checked, and the kit as a zip.

A copy of each lies in `kws/.released`, where `kws hint` and `kws reset` read what a task was.
"""

from collections.abc import Mapping
from pathlib import Path

from grader import ROOT
from grader.adapters import ASSIGNMENTS, Assignment
from grader.authoring.build import build_notebook, solution_scripts
from grader.authoring.kit import RELEASED, Kit, make_kit
from kws.errors import UsageError
from kws.files import write_bytes, write_text


def release(root: Path = ROOT, *, check: bool = False) -> list[str]:
    """Write the notebooks whose solutions changed, or with `check` touch nothing.

    Returns the stale ones, sorted, as `assignments/02_attention.ipynb`: those that were written,
    or would be, themselves or their copy. All are built before any is written, so that a faulty
    solution changes nothing.
    UsageError for a notebook without a solution: nothing here can bring it up to date.
    """
    built = {path.stem: build_notebook(path) for path in solution_scripts(root)}
    wanted: dict[Path, str] = {}
    for folder in (root / "assignments", root / RELEASED):
        for path in sorted(folder.glob("*.ipynb")):
            if path.stem not in built:
                raise UsageError(
                    f"{path.relative_to(root).as_posix()} has no solutions/{path.stem}.py: remove "
                    "it or write that"
                )
        wanted |= {folder / f"{stem}.ipynb": text for stem, text in built.items()}
    stale = [path for path, text in wanted.items() if not _holds(path, text)]
    if not check:
        for path in stale:
            write_text(path, wanted[path])
    return sorted({f"assignments/{path.name}" for path in stale})


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def release_kit(
    out: Path,
    through: str | None = None,
    *,
    root: Path = ROOT,
    catalog: Mapping[str, Assignment] = ASSIGNMENTS,
) -> Kit:
    """Write the kit of assignment `through` (the last one, by default) to the zip `out`."""
    if not catalog:
        raise UsageError("grader/adapters.py lists no assignment: add one to ASSIGNMENTS")
    kit = make_kit(through or max(catalog), root=root, catalog=catalog)
    write_bytes(out, kit.packed())
    return kit

"""`python -m grader release`: write or check every student notebook and the kit.

`kws hint` and `kws reset` read the copy in the assignment's folder of `kws/course`.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from grader import ROOT
from grader.adapters import ASSIGNMENTS, Assignment
from grader.authoring.build import build_notebook, solution_scripts
from grader.authoring.kit import Kit, make_kit
from kws.errors import UsageError
from kws.files import write_bytes, write_text


def release(
    root: Path = ROOT, *, check: bool = False, only: Collection[str] | None = None
) -> list[str]:
    """Write stale notebooks, all or `only` some; with `check` name them only, sorted.

    All are built before any is written, so that a faulty solution changes nothing.
    """
    scripts = [path for path in solution_scripts(root) if only is None or path.stem[:2] in only]
    built = {path.stem: build_notebook(path) for path in scripts}
    wanted: dict[Path, str] = {}
    course = root / "kws" / "course"
    there = [(path, path.stem) for path in sorted((root / "assignments").glob("*.ipynb"))]
    there += [(path, path.parent.name[1:]) for path in sorted(course.glob("*/released.ipynb"))]
    for path, stem in there:
        if (only is None or stem[:2] in only) and stem not in built:
            raise UsageError(
                f"{path.relative_to(root).as_posix()} has no solutions/{stem}.py: remove it or "
                "write that"
            )
    for stem, text in built.items():
        wanted[root / "assignments" / f"{stem}.ipynb"] = text
        wanted[course / f"a{stem}" / "released.ipynb"] = text
    stale = [
        p for p, text in wanted.items() if not (p.is_file() and p.read_bytes() == text.encode())
    ]
    if not check:
        for path in stale:
            write_text(path, wanted[path])
    stems = {path.parent.name[1:] if path.name == "released.ipynb" else path.stem for path in stale}
    return [f"assignments/{stem}.ipynb" for stem in sorted(stems)]


def release_kit(
    out: Path,
    through: str | None = None,
    *,
    root: Path = ROOT,
    catalog: Mapping[str, Assignment] = ASSIGNMENTS,
    badge: str | None = None,
) -> Kit:
    """Write the kit of assignment `through` (default: the last) to the zip `out`."""
    if not catalog:
        raise UsageError("grader/course has no assignment: run `python -m grader new`")
    kit = make_kit(through or max(catalog), root=root, catalog=catalog, badge=badge)
    write_bytes(out, kit.packed())
    return kit

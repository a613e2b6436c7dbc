"""A TODO, or a whole notebook, back to what it was when it was released; what was there is kept."""

import json
import shutil
from pathlib import Path
from typing import Any

from kws.course.notebooks import cells_of, read_table, text_of
from kws.files import atomic_path, write_bytes, write_text
from kws.student.released import SET_ASIDE, Target, released, tasks_of

INDENT = 1  # what Jupyter writes


def backup_path(path: Path) -> Path:
    """The first unused `02_attention.before-reset-1.ipynb` beside the notebook."""
    number = 1
    while (kept := path.with_name(f"{path.stem}{SET_ASIDE}-{number}{path.suffix}")).exists():
        number += 1
    return kept


def reset(path: Path, target: Target) -> tuple[Path | None, list[str]]:
    """Reset the cells of a task, or without one the whole notebook, to their released state.

    Returns the backup and the names of the changed cells; no backup if nothing changed.
    """
    if target.task is None:
        original = released()[target.assignment].read_bytes()
        if path.read_bytes() == original:
            return None, []
        kept = _keep(path)
        write_bytes(path, original)
        return kept, [cell.name for cell in cells_of(read_table(path)) if cell.kind == "code"]
    table = read_table(path)
    changed = _put_back(table["cells"], target.assignment, target.task)
    if not changed:
        return None, []
    kept = _keep(path)
    write_text(path, json.dumps(table, indent=INDENT, ensure_ascii=False) + "\n")
    return kept, changed


def _keep(path: Path) -> Path:
    kept = backup_path(path)
    with atomic_path(kept) as temporary:
        shutil.copyfile(path, temporary)
    return kept


def _put_back(cells: list[Any], number: str, task: str) -> list[str]:
    originals = read_table(released()[number])["cells"]
    ids = [str(each.get("id", "")) for each in originals]
    changed = []
    for wanted in tasks_of(number)[task].cells:
        original = originals[wanted.number - 1]
        place = _place(cells, wanted.id, wanted.source)
        if place is None:
            before = ids[: wanted.number - 1]
            places = [n for n, each in enumerate(cells) if _id(each) in before]
            place = max(places, default=-1) + 1
            cells.insert(place, original)
        elif text_of(cells[place]) == wanted.source and cells[place].get("cell_type") == "code":
            continue
        else:
            tidy = {key: value for key, value in cells[place].items() if key != "attachments"}
            cells[place] = tidy | original
        changed.append(wanted.name)
    return changed


def _id(cell: Any) -> str:
    return str(cell.get("id", "")) if isinstance(cell, dict) else ""


def _place(cells: list[Any], wanted: str, source: str) -> int | None:
    """The key of a cell: its id, or else the first name it defines."""
    for place, cell in enumerate(cells):
        if _id(cell) == wanted:
            return place
    heads = [line for line in source.splitlines() if line.startswith(("def ", "class "))]
    names = [head.partition("(")[0].rstrip(":") for head in heads[:1]]
    for place, cell in enumerate(cells):
        if isinstance(cell, dict) and any(
            line.partition("(")[0].rstrip(":") in names for line in text_of(cell).splitlines()
        ):
            return place
    return None

"""The questions of an assignment that are answered in words or with a figure: which are empty.

A person reads the answers; here is only seen whether there is one. Its cells are those between the
question and the next cell that was released, whatever their metadata say.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kws.student.cells import read_table, text_of
from kws.student.released import released_cells

HEADING = re.compile(r"(?m)^#+ Written answer (\d+\.[A-Z])\b[^:\n]*:? *(.*)$")
PLACEHOLDER = re.compile(r"\*?Write your answer to \d+\.[A-Z] here, in place of this line[^\n]*")


def questions_of(number: str) -> dict[str, str]:
    headings = (HEADING.search(cell.source) for cell in released_cells(number))
    return {found[1]: found[2] for found in headings if found}


def empty_answers(number: str, path: Path) -> list[str]:
    """The written questions of an assignment to which the notebook at `path` has no answer."""
    released = {cell.source.strip() for cell in released_cells(number)}
    answered: set[str] = set()
    asked = None
    for raw in read_table(path)["cells"]:
        if not isinstance(raw, dict):
            continue
        source = text_of(raw).strip()
        if heading := HEADING.search(source):
            asked = heading[1]
            written = source not in released  # below the question, in its own cell
        else:
            if _belongs(raw) is None and not PLACEHOLDER.search(source) and source in released:
                asked = None
            written = source not in released and bool(PLACEHOLDER.sub("", source).strip())
        place = asked or _belongs(raw)
        if place and (written or _has_picture(raw)):
            answered.add(place)
    return [question for question in questions_of(number) if question not in answered]


def _belongs(raw: Mapping[str, Any]) -> str | None:
    metadata = raw.get("metadata")
    ours = metadata.get("kws") if isinstance(metadata, dict) else None
    written = ours.get("written") if isinstance(ours, dict) else None
    return written if isinstance(written, str) else None


def _has_picture(raw: Mapping[str, Any]) -> bool:
    """Whether one is attached to the cell, or is what it shows."""
    outputs = raw.get("outputs")
    shown = [each.get("data") for each in outputs or () if isinstance(each, dict)]
    attached = raw.get("attachments")
    bundles = [*shown, *(attached.values() if isinstance(attached, dict) else ())]
    return any(
        str(kind).startswith("image/")
        for bundle in bundles
        if isinstance(bundle, dict)
        for kind in bundle
    )

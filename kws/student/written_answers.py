"""Questions that are answered in words or with a figure, and the student's answers.

The cells of an answer are those whose metadata name the question, and those between the question's
own cell and the next released one, so an answer is found without metadata, too.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kws.course.notebooks import read_table, text_of
from kws.student.released import released_cells

HEADING = re.compile(r"(?m)^#+ Written answer (\d+\.[A-Z])\b[^:\n]*:? *(.*)$")
PLACEHOLDER = re.compile(r"\*?Write your answer to \d+\.[A-Z] here, in place of this line[^\n]*")
MARKER = re.compile(r"(?m)^\s*(?:BEGIN|END) ANSWER\s*$")
ATTACHED = re.compile(r"!\[[^\]\n]*\]\(attachment:[^)\n]*\)")  # a picture, looked at by itself
MOST_CELLS = 40  # of an answer


@dataclass(frozen=True, kw_only=True)
class ProseCell:
    """One cell: the question that its metadata name, and for each picture its kinds -> content."""

    kind: str
    source: str
    written: str = ""
    pictures: tuple[Mapping[str, Any], ...] = ()


def prose_cell(raw: Mapping[str, Any], kind: str, source: str) -> ProseCell:
    """A cell of a notebook, with what is attached to it and what it has put out."""
    metadata = raw.get("metadata")
    ours = metadata.get("kws") if isinstance(metadata, dict) else None
    written = ours.get("written") if isinstance(ours, dict) else None
    attached, outputs = raw.get("attachments"), raw.get("outputs")
    bundles = [*attached.values()] if isinstance(attached, dict) else []
    if isinstance(outputs, list):
        bundles += [output.get("data") for output in outputs if isinstance(output, dict)]
    pictures = (
        {kind: content for kind, content in bundle.items() if str(kind).startswith("image/")}
        for bundle in bundles
        if isinstance(bundle, dict)
    )
    return ProseCell(
        kind=kind,
        source=source,
        written=written if isinstance(written, str) else "",
        pictures=tuple(filter(None, pictures)),
    )


def find_answer(
    question: str, prompt: str, given: Collection[str], cells: Sequence[ProseCell]
) -> tuple[list[str], list[ProseCell]]:
    """The answer to a question, and the cells with its pictures; none if the question is missing.

    `prompt` is the question's released cell, `given` are the sources of all released cells.
    """
    heading = prompt.partition("\n")[0]
    headings = [n for n, cell in enumerate(cells) if heading in cell.source]
    own = {n for n, cell in enumerate(cells) if cell.written == question}
    for first in headings:
        for n in range(first + 1, len(cells)):
            placeholder = PLACEHOLDER.search(cells[n].source) or cells[n].written == question
            if cells[n].source.strip() in given and not placeholder:
                break
            own.add(n)
    texts = [_beyond(prompt, cells[n].source) for n in headings]
    texts += [_written(cells[n], given) for n in sorted(own)[:MOST_CELLS]]
    places = sorted({*own, *headings})[:MOST_CELLS]
    return list(dict.fromkeys(filter(None, texts))), [cells[n] for n in places]


def _beyond(prompt: str, source: str) -> str:
    rest = source.strip().removeprefix(prompt.strip()) if prompt.strip() in source else ""
    return ATTACHED.sub("", MARKER.sub("", rest)).strip()


def _written(cell: ProseCell, given: Collection[str]) -> str:
    """The text of a cell; of one with code nothing but its pictures counts, unless it has none."""
    if cell.kind == "code" and (cell.pictures or cell.source.strip() in given):
        return ""
    text = ATTACHED.sub("", PLACEHOLDER.sub("", cell.source)).strip()
    return f"```\n{text}\n```" if cell.kind == "code" and text else text


def _questions(number: str) -> Iterator[tuple[re.Match[str], str]]:
    for cell in released_cells(number):
        if found := HEADING.search(cell.source):
            yield found, cell.source


def questions_of(number: str) -> dict[str, str]:
    """ID -> title of each written question, in the notebook's order."""
    return {found[1]: found[2] for found, _ in _questions(number)}


def empty_answers(number: str, path: Path) -> list[str]:
    """The written questions of an assignment to which the notebook at `path` has no answer."""
    given = {cell.source.strip() for cell in released_cells(number)}
    raw = [each for each in read_table(path)["cells"] if isinstance(each, dict)]
    cells = [prose_cell(each, str(each.get("cell_type")), text_of(each)) for each in raw]
    empty = []
    for found, prompt in _questions(number):
        texts, places = find_answer(found[1], prompt, given, cells)
        if not texts and not any(cell.pictures for cell in places):
            empty.append(found[1])
    return empty

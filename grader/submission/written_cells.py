"""What a student wrote below a question, and the pictures there: read, never run.

The cells of an answer are those whose metadata name the question, and those between the question's
own cell and the next one that we gave: so an answer is found without metadata, in new cells, or in
the question's cell itself.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from grader.core.text import HALF, printable
from grader.core.written import WrittenAnswer, WrittenQuestion
from grader.submission.decoding import decode
from grader.submission.ipynb import NotebookCell, looks_like_notebook, read_notebook
from kws.student.written_answers import PLACEHOLDER

MOST_TEXT = 20_000  # characters of an answer
MOST_IMAGES, LARGEST_IMAGE = 12, 3 << 20  # pictures of an answer, bytes of one
MOST_CELLS = 40  # of an answer
KINDS = {  # of picture -> how its bytes begin
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
HEAD = re.compile(r"# ?%%(?P<rest>.*)")
MARKER = re.compile(r"(?m)^\s*(?:BEGIN|END) ANSWER\s*$")
ATTACHED = re.compile(r"!\[[^\]\n]*\]\(attachment:[^)\n]*\)")


@dataclass(frozen=True, kw_only=True)
class ProseCell:
    """One cell: `written` is the question that its metadata name."""

    kind: str
    source: str
    written: str = ""
    images: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_answers(data: bytes, questions: Sequence[WrittenQuestion]) -> dict[str, WrittenAnswer]:
    """Question -> answer, in the notebook or script that these bytes are. Never raises."""
    if not questions:
        return {}
    cells = prose_cells(data)
    return {question.id: _answer(question, cells) for question in questions}


def prose_cells(data: bytes) -> list[ProseCell]:
    text, _ = decode(data)
    if not looks_like_notebook(text):
        return list(_of_script(text))
    return [_cell(each) for each in read_notebook(text).cells]


def _cell(cell: NotebookCell) -> ProseCell:
    metadata = cell.raw.get("metadata")
    ours = metadata.get("kws") if isinstance(metadata, dict) else None
    written = ours.get("written") if isinstance(ours, dict) else None
    images, notes = [], []
    for kind, content in _pictures(cell.raw):
        address = _address(kind, content)
        if address is None:
            notes.append("a picture could not be shown: see the notebook")
        else:
            images.append(address)
    return ProseCell(
        kind=cell.kind,
        source=cell.source,
        written=written if isinstance(written, str) else "",
        images=tuple(images),
        notes=tuple(notes),
    )


def _pictures(raw: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Kind and content of what a cell has attached, and of what it has put out."""
    attached = raw.get("attachments")
    bundles = [*attached.values()] if isinstance(attached, dict) else []
    outputs = raw.get("outputs")
    if isinstance(outputs, list):
        bundles += [output.get("data") for output in outputs if isinstance(output, dict)]
    for bundle in bundles:
        if isinstance(bundle, dict):
            kinds = [kind for kind in bundle if str(kind).startswith("image/")]
            if kinds:  # a picture in several formats is one picture
                kind = min(kinds, key=lambda name: (name not in KINDS, name))
                yield kind, bundle[kind]


def _address(kind: str, content: Any) -> str | None:
    """A picture as a `data:` address; None for what is none, or too large to show."""
    text = "".join(map(str, content)) if isinstance(content, list) else content
    if kind not in KINDS or not isinstance(text, str) or len(text) > 2 * LARGEST_IMAGE:
        return None
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) > LARGEST_IMAGE or not data.startswith(KINDS[kind]):
        return None
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _of_script(text: str) -> Iterator[ProseCell]:
    kind, lines = "code", list[str]()
    for line in [*text.split("\n"), "# %%"]:
        head = HEAD.fullmatch(line)
        if head is None:
            lines.append(line)
            continue
        if kind == "markdown":
            lines = [each.removeprefix("#").removeprefix(" ") for each in lines]
        yield ProseCell(kind=kind, source="\n".join(lines).strip())
        kind, lines = "markdown" if re.search(r"\[(markdown|md)\]", head["rest"]) else "code", []


def _answer(question: WrittenQuestion, cells: Sequence[ProseCell]) -> WrittenAnswer:
    heading = question.prompt.partition("\n")[0]
    asked = [n for n, cell in enumerate(cells) if heading in cell.source]
    own = {n for n, cell in enumerate(cells) if cell.written == question.id}
    for first in asked:
        for n in range(first + 1, len(cells)):
            placeholder = PLACEHOLDER.search(cells[n].source) or cells[n].written == question.id
            if cells[n].source.strip() in question.given and not placeholder:
                break
            own.add(n)
    texts = [_beyond(question.prompt, cells[n].source) for n in asked]
    pictured = sorted({*own, *asked})[:MOST_CELLS]
    texts += [_written(cells[n], question) for n in sorted(own)[:MOST_CELLS]]
    text = "\n\n".join(dict.fromkeys(each for each in texts if each))
    images = list(dict.fromkeys(image for n in pictured for image in cells[n].images))
    notes = [note for n in pictured for note in cells[n].notes]
    if len(text) > MOST_TEXT or len(images) > MOST_IMAGES:
        notes.append("the answer is longer than what is shown here: see the notebook")
    return WrittenAnswer(
        text=text[:MOST_TEXT],
        images=tuple(images[:MOST_IMAGES]),
        found=bool(asked or own),
        notes=tuple(dict.fromkeys(notes)),
    )


def _beyond(prompt: str, source: str) -> str:
    rest = source.strip().removeprefix(prompt.strip()) if prompt.strip() in source else ""
    return _clean(MARKER.sub("", rest))


def _written(cell: ProseCell, question: WrittenQuestion) -> str:
    """The text of a cell; of one with code nothing but its pictures counts, unless it has none."""
    if cell.kind == "code" and (cell.images or cell.source.strip() in question.given):
        return ""
    text = _clean(PLACEHOLDER.sub("", cell.source))
    return f"```\n{text}\n```" if cell.kind == "code" and text else text


def _clean(text: str) -> str:
    """Text for a page; where a picture is attached stands in the picture's own place below."""
    return HALF.sub("\N{REPLACEMENT CHARACTER}", printable(ATTACHED.sub("", text))).strip()

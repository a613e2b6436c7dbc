"""The cells of a notebook of nbformat 4 or 3; truncated JSON needs a person.

A large one is read without its printed outputs (`Slim`), in little memory; figures stay.
`find_answers` reads text and pictures below a written question; nothing runs.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from grader.core.text import HALF, decode, plain, printable
from grader.core.written import WrittenAnswer, WrittenQuestion
from kws.student.written_answers import ProseCell, find_answer, prose_cell

MAX_CELLS = 5_000
MAX_VALUES = 4_000_000  # numbers, texts, lists and so on in one file, outputs not counted
MARK = re.compile(r'"(?:cell_type|nbformat)"')
MOST_TEXT = 20_000  # characters of an answer
MOST_IMAGES, LARGEST_IMAGE = 12, 3 << 20  # pictures of an answer, bytes of one
KINDS = {  # of picture -> how its bytes begin
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
HEAD = re.compile(r"# ?%%(?P<rest>.*)")


@dataclass(frozen=True, kw_only=True)
class NotebookCell:
    """One cell of any `kind`; `where` is "cell 7", counted from 1, or the name of a script."""

    kind: str
    source: str
    where: str
    raw: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class NotebookFile:
    """Cells, assignment (from the metadata), repairs; `broken` is why there are no cells."""

    cells: tuple[NotebookCell, ...] = ()
    assignment: str | None = None
    notes: tuple[str, ...] = ()
    broken: str = ""


def resembles_notebook(text: str) -> bool:
    """Whether this is JSON with cells, whole or broken, whatever the file name."""
    return text.lstrip()[:1] in ("{", "[") and bool(MARK.search(text))


def read_notebook(text: str) -> NotebookFile:
    """Read a notebook; a broken one has no cells. Never raises."""
    if sum(map(text.count, "{[,")) > MAX_VALUES:
        return NotebookFile(broken="is too large")
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return NotebookFile(broken="is not a whole notebook: it was cut or damaged")
    raw = _raw_cells(tree)
    if raw is None:
        return NotebookFile(broken="is not a notebook")
    notes = []
    if raw and '"tags"' not in text:
        notes.append("the cells' tags were missing: answers were found by the names they define")
    if isinstance(tree, dict) and "worksheets" in tree:
        notes.append("the notebook has an old format: its worksheets were read")
    if len(raw) > MAX_CELLS:
        notes.append(f"only the first {MAX_CELLS} cells were read")
    stated = tree.get("metadata") if isinstance(tree, dict) else None
    ours = stated.get("kws") if isinstance(stated, dict) else None
    number = ours.get("assignment") if isinstance(ours, dict) else None
    return NotebookFile(
        cells=tuple(_cell(each, n) for n, each in enumerate(raw[:MAX_CELLS], start=1)),
        assignment=number if isinstance(number, str) else None,
        notes=tuple(notes),
    )


def _raw_cells(tree: Any) -> list[Any] | None:
    if isinstance(tree, list):
        return tree if any(isinstance(c, dict) and "cell_type" in c for c in tree) else None
    sheets = tree.get("worksheets") if isinstance(tree, dict) else None
    if isinstance(sheets, list):
        found = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        return [cell for cells in found if isinstance(cells, list) for cell in cells]
    cells = tree.get("cells") if isinstance(tree, dict) else None
    return cells if isinstance(cells, list) else None


def _cell(cell: Any, number: int) -> NotebookCell:
    raw = cell if isinstance(cell, dict) else {}
    kind, source = raw.get("cell_type"), raw.get("source", raw.get("input", ""))
    if isinstance(source, list):
        source = _joined(line for line in source if isinstance(line, str))
    return NotebookCell(
        kind=kind if isinstance(kind, str) else "unknown",
        source=plain(source).replace("\0", "") if isinstance(source, str) else "",
        where=f"cell {number}",
        raw=raw,
    )


def _joined(lines: Iterable[str]) -> str:
    listed = list(lines)
    if len(listed) > 1 and not any(line.endswith(("\n", "\r")) for line in listed[:-1]):
        return "\n".join(listed)
    return "".join(listed)


LARGE = 8 << 20  # bytes from which on outputs are dropped
MAX_NOTEBOOK = 256 << 20  # bytes of a notebook with its outputs
MAX_FIGURE = 4 << 20  # bytes of one output that is kept
CHUNK = 1 << 18
RUN = re.compile(rb'(?:[^"\[\]{}]+|"[^"\\]*(?:\\.[^"\\]*)*"){1,500}', re.DOTALL)
TEXT = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)  # of a string, up to its end
OUTPUTS = re.compile(rb'"outputs"\s*:\s*\[$')


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_notebook_bytes(stream: Stream, most: int) -> bytes | None:
    head = stream.read(LARGE)
    if len(head) < LARGE:
        return head
    slim, size, chunk = Slim(), 0, head
    while chunk:
        size += len(chunk)
        slim.feed(chunk)
        if size > MAX_NOTEBOOK or len(slim.kept) > most:
            return None
        chunk = stream.read(CHUNK)
    return bytes(slim.kept)


class Slim:
    """Filters the bytes of a notebook, dropping outputs other than figures."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self._output: bytearray | None = None  # the one that is read; None if it is too large
        self._depth = 0  # of brackets within a list of outputs; 0 outside
        self._in_text = False
        self._left = b""  # a part of a pair of characters

    def feed(self, chunk: bytes) -> None:
        chunk, position = self._left + chunk, 0
        self._left = b""
        while position < len(chunk):
            begin = position
            if self._in_text:
                position = self._match(TEXT, chunk, begin)
                if chunk[position : position + 1] == b"\\":  # what it escapes comes with the rest
                    self._left = chunk[position:]
                    self._keep(chunk[begin:position])
                    return
                self._in_text = position == len(chunk)
                position += not self._in_text
            elif (position := self._match(RUN, chunk, begin)) == begin:
                position += 1
                if chunk[begin : begin + 1] == b'"':
                    self._in_text = True
                else:
                    self._bracket(chunk[begin:position])
                    continue
            self._keep(chunk[begin:position])

    @staticmethod
    def _match(pattern: re.Pattern[bytes], chunk: bytes, position: int) -> int:
        found = pattern.match(chunk, position)
        return found.end() if found else position

    def _keep(self, data: bytes) -> None:
        if not self._depth:
            self.kept += data
        elif self._depth > 1 and self._output is not None:
            self._output += data
            if len(self._output) > MAX_FIGURE:
                self._output = None

    def _bracket(self, bracket: bytes) -> None:
        opens = bracket in b"[{"
        if not self._depth:
            self.kept += bracket
            self._depth = int(opens and bool(OUTPUTS.search(self.kept[-40:])))
            return
        self._depth += 1 if opens else -1
        if opens and self._depth == 2:
            self._output = bytearray()
        if self._depth:
            self._keep(bracket)
        else:
            self.kept += bracket
        if not opens and self._depth == 1 and self._output is not None:
            self._output += bracket
            if b'"image/' in self._output:
                comma = b"" if self.kept.endswith(b"[") else b","
                self.kept += comma + self._output


def find_answers(data: bytes, questions: Sequence[WrittenQuestion]) -> dict[str, WrittenAnswer]:
    """Question -> answer, in the bytes of a notebook or script. Never raises."""
    if not questions:
        return {}
    text, _ = decode(data)
    if resembles_notebook(text):
        read = read_notebook(text).cells
        cells = [prose_cell(each.raw, each.kind, each.source) for each in read]
    else:
        cells = list(_of_script(text))
    return {question.id: _answer(question, cells) for question in questions}


def _address(picture: Mapping[str, Any]) -> str | None:
    kind = min(picture, key=lambda name: (name not in KINDS, name))
    content = picture[kind]
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
    texts, places = find_answer(question.id, question.prompt, question.given, cells)
    text = HALF.sub("\N{REPLACEMENT CHARACTER}", printable("\n\n".join(texts))).strip()
    shown = [_address(each) for cell in places for each in cell.pictures]
    images = list(dict.fromkeys(filter(None, shown)))
    notes = ["a picture could not be shown: see the notebook"] if None in shown else []
    if len(text) > MOST_TEXT or len(images) > MOST_IMAGES:
        notes.append("the answer is longer than what is shown here: see the notebook")
    return WrittenAnswer(
        text=text[:MOST_TEXT],
        images=tuple(images[:MOST_IMAGES]),
        found=bool(places),
        notes=tuple(notes),
    )

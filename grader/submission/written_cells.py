"""Read a student's text and pictures below a question; nothing runs."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grader.core.text import HALF, decode, printable
from grader.core.written import WrittenAnswer, WrittenQuestion
from grader.submission.ipynb import read_notebook, resembles_notebook
from kws.student.written_answers import ProseCell, find_answer, prose_cell

MOST_TEXT = 20_000  # characters of an answer
MOST_IMAGES, LARGEST_IMAGE = 12, 3 << 20  # pictures of an answer, bytes of one
KINDS = {  # of picture -> how its bytes begin
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
HEAD = re.compile(r"# ?%%(?P<rest>.*)")


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

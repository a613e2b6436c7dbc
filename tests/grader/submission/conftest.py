"""A course of two assignments, and a correct answer to its second."""

import ast
import contextlib
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.adapters import Assignment, Task
from grader.submission import read_submissions
from grader.submission.contents import Submission
from grader.submission.selection import FoundStatement, examine
from grader.submission.statements import Effort, read_code
from tests.grader.conftest import code_beside

CATALOG = {
    "02": Assignment(
        number="02",
        slug="attention",
        title="Attention",
        tasks=(
            Task(id="2.1", title="attend", names=("attend", "SCALE")),
            Task(id="2.2", title="Heads", names=("Heads",)),
        ),
    ),
    "03": Assignment(
        number="03",
        slug="speakers",
        title="Speakers",
        tasks=(Task(id="3.1", title="pool", names=("pool", "Speakers")),),
        weights=True,
    ),
}
IMPORTS = "import math\n\nfrom dataclasses import dataclass"
CODE = code_beside(__file__)
ATTEND = CODE["attend"]
HEADS = CODE["heads"]
BLANK = CODE["blank"]
CHECK = "print(attend(3, [1, 2]))\nassert Heads(3).forward(1) == [0.5] * 3"
TRAINING = "for step in range(10):\n    raise SystemExit('training ran')"


def cell(kind: str, source: str, *tags: str) -> dict[str, Any]:
    made = {"cell_type": kind, "id": "x", "metadata": {"tags": list(tags)}, "source": source}
    return made | ({"execution_count": 1, "outputs": []} if kind == "code" else {})


def make_notebook() -> dict[str, Any]:
    """A correct answer to assignment 2."""
    cells = [
        cell("markdown", "# 2. Attention\n\nSome *words*, and `attend`."),
        cell("code", IMPORTS, "export"),
        cell("code", ATTEND, "export"),
        cell("code", CHECK, "check"),
        cell("code", HEADS, "export"),
        cell("code", TRAINING),
    ]
    for count, each in enumerate(cells, start=1):
        each["id"] = f"02-attention-{count:03d}"
    return {
        "cells": cells,
        "metadata": {"kws": {"assignment": "02"}, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def dump(notebook: dict[str, Any]) -> bytes:
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode()


NOTEBOOK = dump(make_notebook())


def write(folder: Path, files: dict) -> Path:
    """Files by name, of bytes, a text, or what makes the file at a path; the folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(data):
            data(path)
        else:
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def zipped(files: dict, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def read(path: Path, assignment: str | None = "02") -> Submission:
    """The only submission in a file or folder."""
    (submission,) = read_submissions(path, assignment, catalog=CATALOG)
    return submission


def run(submission) -> dict[str, Any]:
    """The namespace after the pieces ran in order; what Python cannot read runs nowhere."""
    names: dict[str, Any] = {"__name__": "answer"}
    for piece in submission.pieces:
        with contextlib.suppress(SyntaxError):
            exec(compile(piece.source, piece.where, "exec"), names)
    return names


def is_right(names: dict[str, Any]) -> bool:
    """Do the definitions do what the correct answer does?"""
    return names["attend"](3, [1, 2]) == 1.5 and names["Heads"](3).forward(1) == [0.5] * 3


def steps_in_proportion(work: Callable[[float], object]) -> bool:
    """Whether all of the work takes about 8 times the steps of an eighth of it, and not 64 times.

    A step is a line of Python that runs, or a call.
    """

    def steps(share: float) -> int:
        def tick(*_: object) -> object:
            nonlocal count
            count += 1
            return tick

        count = 0
        sys.settrace(tick)
        sys.setprofile(tick)
        try:
            work(share)
        finally:
            sys.setprofile(None)
            sys.settrace(None)
        return count

    return steps(1) < 24 * steps(1 / 8)


@pytest.fixture
def parsed(monkeypatch) -> list[str]:
    """What Python's parser is given."""
    given, parse = [], ast.parse

    def spy(source: str, *more: object) -> ast.AST:
        given.append(source)
        return parse(source, *more)

    monkeypatch.setattr(ast, "parse", spy)
    return given


def found_in(*cells: str) -> list[FoundStatement]:
    """The statements of cells of code, as `select_pieces` takes them."""
    return [
        each
        for number, source in enumerate(cells, start=1)
        for each in examine(read_code(source, Effort()).statements, f"cell {number}")
    ]

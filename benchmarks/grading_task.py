"""What all three graders grade: one notebook with two questions, and each grader's own tests of it.

Question 1 builds a two-layer `nn.TransformerEncoder`, and its test runs it forward; question 2
averages frames, and must leave the padding out. Students differ by name; every fifth averages the
padding as well, so that a grader which gives everybody the same is found out.

A notebook carries the marks of all three graders at once, and each of them gets the same bytes:
nbgrader's cell metadata, our tags, and for otter the questions' names. Tests are hidden ones. They
compare the same numbers: torch's own encoder with the same weights, and an average by hand.
"""

import compileall
import json
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NUMBER, STEM = "01", "01_encoder"
POINTS = 2  # one for each question
EVERY = 5  # one student in so many is wrong in question 2

IMPORTS = "import os\nimport time\nimport warnings\n\nimport torch\nfrom torch import nn"
ENCODER = '''\
def make_encoder(d_model, num_heads, d_ff):
    """A Transformer encoder of two layers, batch first, without dropout."""
{extra}    layer = nn.TransformerEncoderLayer(d_model, num_heads, d_ff, 0.0, batch_first=True)
    return nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
'''
POOL = '''\
def pool(y, valid):
    """y (B, T, D), valid (B, T) -> (B, D): the mean over real frames."""
    real = valid[..., None]
    return (y * real).sum(1) / real.sum(1)
'''
POOL_ALL = '''\
def pool(y, valid):
    """y (B, T, D), valid (B, T) -> (B, D): the mean over real frames."""
    return y.mean(1)
'''
TEST_1 = """\
_ = torch.manual_seed(1)
layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
reference = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False).eval()
encoder = make_encoder(64, 4, 128).eval()
_ = encoder.load_state_dict(reference.state_dict())
x = torch.randn(4, 101, 64)
assert sum(p.numel() for p in encoder.parameters()) == 66944
assert torch.allclose(encoder(x), reference(x))
"""
TEST_2 = """\
_ = torch.manual_seed(2)
y = torch.randn(3, 17, 5)
valid = torch.arange(17) < torch.tensor([17, 11, 2])[:, None]
by_hand = torch.stack([y[0].mean(0), y[1, :11].mean(0), y[2, :2].mean(0)])
assert torch.allclose(pool(y, valid), by_hand, atol=1e-5)
"""
OUR_CHECKS = '''\
"""The two hidden checks of the benchmark."""

import pytest
import torch
from torch import nn

from grader.grading.feedback import Failure, expect_shape


def expect_close(what, actual, expected):
    if not torch.allclose(expect_shape(what, actual, *expected.shape), expected, atol=1e-5):
        raise Failure(f"{what} differs")


@pytest.mark.check("1.1", points=1)
def test_encoder(student):
    """a two-layer encoder equals torch's with the same weights."""
    torch.manual_seed(1)
    layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
    reference = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False).eval()
    encoder = student.make_encoder(64, 4, 128)
    encoder.eval()
    encoder.load_state_dict(reference.state_dict())
    x = torch.randn(4, 101, 64)
    count = sum(value.numel() for value in encoder.state_dict().values())
    if count != 66944:
        raise Failure(f"make_encoder(64, 4, 128) has {count} parameters, expected 66944")
    with torch.no_grad():
        expect_close("encoder(x)", encoder(x), reference(x))


@pytest.mark.check("1.2", points=1)
def test_pool(student):
    """the mean leaves the padding out."""
    torch.manual_seed(2)
    y = torch.randn(3, 17, 5)
    valid = torch.arange(17) < torch.tensor([17, 11, 2])[:, None]
    by_hand = torch.stack([y[0].mean(0), y[1, :11].mean(0), y[2, :2].mean(0)])
    expect_close("pool(y, valid)", student.pool(y, valid), by_hand)
'''
OUR_TABLE = """
title = "An encoder"

[[task]]
id = "1.1"
title = "Two layers"
names = ["make_encoder"]

[[task]]
id = "1.2"
title = "One vector"
names = ["pool"]
"""


def student_name(place: int) -> str:
    """`student007`."""
    return f"student{place:03d}"


def is_right(place: int) -> bool:
    """Whether this student has both questions right."""
    return place % EVERY != EVERY - 1


def expected_score(place: int) -> float:
    """Points that a grader must give to this student."""
    return float(POINTS if is_right(place) else POINTS - 1)


def notebook(place: int = 0, extra: str = "") -> dict[str, Any]:
    """The notebook that a student hands in; `extra` is in the first answer, indented by 4."""
    answer = ENCODER.format(extra=extra)
    return make_notebook(answer, POOL if is_right(place) else POOL_ALL, student_name(place))


def make_notebook(answer_1: str, answer_2: str, student: str, *, source: bool = False) -> dict:
    """A notebook as JSON; the instructor's `source` holds the tests, which students never see."""

    def hidden(test: str) -> str:
        return f"### BEGIN HIDDEN TESTS\n{test}### END HIDDEN TESTS" if source else ""

    cells = [
        _cell("title", f"# An encoder\n\n{student}", kind="markdown"),
        _cell("imports", IMPORTS, tags=["export"]),
        _cell("answer-1", answer_1, tags=["export"], task="1.1", solution=True),
        _cell("test-1", hidden(TEST_1), grade=True),
        _cell("answer-2", answer_2, tags=["export"], task="1.2", solution=True),
        _cell("test-2", hidden(TEST_2), grade=True),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "kws": {"assignment": NUMBER}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def _cell(name: str, text: str, *, kind: str = "code", **marks: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if "tags" in marks:
        metadata["tags"] = marks["tags"]
    if "task" in marks:
        metadata["kws"] = {"task": marks["task"]}
    if "solution" in marks or "grade" in marks:
        grade = "grade" in marks
        flags = {"grade": grade, "solution": not grade, "locked": grade, "task": False}
        points = {"points": 1} if grade else {}
        metadata["nbgrader"] = {"schema_version": 3, "grade_id": name, **flags, **points}
    cell = {"cell_type": kind, "id": name, "metadata": metadata, "source": text}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def notebook_bytes(table: dict[str, Any]) -> bytes:
    """The file."""
    return (json.dumps(table, indent=1, sort_keys=True) + "\n").encode()


def hand_in(folder: Path, submissions: int) -> list[Path]:
    """`submissions` notebooks as FOLDER/studentNNN/01_encoder.ipynb."""
    paths = []
    for place in range(submissions):
        path = folder / student_name(place) / f"{STEM}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(notebook_bytes(notebook(place)))
        paths.append(path)
    return paths


def our_course(folder: Path) -> Path:
    """Our grader with these two questions as its only assignment: where to run it from.

    The grader itself is copied as it is. A course of one's own is made just so: a table of its
    tasks, a solution, and a file of checks.
    """
    for part in ("grader", "kws"):
        shutil.copytree(ROOT / part, folder / part)  # what is compiled already included
    shutil.copy(ROOT / "pyproject.toml", folder)
    for path in sorted(folder.glob("*/course/a[0-9][0-9]_*")):
        shutil.rmtree(path)
    course = folder / "grader" / "course" / f"a{STEM}"
    course.mkdir()
    (course / "__init__.py").touch()
    (course / "assignment.toml").write_text(OUR_TABLE, encoding="utf-8")
    (course / "test_checks.py").write_text(OUR_CHECKS, encoding="utf-8")
    (folder / "solutions").mkdir()
    (folder / "solutions" / f"{STEM}.py").write_text(_our_solution(), encoding="utf-8")
    compileall.compile_dir(folder, quiet=1)  # as pip does for the other graders
    return folder


def _our_solution() -> str:
    """The right answers as a py:percent script, their bodies between the markers."""
    cells = [IMPORTS]
    for task, answer in (("1.1", ENCODER.format(extra="")), ("1.2", POOL)):
        head, doc, *body = answer.rstrip("\n").split("\n")
        marked = [f"    # BEGIN SOLUTION {task}", "    #: Answer.", *body, "    # END SOLUTION"]
        cells.append("\n".join([head, doc, *marked]))
    return "\n\n".join(f'# %% tags=["export"]\n{cell}' for cell in cells) + "\n"

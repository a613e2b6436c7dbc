"""The student's notebook is a function of the solution; one answer can be cut out of it."""

import json

import nbformat
import pytest
import torch

from grader.adapters import ASSIGNMENTS, Assignment
from grader.authoring.build import build_notebook, read_solution
from grader.authoring.markers import MarkerError
from grader.authoring.reference import reference_pieces
from kws.errors import UsageError
from tests.grader.authoring.conftest import CODE
from tests.grader.conftest import code_beside


@pytest.fixture
def notebook(course):
    return nbformat.reads(build_notebook(course / "solutions" / "02_attention.py"), as_version=4)


def test_no_line_of_an_answer_reaches_the_student(notebook, course):
    student = "\n".join(cell.source for cell in notebook.cells)
    for cell in read_solution(course / "solutions" / "02_attention.py"):
        inside = False
        for line in cell.source.splitlines():
            inside = "# BEGIN SOLUTION" in line or (inside and "# END SOLUTION" not in line)
            if inside and not line.strip().startswith("#"):
                assert line.strip() not in student


def test_staff_cells_are_dropped_and_all_else_reaches_the_student_with_its_tags_and_tasks(notebook):
    assert "taff" not in json.dumps(notebook.cells)
    assert notebook.cells[0].source == "# 2. Attention\n\n*ẞcores*: $QK^\\top$"
    assert notebook.cells[1].source.startswith("import math\n\nimport torch\n\nWIDTH = 5\n\n\ndef ")
    assert notebook.cells[-1].source == 'print("a stray plot")'
    tags = [tuple(cell.metadata.get("tags", ())) for cell in notebook.cells]
    export, check = ("export",), ("check",)
    assert tags == [(), export, (), export, check, export, ()]
    tasks = [cell.metadata.get("kws") for cell in notebook.cells]
    assert tasks == [None, None, None, {"task": "2.1"}, None, {"task": "2.2"}, None]


def test_the_notebook_is_valid_names_its_assignment_and_keeps_a_comment_that_looks_like_a_magic(
    notebook, course
):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kws == {"assignment": "02"}
    assert [cell.id for cell in notebook.cells] == [f"02-attention-{n:03d}" for n in range(1, 8)]
    path = course / "solutions" / "01_sound.py"
    path.write_text("# %%\n# %time\n# !ls\nx = 1\n", encoding="utf-8")
    assert '"# %time\\n"' in build_notebook(path)


@pytest.mark.parametrize("one", code_beside(__file__)["refused"], ids=lambda one: one["message"])
def test_a_faulty_solution_is_refused_with_its_line(course, one):
    path = course / "solutions" / "02_attention.py"
    text = path.read_text(encoding="utf-8")
    assert one["old"] in text
    path.write_text(text.replace(one["old"], one["new"], 1), encoding="utf-8")
    with pytest.raises(
        UsageError, match=rf"^solutions/02_attention\.py:{one['line']}: .*{one['message']}"
    ):
        build_notebook(path)


@pytest.mark.parametrize(
    ("name", "text", "error", "words"),
    [
        (
            "01_sound",
            CODE["not_python"],
            UsageError,
            r"01_sound\.py:\d+: the cell with its TODO is not valid",
        ),
        ("01_sound", CODE["in_markdown"], MarkerError, r"solutions/01_sound\.py:4: "),
        ("sound", "", UsageError, r"solutions/sound\.py: call a solution NN_slug\.py"),
    ],
    ids=["not Python without its answer", "region in a markdown cell", "another name"],
)
def test_a_solution_that_makes_no_notebook_is_refused(course, name, text, error, words):
    path = course / "solutions" / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=words):
        build_notebook(path)


ATTENTION = Assignment(number="02", slug="attention", title="Attention", tasks=())


def run(pieces, **there):
    """The namespace after all pieces ran."""
    names = dict(there)
    for piece in pieces:
        exec(piece.source, names)
    return names


def test_the_answer_of_one_task_runs_alone_and_one_that_nobody_answers_is_refused(course):
    pieces = reference_pieces(ATTENTION, "2.1", course)
    assert [piece.names for piece in pieces] == [("math",), ("torch",), ("attend",)]
    assert run(pieces)["attend"](*torch.ones(3, 2, 3, 7, 5)).shape == (2, 3, 7, 5)
    lines = (course / "solutions" / "02_attention.py").read_text(encoding="utf-8").splitlines()
    assert pieces[-1].where == "02_attention.py"
    assert lines[pieces[-1].line - 1] == pieces[-1].source.splitlines()[0]
    with pytest.raises(UsageError, match=r"02_attention\.py: no exported cell answers task 2\.9"):
        reference_pieces(ATTENTION, "2.9", course)


def test_given_code_that_an_answer_needs_comes_with_it_and_other_answers_are_the_students(course):
    pieces = reference_pieces(ATTENTION, "2.2", course)
    assert "attend" not in {name for piece in pieces for name in piece.names}
    heads = run(pieces, attend=lambda q, k, v: v)["Heads"]
    assert heads(7).projection.in_features == 35  # given() and WIDTH


@pytest.mark.parametrize(
    ("task", "there", "absent"),
    [
        ("4.3", {"ConvolutionModule", "load_convolution", "part"}, "load_block"),
        ("2.5", {"EncoderLayer", "load_layer"}, "load_attention"),
    ],
)
def test_what_loads_known_weights_comes_with_the_answer_that_it_fits(task, there, absent):
    pieces = reference_pieces(ASSIGNMENTS[f"0{task[0]}"], task)
    names = {name for piece in pieces for name in piece.names}
    assert there <= names
    assert absent not in names

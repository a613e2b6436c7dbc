"""The student's notebook is a function of the solution, and gives nothing away."""

import json

import nbformat
import pytest

from grader.authoring.build import build_notebook, read_solution
from grader.authoring.markers import MarkerError
from kws.errors import UsageError
from tests.grader.authoring.conftest import CODE


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


def test_the_notebook_is_valid_and_names_its_assignment_and_cells(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kws == {"assignment": "02"}
    assert [cell.id for cell in notebook.cells] == [f"02-attention-{n:03d}" for n in range(1, 8)]


def test_a_comment_that_looks_like_a_magic_stays_a_comment(course):
    path = course / "solutions" / "01_sound.py"
    path.write_text("# %%\n# %time\n# !ls\nx = 1\n", encoding="utf-8")
    assert '"# %time\\n"' in build_notebook(path)


LAST = "        return attend(x, x, x)\n        # END SOLUTION"


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("    # END SOLUTION", "    # END SOLUTIONS", 34, "malformed marker"),
        (LAST, "        pass", 60, "not ended"),
        ('# %% tags=["export"]\ndef attend', "# %%\ndef attend", 24, "outside a code cell with"),
        ("# ## 2.1 Weighted averages", "# # BEGIN SOLUTION 2.1", 20, "malformed"),
        ("BEGIN SOLUTION 2.1", "BEGIN SOLUTION 3.1", 24, "does not belong to assignment 2"),
        ("BEGIN SOLUTION 2.2", "BEGIN SOLUTION 2.3", 48, "divide it"),
        ('["export"]\ndef', '["export", "staff"]\ndef', 24, "do not get"),
        ('["check"]', '["chek"]', 38, r"unknown tag 'chek' \(did you mean 'check'\?\)"),
        ("assert attend(q", "assert attend(q(", 39, "not valid Python"),
        ("        #: Make the projection.\n", "", 55, "no step"),
    ],
)
def test_a_faulty_solution_is_refused_with_its_line(course, old, new, line, word):
    path = course / "solutions" / "02_attention.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=rf"^solutions/02_attention\.py:{line}: .*({word})"):
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

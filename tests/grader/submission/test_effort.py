"""Reading takes time and memory in proportion to what is read, and says where it stops."""

import base64
import json

import pytest

from grader.grading.grading_run import forbidden_uses
from grader.submission import answer_file as salvage
from grader.submission import reading
from grader.submission.statements import MAX_NESTED, Effort, read_code
from tests.grader.conftest import code_beside
from tests.grader.submission.conftest import (
    NOTEBOOK,
    cell,
    is_right,
    make_notebook,
    read,
    run,
    steps_in_proportion,
    write,
)

NAME = "02_attention.ipynb"


def read_notebook(tmp_path, notebook: dict):
    return read(write(tmp_path, {NAME: json.dumps(notebook)}) / NAME)


def read_cell(tmp_path, source: str):
    """What is read of a notebook of one cell."""
    return read_notebook(tmp_path, {"cells": [cell("code", source)]})


@pytest.mark.parametrize(
    "source", ["a\n" * 1_600, "a=1;" * 1_600, "a0=1;\n" * 1_600], ids=str.split
)
def test_many_statements_are_told_apart_in_linear_time(source):
    def read_some(share: float) -> None:
        part = source[: round(share * len(source))]
        assert len(read_code(part, Effort()).statements) == share * 1_600

    assert steps_in_proportion(read_some)


def test_many_definitions_and_one_that_defines_much_are_looked_through_in_linear_time(tmp_path):
    def weigh(share: float) -> None:
        assert read_cell(tmp_path, "".join(f"a{n} = 1\n" for n in range(round(400 * share)))).pieces

    assert steps_in_proportion(weigh)

    def read_through(share: float) -> None:
        names = [f"a{n}" for n in range(round(800 * share))]
        source = f"{', '.join(names)} = {', '.join(['0'] * len(names))}\n"
        source += f"def attend(q, k):\n    return {', '.join(names)}\n"
        assert len(read_cell(tmp_path, source).pieces) == 2

    assert steps_in_proportion(read_through)


@pytest.mark.parametrize(
    ("source", "statements"),
    [
        ("ä = 'ö'; b = 2; c = 3", ["ä = 'ö'", "b = 2", "c = 3"]),
        ("x = '''ü\n'''; y = '''ü\n'''  # z", ["x = '''ü\n'''", "y = '''ü\n'''  # z"]),
        ("@a\n@b\ndef f(): pass; x = 1\ny = 2", ["@a\n@b\ndef f(): pass; x = 1", "y = 2"]),
        ("x = 1  # why\ny = 2", ["x = 1  # why", "y = 2"]),
    ],
)
def test_statements_are_cut_where_they_begin_and_end(source, statements):
    assert [each.source for each in read_code(source, Effort()).statements] == statements


def test_a_cell_of_too_many_statements_costs_no_other_cell(tmp_path):
    notebook = make_notebook()
    notebook["cells"].insert(1, cell("code", "a\n" * (salvage.MAX_STATEMENTS + 1)))
    submission = read_notebook(tmp_path, notebook)
    assert is_right(run(submission))
    assert "cell 2 was not read: more than 10000 statements" in submission.repairs


def test_all_files_together_are_parsed_so_much_and_no_more(tmp_path, monkeypatch, parsed):
    """A notebook is read before what lies beside it."""
    monkeypatch.setattr(reading, "Effort", lambda: Effort(left=50_000))
    for number in range(10):
        (tmp_path / f"0{number}.py").write_text("x = = 1\n" * 1_500)
    write(tmp_path, {NAME: NOTEBOOK})
    assert is_right(run(read(tmp_path)))
    assert 10_000 < sum(map(len, parsed)) < 60_000


def test_a_notebook_full_of_pictures_is_read_whole(tmp_path):
    notebook = make_notebook()
    picture = base64.b64encode(bytes(range(256)) * 2_000).decode()
    for each in notebook["cells"]:
        if each["cell_type"] == "code":
            each["outputs"] = [{"data": {"image/png": picture}}, {"data": {"image/png": picture}}]
    submission = read_notebook(tmp_path, notebook)
    assert (tmp_path / NAME).stat().st_size > 5_000_000
    assert is_right(run(submission))
    assert submission.repairs == ()


SOURCES = {
    kind: {name: "".join(part * times for part, times in parts) for name, parts in table.items()}
    for kind, table in code_beside(__file__).items()
}
DEEP, LARGE = {**SOURCES["deep"], "surrogate": "a = '\ud800'"}, [*SOURCES["large"].values()]


@pytest.mark.parametrize("source", [*DEEP.values(), *LARGE], ids=[*DEEP, *map(str, range(8))])
def test_a_definition_too_deep_to_look_through_or_too_large_costs_no_other(tmp_path, source):
    notebook = make_notebook()
    notebook["cells"].append(cell("code", source))
    submission = read_notebook(tmp_path, notebook)
    assert {"attend", "Heads"} <= {name for piece in submission.pieces for name in piece.names}
    assert source in LARGE or is_right(run(submission))
    forbidden_uses(submission.pieces, ("torch.nn.MultiheadAttention",))


def test_what_is_nested_too_deep_is_left_out_and_named_and_a_long_formula_is_not(tmp_path):
    source = "def attend(q):\n    return q\n\n\ndef deep():\n    return " + "+".join("x" * 600)
    submission = read_cell(tmp_path, source)
    assert [piece.names for piece in submission.pieces] == [("attend",)]
    assert (
        f"cell 1: `deep` in line 5 is nested more than {MAX_NESTED} levels deep: it was left out"
    ) in submission.repairs
    source = "TEXT = " + " + ".join(["'Multihead'"] * 150) + "\n"
    assert len(read_cell(tmp_path, source).pieces) == 1

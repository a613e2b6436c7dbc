"""Definitions run, the rest stays out; of several the one counts that its author means.

More in tests/course/test_own_work.py.
"""

import pytest

from grader.submission.selection import select_pieces, unreadable
from kws.course.source import unanswered
from tests.grader.conftest import code_beside
from tests.grader.submission.conftest import found_in

TABLE = code_beside(__file__)
CODE = {"": "", **TABLE["code"]}
CASES = [
    pytest.param(group, case, id=f"{group['property']}: {number}")
    for group in TABLE["group"]
    for number, case in enumerate(group["cases"], start=1)
]


@pytest.mark.parametrize(("group", "case"), CASES)
def test_what_of_the_cells_runs_and_what_the_student_is_told(group, case):
    before, after = CODE[group.get("before", "")], CODE[group.get("after", "")]
    marked = case.split("\n# %%\n")
    *cells, last = (cell.removeprefix("✗ ") for cell in marked)
    found = found_in(*([before] if before else []), *cells, f"{last}\n{after}")
    choice = select_pieces(found, ("attend", "Heads", "SCALE"))
    runs = [before, *(cell for cell in marked if not cell.startswith("✗ ")), after]
    lines = [line for piece in choice.pieces for line in piece.source.split("\n")]
    assert lines == [line for line in "\n".join(runs).split("\n") if line]
    note = group.get("note", "")
    assert (note in choice.notes[0]) if note else choice.notes == []
    if "unanswered" in group:
        assert any(unanswered(found[-1].statement.node)) == group["unanswered"]


def chosen(*cells: str):
    return select_pieces(found_in(*cells), ("attend", "Heads"))


def test_a_piece_knows_its_place_what_it_changes_and_is_a_statement():
    (_, piece) = chosen("import math", "\n\n@cache\ndef attend(q):\n    return q").pieces
    assert (piece.where, piece.line, piece.names) == ("cell 2", 3, ("attend",))
    assert piece.source.startswith("@cache")
    assert [p.source for p in chosen("A = 1; train(); B = 2").pieces] == ["A = 1", "B = 2"]
    cells = "def f(x):\n    return x", "class CFG:\n    pass", "CFG.f, n = f, 3\nCFG.f = f"
    *_, piece, _ = chosen(*cells, "def attend(q):\n    return CFG.maps").pieces
    assert (piece.names, piece.changes) == (("CFG",), ("CFG",))


def test_postponed_annotations_hold_for_all_cells_after_them():
    cells = ("def first(x):\n    return x", "from __future__ import annotations")
    answer = "def attend(q: Undefined) -> Unknown:\n    return q"
    *_, piece = chosen(*cells, answer).pieces
    names: dict = {}
    exec(piece.source, names)
    assert names["attend"](3) == 3
    assert piece.source.split("\n")[1 - piece.line] == "def attend(q: Undefined) -> Unknown:"


def test_the_student_is_told_which_of_several_counts_and_a_constant_is_a_rival_where_asked_for():
    one, todo = (
        "def attend(q):\n    return 1",
        'def attend(q):\n    raise NotImplementedError("TODO 2.1")',
    )
    (note,) = chosen(one, f"x = 3\n{one}", todo).notes
    assert note == (
        "`attend` is defined 3 times, in cell 1, line 1; cell 2, line 2 and cell 3, line 1: "
        "the one in cell 2, line 2 counts, the last that is not the TODO"
    )
    assert len(chosen("SCALE = 3", "SCALE = 5").pieces) == 2  # not asked for


@pytest.mark.parametrize("name", ["attend", "scale"])
def test_of_names_that_are_assigned_together_one_may_be_taken_away(name):
    cells = "def scale(x):\n    return x", "def attend(q):\n    return scale(q)"
    kept = [piece.source for piece in chosen(*cells, f"{name}, hop = 400, 160").pieces]
    assert kept == [*cells, "_, hop = (400, 160)"]


def test_definitions_are_found_in_what_python_cannot_read_and_count_where_there_is_no_other():
    heads, attend = unreadable(CODE["broken"], "cell 3", 4)
    assert (heads.names, heads.where, heads.line) == (("Heads",), "cell 3", 5)
    assert (attend.names, attend.line) == (("attend",), 10)
    assert attend.source == "def attend(q:\n    return q\n)"
    found = found_in("def attend(q):\n    return 1")
    choice = select_pieces(found, ("attend",), unreadable(CODE["broken"], "cell 3"))
    assert [piece.names for piece in choice.pieces] == [("attend",), ("Heads",)]

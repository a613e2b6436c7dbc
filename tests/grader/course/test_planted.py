"""Planted answers are made by edits that fit exactly once."""

import pytest

from grader.authoring.build import read_solution
from grader.course.mistakes.planted import as_notebook, edited, mistaken, planted, solution
from kws.errors import UsageError


def test_an_edit_changes_what_it_names_and_fits_once_or_is_an_error():
    text = edited("02")
    assert text == solution("02").read_bytes()
    changed = text.replace(b"def attend(", b"def intend(")
    assert edited("02", [("def attend(", "def intend(")]) == changed
    mistake = next(one for one in planted("05").mistakes if len(one.edits) > 1)
    assert mistaken("05", [mistake]) == edited("05", mistake.edits)
    for old in ("no such text", "import"):
        with pytest.raises(UsageError, match="does not fit its solution"):
            edited("02", [(old, "")])
    with pytest.raises(UsageError, match="assignment '99' does not exist"):
        planted("99")


def test_rounds_hold_every_mistake_once_and_no_task_twice():
    found = planted("02")
    rounds = found.rounds()
    names = [m.name for round_ in rounds for m in round_]
    assert sorted(names) == sorted(m.name for m in found.mistakes)
    assert all(len({m.task for m in round_}) == len(round_) for round_ in rounds)


def test_a_notebook_has_our_cells_and_the_attack_in_the_place_of_one():
    ours, other = as_notebook("02")["cells"], as_notebook("02", "attack()")["cells"]
    sources = [cell.source for cell in read_solution(solution("02"))]
    assert [cell["source"] for cell in ours] == sources
    (changed,) = (b for a, b in zip(ours, other, strict=True) if a != b)
    assert changed["source"] == "attack()"

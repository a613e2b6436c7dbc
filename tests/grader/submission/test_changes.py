"""Statements that change what is the submission's own run; those that do more are told of."""

import pytest

from grader.submission.selection import select_pieces
from tests.grader.submission.conftest import found_in

ANSWER = "def attend(q):\n    return q * TABLE['a'] + CFG.maps + sum(LIST) + LAYER.x"
OWN = (
    "import torch\nfrom torch.nn import init\ndef train(*given):\n    return 3\n"
    "TABLE, LIST = {}, []\nclass CFG:\n    pass\nclass LAYER(CFG):\n    pass\n"
    "def f(x):\n    return x"
)


def after(source: str, answer: str = ANSWER) -> tuple[list[str], list[str]]:
    """What runs of `source`, and what is told about it."""
    choice = select_pieces(found_in(OWN, f"{source}\n{answer}"), ("attend",))
    runs = [p.source for p in choice.pieces if p.where == "cell 2" and p.source != answer]
    return runs, choice.notes


CHANGES = [
    "TABLE['a'] = 3",
    "TABLE['a'] += 3",
    "TABLE['a']['b'].c: int = 3",
    "TABLE.update(a=3)",
    "TABLE.update({'a': lambda x: train(x)})",
    "TABLE.setdefault('a', [])",
    "LIST.append(3)",
    "LIST.extend(range(3))",
    "CFG.maps = 4",
    "CFG.f = f",
    "CFG.f = lambda: f(3)",
    "setattr(CFG, 'maps', f)",
    "for key, value in (('a', 4), ('b', 5)):\n    TABLE[key] = value",
    "for n in range(3):\n    if n > 1:\n        LIST.append(n)",
    "for n in range(9):\n    for m in range(9):\n        x = n * m\n        LIST.append(x)",
    "if CFG:\n    TABLE['a'] = 3",
]


@pytest.mark.parametrize("source", CHANGES)
def test_a_change_of_their_own_with_plain_values_runs(source):
    assert after(source) == ([source], [])


FOR_AN_ANSWER = [
    ("TABLE['a'] = train()", "TABLE"),
    ("TABLE.update(a=train())", "TABLE"),
    ("TABLE.fill_(2)", "TABLE"),
    ("LAYER.setup()", "LAYER"),
    ("init.constant_(TABLE, 1.0)", "TABLE"),
    ("setattr(CFG, 'maps', train())", "CFG"),
    ("for n in range(3):\n    LIST.append(train(n))", "LIST"),
    ("with torch.no_grad():\n    TABLE['a'] = 3", "TABLE"),
    ("with torch.no_grad():\n    TWO = torch.tensor(2.0)", "TWO"),
    ("while len(LIST) < 9:\n    LIST.append(3)", "LIST"),
]


@pytest.mark.parametrize(("source", "name"), FOR_AN_ANSWER)
def test_what_changes_something_for_an_answer_runs_and_nothing_else(source, name):
    assert after(source, f"def attend(q):\n    return {name}") == ([source], [])
    runs, messages = after(source, "def attend(q):\n    LIST = TABLE = CFG = LAYER = TWO = q")
    assert (runs, messages) == ([], [])


LEFT_OUT = [
    "for f in (1, 2):\n    LIST.append(f)",
    "for n in (1, 2):\n    attend = n\n    LIST.append(n)",
]


@pytest.mark.parametrize("source", LEFT_OUT)
def test_what_takes_the_name_of_a_function_stays_out_and_is_reported(source):
    ((), (messages,)) = after(source)
    assert messages.startswith("cell 2, line 1 was left out, and what it does to `")


def test_a_change_knows_what_it_changes_and_a_check_of_the_notebook_does_not_run():
    assert after("with check('2.1-a', 'b'):\n    TABLE['a'] = 1") == ([], [])
    *_, piece, _ = select_pieces(
        found_in(OWN, "CFG.f, n = f, 3\nCFG.f = f", ANSWER), ("attend",)
    ).pieces
    assert (piece.names, piece.changes) == (("CFG",), ("CFG",))


FOREIGN = [
    "math.tau = 3",
    "torch.nn.Linear.forward = f",
    "os.environ['A'] = 'b'",
    "list.append(LIST, 3)",
    "x.append(3)",
    "nowhere.x = 3",
    "fetch().x = 3",
]


@pytest.mark.parametrize("source", FOREIGN)
def test_what_is_not_their_own_is_not_changed(source):
    imports = "import math, os, torch\nx = fetch()"
    pieces = select_pieces(found_in(OWN, imports, source, ANSWER), ("attend",)).pieces
    assert source not in [piece.source for piece in pieces]


@pytest.mark.parametrize(
    "cells",
    [
        ("TABLE = make()", "def make():\n    return {}", "TABLE['a'] = 3"),
        ("SIZE = make()", "TABLE = {}", "TABLE['a'] = SIZE"),
    ],
)
def test_a_table_that_is_made_for_an_answer_may_be_changed_and_what_that_needs_runs(cells):
    kept = select_pieces(found_in(*cells, "def attend(q):\n    return TABLE"), ("attend",)).pieces
    assert [piece.source for piece in kept][:3] == list(cells)


def test_a_change_of_a_definition_that_does_not_count_stays_out():
    layer = "class LAYER:\n    x = {}"
    first, second = layer.format(1), layer.format(2)
    cells = (first, "LAYER.x = 3", second, "LAYER.y = 4", "def attend(q):\n    return LAYER")
    kept = select_pieces(found_in(*cells), ("attend",)).pieces
    assert [piece.source for piece in kept] == [second, *cells[3:]]

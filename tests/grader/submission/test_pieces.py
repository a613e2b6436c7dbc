"""Definitions run, the rest stays out; of several definitions the best one counts."""

import pytest

from grader.submission.selection import select_pieces, unreadable
from tests.grader.submission.conftest import found_in


def chosen(*cells: str, wanted: tuple[str, ...] = ("attend",)):
    return select_pieces(found_in(*cells), wanted)


def sources(*cells: str, wanted: tuple[str, ...] = ("attend",)) -> list[str]:
    return [piece.source for piece in chosen(*cells, wanted=wanted).pieces]


RUNS = [  # more in tests/course/test_may_run.py
    "import math",
    "from torch import nn as layers",
    "async def attend(q):\n    return q",
    "@torch.no_grad()\ndef attend(q):\n    return q",
    "class Heads(nn.Module):\n    pass",
    "WIDTH, HEADS = 80, (2, 3)",
    "WIDTH += 1",
    "TABLE = {name: len(name) for name in 'a b'.split()}",
    "ROOT = Path('data') / 'x'",
    "attend = lambda q: train(q)",
    "attend = other",
    "if WIDTH > 3:\n    def attend(q):\n        return q",
]


@pytest.mark.parametrize("source", RUNS)
def test_definitions_run(source):
    assert sources(source) == [source]


STAYS_OUT = [
    "train(model)",
    "model = Encoder(80)",
    "loss = model(x).sum()",
    "assert attend(3) == 3",
    "print('x')",
    "del math",
    "x = [download(n) for n in range(3)]",
    "if ready():\n    x = 3",
    "try:\n    train()\nexcept ValueError:\n    pass",
    "raise NotImplementedError('TODO 2.1')",
]


@pytest.mark.parametrize("source", STAYS_OUT)
def test_all_else_stays_out_without_a_word(source):
    choice = chosen(source)
    assert choice.pieces == []
    assert choice.notes == []


def test_an_assignment_that_an_answer_needs_runs_and_a_config_of_the_students_own():
    cells = "model = Encoder()", "TABLE = make()", "def make():\n    return 3", "SIZE = make() + 1"
    answer = "def attend(q):\n    return helper(q)"
    helper = "def helper(q):\n    return q * TABLE"
    kept = sources(*cells, answer, helper)
    assert kept == [cells[1], cells[2], answer, helper]
    cells = "@dataclass\nclass Config:\n    width: int", "CONFIG = Config(80)"
    assert sources(*cells, "BAD = Config(train())") == list(cells)


OWN_NAME = [
    "def attend(q):\n    x = q\n    return x",
    "def attend(x):\n    return x",
    "def attend(q):\n    return [x for x in q]",
    "def attend(q):\n    return q.x",
    "class attend:\n    def f(self):\n        x = 3\n        return lambda: x",
]
FROM_OUTSIDE = [
    "def attend(q=x):\n    return q",
    "def attend(q):\n    return [q for _ in x]",
    "class attend:\n    def f(self):\n        return lambda: x",
    "class attend(x):\n    pass",
    "attend = lambda q: x",
]


@pytest.mark.parametrize("answer", OWN_NAME + FROM_OUTSIDE)
def test_an_assignment_is_needed_where_its_name_is_not_the_answers_own(answer):
    needed = ["x = train()"] if answer in FROM_OUTSIDE else []
    assert sources("x = train()", answer) == [*needed, answer]


def test_a_piece_knows_its_place_and_postponed_annotations_hold_for_all_cells_after_them():
    (_, piece) = chosen("import math", "\n\n@cache\ndef attend(q):\n    return q").pieces
    assert (piece.where, piece.line, piece.names) == ("cell 2", 3, ("attend",))
    assert piece.source.startswith("@cache")
    assert sources("A = 1; train(); B = 2") == ["A = 1", "B = 2"]  # each of its own
    cells = ("def first(x):\n    return x", "from __future__ import annotations")
    answer = "def attend(q: Undefined) -> Unknown:\n    return q"
    *_, piece = chosen(*cells, answer).pieces
    names: dict = {}
    exec(piece.source, names)
    assert names["attend"](3) == 3
    assert piece.source.split("\n")[1 - piece.line] == "def attend(q: Undefined) -> Unknown:"


TODO = 'def attend(q):\n    raise NotImplementedError("TODO 2.1")'
HALF = 'def attend(q):\n    x = 3\n    raise NotImplementedError("TODO 2.1")'
LEFT = 'def attend(q):\n    return q\n    raise NotImplementedError("TODO 2.1")'
ONE, TWO = "def attend(q):\n    return 1", "def attend(q):\n    return 2"


@pytest.mark.parametrize(
    ("cells", "best"),
    [
        ((ONE, TWO), TWO),
        ((ONE, TODO), ONE),
        ((TODO, ONE), ONE),
        ((ONE, HALF), ONE),
        ((HALF, TODO), HALF),
        ((LEFT, TODO), LEFT),
        ((ONE, TODO, TWO, TODO), TWO),
        ((TODO, TODO), TODO),
        ((ONE, "attend = max"), "attend = max"),
    ],
)
def test_the_last_answer_counts_and_a_todo_never_beats_one(cells, best):
    assert sources(*cells) == [best]


def test_of_several_a_class_with_fewer_todos_counts_and_the_student_is_informed():
    (note,) = chosen(ONE, "x = 3\n" + TWO, TODO).notes
    assert note == (
        "`attend` is defined 3 times, in cell 1, line 1; cell 2, line 2 and cell 3, line 1: "
        "the one in cell 2, line 2 counts, the last that is not the TODO"
    )
    method = "    def {}(self):\n        {}\n"
    todo = 'raise NotImplementedError("TODO 2.2")'
    done = "class Heads:\n" + method.format("a", "return 1") + method.format("b", "return 2")
    half = "class Heads:\n" + method.format("a", "return 1") + method.format("b", todo)
    assert sources(done, half) == [done.rstrip("\n")]


@pytest.mark.parametrize(
    "second",
    [
        "class Heads(Heads):\n    pass",
        "Heads = partial(Heads, 3)",
        "@wrap(Heads)\nclass Heads:\n    pass",
    ],
)
def test_a_definition_that_builds_on_the_one_before_keeps_it(second):
    first = "class Heads:\n    pass"
    choice = chosen(first, second, wanted=("Heads",))
    assert [piece.source for piece in choice.pieces] == [first, second]
    assert choice.notes == []


def test_constants_are_rivals_only_where_they_are_asked_for():
    assert sources("WIDTH = 3", "WIDTH = 5", wanted=("WIDTH",)) == ["WIDTH = 5"]
    assert sources("WIDTH = 3", "WIDTH = 5") == ["WIDTH = 3", "WIDTH = 5"]


BROKEN = """import math
class Heads(:
    def f(self):
        return 1

# A word.
def attend(q:
    return q
)
x = 3"""


def test_definitions_are_found_in_what_python_cannot_read_and_count_where_there_is_no_other():
    heads, attend = unreadable(BROKEN, "cell 3", 4)
    assert (heads.names, heads.where, heads.line) == (("Heads",), "cell 3", 5)
    assert (attend.names, attend.line) == (("attend",), 10)
    assert attend.source == "def attend(q:\n    return q\n)"
    choice = select_pieces(found_in(ONE), ("attend",), unreadable(BROKEN, "cell 3"))
    assert [piece.names for piece in choice.pieces] == [("attend",), ("Heads",)]

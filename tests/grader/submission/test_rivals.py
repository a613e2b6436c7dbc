"""Of several definitions the one counts that its author means, and scratch work takes no name."""

import pytest

from grader.submission.selection import Selection, select_pieces
from kws.course.todos import unanswered
from tests.grader.submission.conftest import found_in

ONE, TWO = "def attend(q):\n    return 1", "def attend(q):\n    return 2"
FORWARD, OTHER = "def forward(self):\n    return 1", "def forward(self):\n    return 2"


def chosen(*cells: str, wanted: tuple[str, ...] = ("attend", "Heads")) -> Selection:
    return select_pieces(found_in(*cells), wanted)


def sources(*cells: str) -> list[str]:
    return [piece.source for piece in chosen(*cells).pieces]


VALUES = ["[attend]", "waves[:1]", "None", "3", "dict(steps=1)", "[1, 2]", "torch.zeros(3)"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("kind", ["attend = {}", "attend: object = {}"])
def test_a_value_never_takes_the_name_of_an_answer(kind, value):
    scratch = kind.format(value)
    assert sources("x = 3", ONE, scratch) == ["x = 3", ONE]
    messages = (
        "`attend` is defined 2 times, in cell 1, line 1 and cell 2, line 1: the one in cell 1"
    )
    assert messages in chosen(ONE, scratch).notes[0]


CALLABLES = ["lambda q: q", "max", "partial(f, 3)", "F.relu", "Layer.run", "f", "g"]
CALLABLES += ["f if torch.cuda.is_available() else g"]


@pytest.mark.parametrize("value", CALLABLES)
def test_what_can_be_called_takes_the_place_of_a_function_before_it(value):
    neighbors = (
        "import torch.nn.functional as F",
        "def f(q):\n    return q",
        "g = f",
        "class Layer:\n    def run(q):\n        return q",
    )
    assert sources(*neighbors, ONE, f"attend = {value}") == [*neighbors, f"attend = {value}"]


HELPER, USER = "def scale(x):\n    return x", "def attend(q):\n    return scale(q)"


HALF = "scale = 0.5"
TIMES = "def attend(q):\n    return q * scale"
PATCH = "def patch(f):\n    setattr(Heads, f.__name__, f)"


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        ((HELPER, USER, HALF), [HELPER, USER]),
        ((PATCH, f"@patch\n{HELPER}", USER, HALF), [PATCH, f"@patch\n{HELPER}", USER]),
        ((HELPER, TIMES, HALF), [TIMES, HALF]),  # nothing calls it
        ((HELPER, USER, "attend, hop = 400, 160"), [HELPER, USER, "_, hop = (400, 160)"]),
        ((HELPER, USER, "scale, hop = 400, 160"), [HELPER, USER, "_, hop = (400, 160)"]),
        ((HELPER, USER, "attend += 1", "scale *= 2"), [HELPER, USER]),
    ],
)
def test_a_value_never_takes_the_name_of_a_function_that_is_called(cells, kept):
    assert sources(*cells) == kept


BLANK = ["pass", "...", '"""Only words."""', '"""Words."""\n    pass', "raise NotImplementedError"]
BLANK += [f"raise NotImplementedError({text})" for text in ("", '"later"', '"TODO 2.1"')]


@pytest.mark.parametrize("body", BLANK)
def test_a_blank_copy_never_beats_an_answer(body):
    blank = f"def attend(q):\n    {body}"
    assert sources(ONE, blank) == sources(blank, ONE) == [ONE]
    assert any(unanswered(found_in(blank)[0].statement.node))


@pytest.mark.parametrize(
    "guard", ['raise NotImplementedError("q must be (B, T)")', "raise NotImplementedError"]
)
def test_a_guard_is_no_todo(guard):
    final = f"def attend(q):\n    if q.ndim != 2:\n        {guard}\n    return 2"
    assert sources(ONE, final) == [final]
    assert not any(unanswered(found_in(final)[0].statement.node))


def heads(**methods: str) -> str:
    return "class Heads:\n" + "\n".join(
        f"    def {m}(self):\n        {b}" for m, b in methods.items()
    )


@pytest.mark.parametrize("hook", ["pass", "raise NotImplementedError"])
def test_a_method_that_is_meant_to_do_nothing_does_not_hide_its_class(hook):
    draft, final = heads(forward="return 1"), heads(forward="return 2", reset=hook)
    assert sources(draft, final) == [final]
    assert not any(unanswered(found_in(final)[0].statement.node))


LAYER, STACK = "class Heads:\n    pass", "class Stack:\n    pass"
ADD = "def add_to_class(c):\n    return lambda f: setattr(c, f.__name__, f)"


@pytest.mark.parametrize(
    "decorators", [("add_to_class(Heads)", "add_to_class(Stack)"), ("patch",) * 2]
)
def test_what_a_decorator_of_their_own_keeps_are_no_rivals(decorators):
    first, second = (f"@{d}\n{f}" for d, f in zip(decorators, (FORWARD, OTHER), strict=True))
    cells = (ADD, PATCH, LAYER, STACK, first, second)
    assert sources(*cells) == list(cells)
    assert chosen(*cells).notes == []


def test_a_decorator_of_their_own_or_of_a_library_makes_no_other_kind_of_rival():
    todo = '@patch\ndef attend(q):\n    raise NotImplementedError("TODO 2.1")'
    assert sources(PATCH, f"@patch\n{ONE}", f"@patch\n{TWO}", todo) == [PATCH, f"@patch\n{TWO}"]
    assert sources("import t", f"@t.f()\n{FORWARD}", f"@t.f()\n{OTHER}")[1:] == [f"@t.f()\n{OTHER}"]


def test_a_function_that_was_taken_hold_of_stays_and_replaces_no_answer():
    cells = (LAYER, STACK, FORWARD, "Heads.forward = forward", OTHER, "Stack.forward = forward")
    assert sources(*cells) == list(cells)
    todo = 'def attend(q):\n    raise NotImplementedError("TODO 2.1")'
    assert sources(ONE, "first = attend", todo, "second = attend", todo) == [
        ONE,
        "first = attend",
        "second = attend",
    ]

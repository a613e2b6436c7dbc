"""What is handed in and what then runs, together: ways to write an answer that are all the same."""

import pytest

from grader.sandbox import Code
from grader.submission.selection import select_pieces, unreadable
from tests.grader.sandbox.conftest import stopped
from tests.grader.submission.conftest import found_in

WAYS = {
    "a method that is set later": """
class Heads:
    def forward(self):
        raise NotImplementedError("TODO 2.2")
def forward(self):
    return 3
Heads.forward = forward
setattr(Heads, "extra", forward)
def attend():
    return Heads().forward()
""",
    "methods of two classes, by a decorator": """
def add_to_class(of):
    return lambda f: setattr(of, f.__name__, f)
class Heads: pass
class Stack: pass
@add_to_class(Heads)
def forward(self):
    return 3
@add_to_class(Stack)
def forward(self):
    return Heads().forward()
def attend():
    return Stack().forward()
""",
    "a table that is filled": """
COUNTS, LISTED = {"a": 1}, []
COUNTS["b"] = 1
COUNTS.update(c=lambda: 1)
for n in range(2):
    LISTED.append(n)
def attend():
    return COUNTS["a"] + COUNTS["b"] + COUNTS["c"]() - 1 + max(LISTED)
""",
    "scratch work below": """
def half(x):
    return x / 2
def attend():
    return half(6)
waves = [1, 2, 3]
attend = waves[:1]
half = 0.5
half, rest = 1, 2
""",
    "a guard, and a stub below": """
def attend():
    return 1
def attend(q=0):
    if q < 0:
        raise NotImplementedError("q is negative")
    return 3
def attend(): ...
""",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_answer_is_the_same_however_it_is_written(session, way):
    choice = select_pieces(found_in(WAYS[way].lstrip()), ("attend", "Heads"))
    with session.check(Code(pieces=tuple(choice.pieces))) as student:
        assert student.attend() == 3


def test_a_definition_that_python_cannot_read_is_told_with_its_place(session):
    lost = unreadable("x = 3\ndef attend(q):\n    return (q", "cell 5")
    choice = select_pieces(found_in("def attention(q):\n    return q"), ("attend",), lost)
    with session.check(Code(pieces=tuple(choice.pieces))) as student:
        messages = stopped(student.attend)
    assert messages.message.startswith("attend stands in cell 5, which Python cannot read (line 3)")
    assert messages.hint == "cell 5, line 3: return (q"

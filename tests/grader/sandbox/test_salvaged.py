"""What is handed in and what then runs, together: ways to write an answer that are all the same."""

import pytest

from grader.sandbox import Code
from grader.submission.selection import select_pieces, unreadable
from tests.grader.conftest import code_beside
from tests.grader.sandbox.conftest import stopped
from tests.grader.submission.conftest import found_in

WAYS = code_beside(__file__)["ways"]


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

"""What runs of the cells around the answers: `kws check` and the grader agree on each statement."""

import pytest

from grader.submission.selection import select_pieces
from kws.student.cell_process import Kernel
from tests.grader.conftest import code_beside
from tests.grader.submission.conftest import found_in

CODE = code_beside(__file__)
IMPORTS, RUN = CODE["imports"], CODE["run"]
ANSWER = "def answer():\n    return made"


def made_by_kws_check(statements: str) -> set[str]:
    messages: list[dict] = []
    kernel = Kernel(messages.append)
    kernel.run(1, IMPORTS, "definitions")
    kernel.run(2, statements, "definitions")
    kernel.run(3, ANSWER, "whole")
    assert not messages
    assert not kernel.failed
    return {"made", "unused"} & vars(kernel.module).keys()


def made_by_the_grader(statements: str) -> set[str]:
    pieces = select_pieces(found_in(IMPORTS, statements, ANSWER), ["answer"]).pieces
    return {"made", "unused"} & {name for piece in pieces for name in piece.names}


@pytest.mark.parametrize("statements", RUN + CODE["stay"])
def test_what_an_answer_may_count_on_runs_in_kws_check_and_in_the_grader(statements):
    made = {"made"} if statements in RUN else set()
    assert made_by_kws_check(statements) == made_by_the_grader(statements) == made

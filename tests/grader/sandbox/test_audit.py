"""What Python refuses a student's code while it runs, however it is written; what it lets be."""

import torch

from grader.core.outcomes import Reason
from tests.grader.conftest import code_beside
from tests.grader.sandbox.conftest import stopped

CODE = code_beside(__file__)
HEAD, REFUSED = CODE["head"], CODE["refused"]


def test_what_is_put_together_while_it_runs_is_refused(student):
    lines = [f"def f{n}():\n    return {text}" for n, text in enumerate(REFUSED.values())]
    answers = student(HEAD + CODE["helpers"] + "def f():\n    pass\n" + "\n".join(lines))
    for number, name in enumerate(REFUSED):
        ending = stopped(getattr(answers, f"f{number}"))
        assert ending.reason in (Reason.FORBIDDEN, Reason.ERROR), (name, ending)
        words = ("is not for answers", "no files but its own", "loaded already", "was changed")
        assert any(word in ending.message for word in words), (name, ending.message)


def test_usual_python_and_the_libraries_own_affairs_work(student):
    y, kind = student(HEAD.rpartition("names =")[0] + CODE["honest"]).f(torch.ones(2, 4))
    assert y.shape == (2, 4)
    assert kind == "int"

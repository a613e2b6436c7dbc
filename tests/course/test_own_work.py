"""A ready answer is seen when it runs; around answers `kws check` runs what the grader runs."""

import contextlib
import functools
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchaudio
from torch import nn

from grader.authoring.reference import load_answers
from grader.submission.selection import select_pieces
from kws.course.checking import Unmet, check_values
from kws.course.own_work import ReadyAnswer, watch_calls
from kws.course.source import as_python
from kws.course.used_names import uses_of
from kws.student.cell_process import Kernel
from tests.grader.conftest import code_beside
from tests.grader.submission.conftest import found_in

CODE = code_beside(__file__)
HONEST, IMPORTS = CODE["honest"], CODE["imports"]
X = torch.ones(1, 1, 2, 4)
alias = F.scaled_dot_product_attention


class Own(nn.MultiheadAttention):
    pass


CALLS = {
    "torch.nn.functional.scaled_dot_product_attention": lambda: alias(X, X, X),
    "torch.nn.MultiheadAttention": lambda: Own(4, 2),
    "torch.nn.functional.glu": lambda: functools.partial(F.glu, dim=-1)(X),
    "torch.nn.GLU": lambda: nn.Sequential(nn.GLU())(X),
    "torch.hann_window": lambda: torch.hann_window(4),
    "torch.hamming_window": lambda: torch.hamming_window(4, True, 0.5, 0.5),
    "numpy.repeat": lambda: np.repeat([1, 2], [2, 1]),
    "numpy.interp": lambda: np.interp(0.5, [0, 1], [2, 3]),
    "numpy.hanning": lambda: np.hanning(5),
    "torch.stft": lambda: torch.ones(9).stft(4, return_complex=True),
    "torchaudio.functional.create_dct": lambda: torchaudio.functional.create_dct(2, 4, None),
    "torch.signal.windows.hann": lambda: torch.signal.windows.hann(4),
    "torch.nn.TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(4, 2, 3),
}


@pytest.mark.filterwarnings("ignore")  # what torch says of our tiny windows
@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_seen_by_its_own_name_alone(name):
    called: list[str] = []
    with watch_calls(CALLS, called), contextlib.suppress(ReadyAnswer):
        CALLS[name]()
    assert name in called
    called.clear()
    with watch_calls(set(CALLS) - {name}, called):  # what was trapped computes again
        X.softmax(-1) @ X.mT
        F.linear(X, X[0, 0]).sum()
    assert called == []


def test_whoever_watched_before_watches_again():
    def mine(*_):
        return None

    sys.setprofile(mine)
    try:
        with watch_calls(["torch.stft"], []):
            pass
        assert sys.getprofile() is mine
    finally:
        sys.setprofile(None)


@pytest.fixture
def ran(monkeypatch):
    """Has cells run as in a notebook; gives what they define."""

    def run(*cells: str) -> dict:
        kernel = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=list(cells)))
        monkeypatch.setattr(sys.modules["__main__"], "get_ipython", lambda: kernel, raising=False)
        return load_answers(map(as_python, cells), "student")

    return run


@pytest.fixture
def script(tmp_path, monkeypatch):
    """`script(text)` is beside the notebook."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_script", raising=False)
    return (tmp_path / "own_script.py").write_text


@pytest.mark.parametrize("name", [*CODE["refused"], *CODE["private"]])
def test_what_is_not_for_answers_is_named_with_its_place(ran, name, script):
    script("def answer(x):\n    return x\n")
    answers = ran("import torch", (CODE["refused"] | CODE["private"])[name])
    found = uses_of({"answer": answers["answer"]}, ())
    assert [use.name for use in found if use.name.startswith(name)]
    assert ") must not be used in an answer" in found[0].fact


@pytest.mark.parametrize("case", CODE["accepted"])
def test_what_counts_is_accepted_in_the_notebook(ran, case, script):
    script("def more(x):\n    return x\n")
    answers = ran("answer = abs", CODE["accepted"][case])
    assert uses_of({"answer": answers.get("answer", abs)}, ()) == []


def test_a_script_of_ones_own_is_read_too(ran, script):
    script("def more(x):\n    return eval(x)\n")
    answers = ran("from own_script import more\ndef answer(x):\n    return more(x)")
    (use,) = uses_of(answers, ())
    assert use.fact == "eval (own_script.py, line 2) must not be used in an answer"


def test_usual_python_is_for_answers(ran):
    answers = ran(IMPORTS, HONEST)
    assert uses_of({"answer": answers["answer"]}, ("torch.stft",)) == []


def test_the_notebook_refuses_what_the_grader_refuses(ran):
    attend = "\ndef attend(q, k, v, valid=None):\n    mask = valid\n"
    source = f"{IMPORTS}{attend}    return F.scaled_dot_product_attention(q, k, v, mask)\n"
    words = r"dot_product_attention \(cell \[0\], line 10\) is a ready-made"
    with pytest.raises(Unmet, match=words):
        check_values("2.1-attend-values", ran(source)["attend"])

    def hidden(q, k, v, valid=None):
        mask = None if valid is None else valid[:, None, None, :]
        return alias(q, k, v, mask)

    ran("import torch")
    words = r"dot_product_attention was called, a ready-made solution of 2\.1"
    with pytest.raises(Unmet, match=words):
        check_values("2.1-attend-values", hidden)


NEIGHBORS = CODE["neighbors"]
RUN = NEIGHBORS["run"]
ANSWER = "def answer():\n    return made"


def made_by_kws_check(statements: str) -> set[str]:
    messages: list[dict] = []
    kernel = Kernel(messages.append)
    kernel.run(1, NEIGHBORS["imports"], "definitions")
    kernel.run(2, statements, "definitions")
    kernel.run(3, ANSWER, "whole")
    assert not messages
    assert not kernel.failed
    return {"made", "unused"} & vars(kernel.module).keys()


def made_by_the_grader(statements: str) -> set[str]:
    pieces = select_pieces(found_in(NEIGHBORS["imports"], statements, ANSWER), ["answer"]).pieces
    return {"made", "unused"} & {name for piece in pieces for name in piece.names}


@pytest.mark.parametrize("statements", RUN + NEIGHBORS["stay"])
def test_what_an_answer_may_count_on_runs_in_kws_check_and_in_the_grader(statements):
    made = {"made"} if statements in RUN else set()
    assert made_by_kws_check(statements) == made_by_the_grader(statements) == made

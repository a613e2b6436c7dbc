"""A ready answer of a library is seen when it runs, whatever it is called; other calls are not."""

import contextlib
import dataclasses
import functools
import math
import os
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchaudio
from torch import nn

from grader.authoring.answers import load_answers
from kws.checking import Unmet, check_values
from kws.contracts.own_work import ReadyAnswer, watch_calls
from kws.contracts.used_names import uses_of

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


class Cached(nn.Module):
    def __init__(self):
        super().__init__()
        self._cache = {}

    @torch.no_grad()
    def forward(self, x):
        return self._helped(x) if self._modules else vars(self)

    def _helped(self, x):
        return nn.functional.pad(x, (0, 1)).__class__


@dataclasses.dataclass
class Settings:
    width: int = 4
    names: list = dataclasses.field(default_factory=list)


def honest(x: "torch.Tensor", open=None, input=0):
    found = getattr(F, "soft" + "max")(x, -1) @ x.mT * math.tau + Settings().width
    path = os.path.split(f"{open}")
    return Cached()(found), path, functools.partial(np.lib.stride_tricks.as_strided, x)


REFUSED = {
    "torch._VF": "def answer(x):\n    return torch._VF.stft(x, 4)",
    "torch.ops": "glu = torch.ops\ndef answer(x):\n    return torch.ops.aten.glu(x)",
    "inspect": "def answer(x):\n    return torch.inspect.getsource(x)",
    "eval": "def answer(x):\n    return eval('x')",
    "open": "def helper(x):\n    return open(x).read()\ndef answer(x):\n    return helper(x)",
    "f_back": "def answer(x):\n    return x.f_back",
    "__subclasses__": "def answer(x):\n    return getattr(type(x), '__sub' + 'classes__')()",
    "torch._C": "def answer(x):\n    return getattr(torch, '_' + 'C')",
    "pytest": "import pytest\ndef answer(x):\n    return pytest.approx(x)",
    "gc": "import gc\nclass answer:\n    def f(self):\n        return gc.get_objects()",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_for_answers_is_named_with_its_place(name):
    answers = load_answers(["import torch", REFUSED[name]], "student")
    found = uses_of({"answer": answers["answer"]}, ())
    assert name in [use.name for use in found]
    assert "line 2) is not for answers" in found[0].fact


def test_usual_python_is_for_answers():
    assert uses_of({"honest": honest, "Cached": Cached}, ("torch.stft",)) == []


def test_the_notebook_refuses_what_the_grader_refuses():
    def attend(q, k, v, valid=None):
        mask = None if valid is None else valid[:, None, None, :]
        return F.scaled_dot_product_attention(q, k, v, mask)

    with pytest.raises(Unmet, match=r"dot_product_attention \(attend, line 3\) answers this task"):
        check_values("2.1-attend-values", attend)

    def hidden(q, k, v, valid=None):
        mask = None if valid is None else valid[:, None, None, :]
        return alias(q, k, v, mask)

    with pytest.raises(Unmet, match=r"dot_product_attention was called, which answers 2\.1"):
        check_values("2.1-attend-values", hidden)

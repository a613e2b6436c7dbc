"""A ready answer of a library is seen when it runs, whatever it is called; other calls are not."""

import functools
import sys

import pytest
import torch
import torch.nn.functional as F
import torchaudio
from torch import nn

from kws.checking import Unmet, check_values
from kws.contracts.own_work import watch_calls

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
    with watch_calls(CALLS, called):
        CALLS[name]()
    assert name in called
    called.clear()
    with watch_calls(set(CALLS) - {name}, called):
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


def test_the_notebook_refuses_what_the_grader_refuses():
    def attend(q, k, v, valid=None):
        mask = None if valid is None else valid[:, None, None, :]
        return F.scaled_dot_product_attention(q, k, v, mask)

    with pytest.raises(Unmet, match=r"scaled_dot_product_attention was called, which answers 2\.1"):
        check_values("2.1-attend-values", attend)

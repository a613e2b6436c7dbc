"""Each private part of torch that kws uses is there and does what kws uses it for."""

import re
from pathlib import Path

import pytest
import torch

from kws import torch_internals as internals

KWS = Path(internals.__file__).parent
PRIVATE = re.compile(r"\btorch(?:\.\w+)*\._[a-z_]*[A-Za-z]")  # torch._C, torch.ops.mkldnn._linear


def test_they_are_used_by_way_of_one_file():
    found = {
        f"{path.relative_to(KWS)}: {name}"
        for path in KWS.rglob("*.py")
        if path.name != "torch_internals.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        for name in PRIVATE.findall(line)
        if ">>>" not in line and "(None, " not in line  # a doctest of what answers may not use
    }
    assert not found


@pytest.mark.skipif(internals.onednn_linear is None, reason="torch has no oneDNN here")
def test_a_linear_layer_of_onednn():
    x, weight, bias = torch.randn(2, 3), torch.randn(5, 3), torch.randn(5)
    assert internals.onednn_linear is not None
    found = internals.onednn_linear(x, weight, bias, "none", [], "")
    torch.testing.assert_close(found, x @ weight.T + bias)


def test_transforms_are_noticed():
    seen = []

    def read(x):
        seen.append(internals.are_transforms_active())
        return x

    read(torch.ones(2))
    torch.vmap(read)(torch.ones(2))
    assert seen == [False, True]


def test_a_subclass_of_tensor_is_passed_over():
    class Liar(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *_, **__):
            return "a lie"

    liar = torch.ones(3).as_subclass(Liar)
    with internals.WithoutSubclasses():
        assert torch.numel(liar) == 3
    assert torch.numel(liar) == "a lie"


def test_gamma_draws_follow_a_generator():
    alpha = torch.full((7,), 0.5)
    one, same = (internals.standard_gamma(alpha, generator=torch.manual_seed(0)) for _ in range(2))
    assert torch.equal(one, same)
    assert (one > 0).all()


def test_lists_of_tensors_change_in_place():
    ours, theirs = [torch.zeros(2), torch.zeros(3)], [torch.ones(2), torch.ones(3)]
    internals.lerp_each(ours, theirs, 0.25)
    assert [x.tolist() for x in ours] == [[0.25] * 2, [0.25] * 3]
    internals.copy_each(ours, theirs)
    assert all(map(torch.equal, ours, theirs))


@pytest.mark.filterwarnings("ignore:Warning only once")  # as the name says
def test_operators_are_listed_and_one_can_be_replaced():
    assert "aten::glu" in internals.operator_names()
    assert internals.has_kernel("aten::glu", "CPU")
    library = internals.open_library("IMPL", "aten", "")
    library.impl("glu", "CPU", lambda x, dim=-1: x * 0)
    try:
        assert not torch.nn.functional.glu(torch.ones(4)).any()
    finally:
        del library


def test_operators_and_their_tensors_are_seen():
    seen = []

    class Watch(internals.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    with Watch():
        torch.ones(2).exp()
    assert "exp" in seen
    assert internals.tree_leaves({"a": [1, (2,)]}) == [1, 2]

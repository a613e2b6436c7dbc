"""What a check can ask of a student's functions and modules."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.core.outcomes import Reason
from grader.sandbox import Opaque, RemoteModule, module_ops
from tests.grader.sandbox.conftest import reason, stopped

NETS = """
import torch
import numpy as np
from torch import nn
from torch.nn import functional as F

HIDDEN = torch.ones(5, 5)
KERNEL = 31
SHAPE = (3, 5)

def closure():
    secret = torch.full((5,), 2.0)
    return lambda x: x + secret

class Honest(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.first = nn.Linear(d, h)
        self.norm = nn.LayerNorm(h)
        self.last = nn.Linear(h, d, bias=False)
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("scale", torch.tensor([2.0]))

    def forward(self, x, valid=None):
        x = self.dropout(self.last(F.relu(self.norm(self.first(x))))) * self.scale
        return x if valid is None else x * valid[..., None]

class Hiding(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = [torch.randn(5, 5), torch.randn(5)]
        self.change = closure()
        self.declared = nn.Parameter(torch.ones(5))
        self.unused = nn.Parameter(torch.ones(7))

    def forward(self, x):
        made_here = torch.zeros(5) + 1
        x = x @ self.weights[0] + self.weights[1] @ HIDDEN + made_here
        return self.change(x) * self.declared

class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.all = torch.randn(100)

    def forward(self, x):
        return x @ self.all[:25].view(5, 5) + self.all[25:30]

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(5, 5, bias=False)
        self.b = nn.Linear(5, 5, bias=False)
        self.b.weight = self.a.weight
        self.again = self.a

    def forward(self, x):
        return self.again(self.b.forward(self.a(x)))

class Lying(Honest):
    def nothing(self, *args, **kwargs):
        return iter(())

    parameters = named_parameters = buffers = named_buffers = nothing
    modules = named_modules = children = named_children = _named_members = nothing

    def state_dict(self, *args, **kwargs):
        return {}

def give(kind):
    return {
        "generator": (n for n in ()),
        "array": np.zeros(3),
        "scalar": np.float32(1.5),
        "whole": np.int64(3),
        "size": torch.zeros(3, 5).shape,
        "nets": [Honest(5, 3), {"a": Tied()}],
    }[kind]

def random():
    return torch.rand(3)

def both(net, x):
    return net(x) * 2

def shout(text, times):
    for _ in range(times):
        print(text)

def warn():
    import warnings
    warnings.warn("careful")
    return 1
"""


@pytest.fixture
def nets(student):
    """A check process with the definitions above."""
    return student(NETS)


def local(module: RemoteModule, d: int = 5, h: int = 7) -> nn.Module:
    """The same as `Honest`, here, with its weights."""
    net = nn.Sequential(nn.Linear(d, h), nn.LayerNorm(h), nn.ReLU(), nn.Linear(h, d, bias=False))
    state = module.state_dict()
    names = {"0": "first", "1": "norm", "3": "last"}
    net.load_state_dict({key: state[f"{names[key[0]]}{key[1:]}"] for key in net.state_dict()})
    return net


# Values


def test_constants_have_plain_values(nets):
    assert nets.value("KERNEL") == 31
    assert nets.value("SHAPE") == (3, 5)
    assert torch.equal(nets.value("HIDDEN"), torch.ones(5, 5))


def test_has_tells_what_is_defined(nets):
    assert nets.has("Honest")
    assert not nets.has("Honset")


def test_values_of_numpy_come_as_what_they_are(nets):
    assert nets.give("array") == Opaque("ndarray")
    assert nets.give("scalar") == 1.5
    assert nets.give("whole") == 3
    assert nets.give("generator") == Opaque("generator")
    assert nets.give("size") == (3, 5)


def test_every_call_begins_with_the_same_seed(student):
    first, second = student(NETS, seed=3), student(NETS, seed=4)
    assert torch.equal(first.random(), first.random())
    assert not torch.equal(first.random(), second.random())
    assert torch.equal(first.random(), torch.rand(3, generator=torch.Generator().manual_seed(3)))


def test_our_own_function_runs_with_the_students_names(nets):
    def ask(names, x, *, by):
        def plus_one(n):
            return n + 1

        return plus_one(names["KERNEL"]) * by, names["Honest"](5, 3)(x).shape

    assert nets.define(ask, torch.zeros(2, 5), by=2) == (64, (2, 5))


def test_gradcheck_can_be_asked_for(student):
    found = student("def square(x):\n    return x * x")

    def ask(names, x):
        return torch.autograd.gradcheck(names["square"], (x,))

    assert found.define(ask, torch.randn(3, dtype=torch.float64, requires_grad=True)) is True


def test_prints_are_counted_and_the_first_are_kept(nets):
    nets.shout("hello", 1)
    assert nets.printed() == (6, "hello\n")
    nets.shout("x" * 999, 40_000)
    count, kept = nets.printed()
    assert count == 6 + 40_000_000
    assert len(kept) == 2000


def test_warnings_cost_nothing(nets):
    assert nets.warn() == 1


# Modules


def test_a_module_computes_what_the_same_one_computes_here(nets):
    module = nets.Honest(5, 7).eval()
    x = torch.randn(2, 3, 5)
    torch.testing.assert_close(module(x), 2 * local(module)(x))


def test_keywords_reach_forward(nets):
    module = nets.Honest(5, 7).eval()
    valid = torch.tensor([[True, False, True]])
    out = module(torch.randn(1, 3, 5), valid=valid)
    assert out[0, 1].abs().sum() == 0


def test_training_mode_can_be_set(nets):
    module, x = nets.Honest(5, 7), torch.randn(64, 5)
    assert (module.train()(x) == 0).any()
    assert not (module.eval()(x) == 0).any()


def test_a_module_can_be_cast(nets):
    module = nets.Honest(5, 7)
    module.to(torch.float64)
    assert module(torch.zeros(2, 5, dtype=torch.float64)).dtype == torch.float64


def test_a_state_can_be_loaded(nets):
    one, two = nets.Honest(5, 7).eval(), nets.Honest(5, 7).eval()
    state = {name: value + 1 for name, value in one.state_dict().items()}
    two.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in two.state_dict().items())
    assert "size mismatch" in stopped(nets.Honest(5, 3).load_state_dict, state).message


def test_the_tree_names_paths_classes_and_parameters(nets):
    tree = nets.Honest(5, 7).tree()
    assert [(node.path, node.kind) for node in tree] == [
        ("", "Honest"),
        ("first", "Linear"),
        ("norm", "LayerNorm"),
        ("last", "Linear"),
        ("dropout", "Dropout"),
    ]
    assert tree[1].parameters == ("weight", "bias")
    assert (tree[0].package, tree[1].package) == ("student", "torch")


def test_parameters_tell_size_and_what_is_shared(nets):
    table = nets.Tied().parameters()
    assert {name: p.same_as for name, p in table.items()} == {
        "a.weight": None,
        "b.weight": "a.weight",
        "again.weight": "a.weight",
    }
    assert table["a.weight"].shape == (5, 5)
    assert table["a.weight"].numel == 25
    assert table["a.weight"].requires_grad


def test_what_a_class_says_of_itself_is_not_asked(nets):
    honest, lying, x = nets.Honest(5, 7), nets.Lying(5, 7), torch.randn(2, 5)
    assert lying.tree()[1:] == honest.tree()[1:]
    assert lying.parameters() == honest.parameters()
    assert lying.state_dict().keys() == honest.state_dict().keys()
    assert lying.gradients(x).keys() == honest.gradients(x).keys()
    one, other = lying.trace(x), honest.trace(x)
    assert one.touched == other.touched
    assert [call.path for call in one.layers] == [call.path for call in other.layers]


@pytest.mark.filterwarnings("ignore:.*jit.script.* is deprecated")
def test_what_we_find_in_a_module_is_what_torch_finds():
    shared = nn.Linear(3, 5)
    inner = nn.ModuleDict({"a": shared, "b": nn.BatchNorm1d(7), "script": torch.jit.script(shared)})
    net = nn.Sequential(shared, nn.ModuleList([inner, shared]), nn.Linear(3, 2, bias=False))
    net.register_module("none", None)
    net.register_buffer("kept", torch.ones(2))
    net.register_buffer("fleeting", torch.ones(2), persistent=False)
    assert list(module_ops.modules_of(net)) == list(net.named_modules())
    for ours, theirs in (
        (module_ops.parameters_of(net), net.named_parameters(remove_duplicate=False)),
        (module_ops.buffers_of(net), net.named_buffers(remove_duplicate=False)),
        (module_ops.state_of(net).items(), net.state_dict().items()),
    ):
        ours, theirs = list(ours), list(theirs)
        assert [name for name, _ in ours] == [name for name, _ in theirs]
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(ours, theirs, strict=True))


def test_a_child_is_a_module_of_its_own(nets):
    module = nets.Honest(5, 7)
    child = module.child("first")
    assert child.kind == "Linear"
    state = module.state_dict()
    x = torch.randn(3, 5)
    expected = F.linear(x, state["first.weight"], state["first.bias"])
    torch.testing.assert_close(child(x), expected)
    assert reason(module.child, "second") is Reason.ERROR


def test_modules_come_in_lists_and_can_be_arguments(nets):
    honest, table = nets.give("nets")
    assert isinstance(honest, RemoteModule)
    assert table["a"].kind == "Tied"
    x = torch.randn(2, 5)
    torch.testing.assert_close(nets.both(table["a"], x), 2 * table["a"](x))


def test_the_same_module_keeps_its_number(nets):
    module = nets.Honest(5, 7)
    assert module.child("first")._ref == module.child("first")._ref


def test_an_error_in_forward_names_the_class(nets):
    told = stopped(nets.Honest(5, 7), torch.zeros(2, 3))
    assert told.message.startswith("Honest raised RuntimeError")
    assert told.hint.startswith("cell 7, line ")


# Traces


def test_declared_tensors_are_touched_by_name(nets):
    touched = nets.Honest(5, 7).eval().trace(torch.randn(2, 5)).touched
    assert {item.name: item.numel for item in touched} == {
        **{"first.weight": 35, "first.bias": 7, "norm.weight": 7, "norm.bias": 7},
        **{"last.weight": 35, "scale": 1},
    }


def test_hidden_tensors_are_found_in_a_list_a_closure_and_a_global_name(nets):
    touched = nets.Hiding().trace(torch.randn(2, 5)).touched
    hidden = sorted(item.shape for item in touched if item.name is None)
    assert hidden == [(5,), (5,), (5, 5), (5, 5)]
    assert [item.name for item in touched if item.name] == ["declared"]


def test_all_the_memory_behind_a_view_is_told(nets):
    (item,) = nets.Packed().trace(torch.randn(2, 5)).touched
    assert (item.name, item.storage) == (None, 100)


def test_a_shared_tensor_is_touched_once(nets):
    (item,) = nets.Tied().trace(torch.randn(2, 5)).touched
    assert (item.name, item.numel) == ("a.weight", 25)


def test_arguments_and_what_is_made_of_them_are_not_touched(student):
    found = student(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n    def forward(self, x):\n"
        "        y = x[0].view(-1).clone()\n        y += torch.arange(len(y))\n        return y"
    )
    assert found.Net().trace([torch.randn(2, 3)]).touched == ()


def test_layers_are_told_in_the_order_of_their_calls_also_by_forward(nets):
    trace = nets.Tied().trace(torch.randn(2, 5))
    assert [call.path for call in trace.layers] == ["", "a", "b", "a"]
    assert trace.layers[1].input_shapes == ((2, 5),)
    assert trace.layers[1].output_shapes == ((2, 5),)
    torch.testing.assert_close(trace.layers[3].output, trace.output)


def test_a_trace_leaves_the_module_as_it_was(nets):
    module, x = nets.Tied(), torch.randn(2, 5)
    before = module(x)
    torch.testing.assert_close(module.trace(x).output, before)
    torch.testing.assert_close(module(x), before)
    assert len(module.trace(x).layers) == 4


# Gradients and training


def test_gradients_are_those_of_the_mean_square(nets):
    module = nets.Honest(5, 7).eval()
    twin, x = local(module), torch.randn(3, 5)
    found = module.gradients(x)
    here = x.clone().requires_grad_()
    (2 * twin(here)).square().mean().backward()
    torch.testing.assert_close(found["input.0"], here.grad)
    torch.testing.assert_close(found["first.weight"], twin[0].weight.grad)


def test_a_parameter_that_is_not_used_has_no_gradient(nets):
    found = nets.Hiding().gradients(torch.randn(2, 5))
    assert found["unused"] is None
    assert found["declared"] is not None


def test_training_lowers_the_loss_and_changes_the_weights(nets):
    module = nets.Honest(5, 7)
    before = module.state_dict()["first.weight"]
    batches = [(torch.randn(64, 5), torch.randint(5, (64,))) for _ in range(2)]
    losses = module.fit(batches, steps=30, lr=0.01)
    assert len(losses) == 30
    assert sum(losses[-5:]) < sum(losses[:5])
    assert not torch.equal(module.state_dict()["first.weight"], before)


def test_training_is_the_same_for_the_same_seed_and_another_for_another(nets):
    def run(seed):
        batches = [(torch.ones(8, 5), torch.zeros(8, 5))]
        return nets.Honest(5, 7).fit(batches, steps=3, lr=0.1, loss="mse", seed=seed)

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_is_what_torch_does(student, optimizer):
    found = student("from torch import nn\ndef net():\n    return nn.Linear(3, 2)")
    module = found.net()
    twin = nn.Linear(3, 2)
    twin.load_state_dict(module.state_dict())
    x, y = torch.randn(7, 3), torch.randn(7, 2)
    kind = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[optimizer]
    ours = kind(twin.parameters(), lr=0.1)
    expected = []
    for _ in range(3):
        ours.zero_grad()
        loss = F.mse_loss(twin(x), y)
        expected.append(loss.item())
        loss.backward()
        ours.step()
    losses = module.fit([(x, y)], steps=3, lr=0.1, loss="mse", optimizer=optimizer)
    # float32, which a process with another number of threads sums in another order
    assert losses == pytest.approx(expected, rel=1e-5)


def test_training_stops_where_the_loss_is_not_finite(student):
    found = student("from torch import nn\ndef net():\n    return nn.Linear(3, 2)")
    losses = found.net().fit([(torch.full((1, 3), float("nan")), torch.zeros(1, 2))], steps=9, lr=1)
    assert len(losses) == 1


def test_what_is_compiled_runs_as_it_is(student):
    found = student(
        "import torch\nfrom torch import nn\n@torch.compile\ndef double(x):\n    return 2 * x\n"
        "def build():\n    return torch.compile(nn.Linear(3, 2))"
    )
    assert found.double(torch.ones(3)).tolist() == [2, 2, 2]
    assert found.build()(torch.ones(1, 3)).shape == (1, 2)

"""What a check can ask of a student's functions and modules."""

import pytest
import torch
from torch import nn, optim
from torch.nn import functional as F

from grader.sandbox import Opaque, RemoteModule, module_ops
from tests.grader.conftest import code_beside
from tests.grader.sandbox.conftest import stopped

NETS = code_beside(__file__)["nets"]


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


def test_values_of_numpy_come_as_what_they_are_and_modules_in_lists_keep_their_number(nets):
    assert nets.give("array") == Opaque("ndarray")
    assert nets.give("scalar") == 1.5
    assert nets.give("whole") == 3
    assert nets.give("generator") == Opaque("generator")
    assert nets.give("size") == (3, 5)
    honest, table = nets.give("nets")
    assert isinstance(honest, RemoteModule)
    assert table["a"].kind == "Tied"
    x = torch.randn(2, 5)
    torch.testing.assert_close(nets.both(table["a"], x), 2 * table["a"](x))
    one, other = nets.give("twice")
    assert one._ref == other._ref


def test_every_call_begins_with_the_same_seed(student):
    first, second = student(NETS, seed=3), student(NETS, seed=4)
    assert torch.equal(first.random(), first.random())
    assert not torch.equal(first.random(), second.random())
    assert torch.equal(first.random(), torch.rand(3, generator=torch.Generator().manual_seed(3)))


def test_a_module_computes_what_the_same_one_computes_here(nets):
    module = nets.Honest(5, 7).eval()
    x = torch.randn(2, 3, 5)
    torch.testing.assert_close(module(x), 2 * local(module)(x))
    valid = torch.tensor([[True, False, True], [True, False, True]])
    assert (module(x, valid=valid)[:, 1] == 0).all()  # keywords reach `forward`
    x = torch.randn(64, 5)
    assert (module.train()(x) == 0).any()
    assert not (module.eval()(x) == 0).any()


def test_what_a_class_says_of_its_state_is_not_asked_prints_lead_nowhere_and_warnings_cost_nothing(
    nets,
):
    honest, lying = nets.Honest(5, 7), nets.Lying(5, 7)
    assert lying.state_dict().keys() == honest.state_dict().keys()
    assert nets.shout("x" * 999, 40_000) is None
    assert nets.warn() == 1


def test_an_error_in_forward_names_the_class_and_a_state_can_be_loaded(nets):
    one, two = nets.Honest(5, 7).eval(), nets.Honest(5, 7).eval()
    state = {name: value + 1 for name, value in one.state_dict().items()}
    two.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in two.state_dict().items())
    assert "size mismatch" in stopped(nets.Honest(5, 3).load_state_dict, state).message
    messages = stopped(nets.Honest(5, 7), torch.zeros(2, 3))
    assert messages.message.startswith("Honest raised RuntimeError")
    assert messages.hint.startswith("cell 7, line ")


@pytest.mark.filterwarnings("ignore:.*jit.script.* is deprecated")
def test_what_we_find_in_a_module_is_what_torch_finds():
    shared = nn.Linear(3, 5)
    inner = nn.ModuleDict({"a": shared, "b": nn.BatchNorm1d(7), "script": torch.jit.script(shared)})
    net = nn.Sequential(shared, nn.ModuleList([inner, shared]), nn.Linear(3, 2, bias=False))
    net.register_module("none", None)
    net.register_buffer("kept", torch.ones(2))
    net.register_buffer("fleeting", torch.ones(2), persistent=False)
    for ours, theirs in (
        (module_ops.parameters_of(net), net.named_parameters(remove_duplicate=False)),
        (module_ops.state_of(net).items(), net.state_dict().items()),
    ):
        ours, theirs = list(ours), list(theirs)
        assert [name for name, _ in ours] == [name for name, _ in theirs]
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(ours, theirs, strict=True))


def test_training_lowers_the_loss_and_is_the_same_for_the_same_seed(nets):
    module = nets.Honest(5, 7)
    before = module.state_dict()["first.weight"]
    batches = [(torch.randn(64, 5), torch.randint(5, (64,))) for _ in range(2)]
    losses = module.fit(batches, steps=30, lr=0.01)
    assert len(losses) == 30
    assert sum(losses[-5:]) < sum(losses[:5])
    assert not torch.equal(module.state_dict()["first.weight"], before)

    def run(seed):
        batches = [(torch.ones(8, 5), torch.zeros(8, 5))]
        return nets.Honest(5, 7).fit(batches, steps=3, lr=0.1, loss="mse", seed=seed)

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize(("optimizer", "kind"), [("adamw", optim.AdamW), ("sgd", optim.SGD)])
def test_training_is_what_torch_does(student, optimizer, kind):
    found = student("from torch import nn\ndef net():\n    return nn.Linear(3, 2)")
    module = found.net()
    twin = nn.Linear(3, 2)
    twin.load_state_dict(module.state_dict())
    x, y = torch.randn(7, 3), torch.randn(7, 2)
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


def test_training_stops_where_the_loss_is_not_finite_and_what_is_compiled_runs_as_it_is(student):
    found = student("from torch import nn\ndef net():\n    return nn.Linear(3, 2)")
    losses = found.net().fit([(torch.full((1, 3), float("nan")), torch.zeros(1, 2))], steps=9, lr=1)
    assert len(losses) == 1
    found = student(
        "import torch\nfrom torch import nn\n@torch.compile\ndef double(x):\n    return 2 * x\n"
        "def build():\n    return torch.compile(nn.Linear(3, 2))"
    )
    assert found.double(torch.ones(3)).tolist() == [2, 2, 2]
    assert found.build()(torch.ones(1, 3)).shape == (1, 2)

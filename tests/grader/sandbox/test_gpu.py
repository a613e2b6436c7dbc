"""A process that trains gets the nodes that are named, and no other process does.

Any character device does for a node: what Landlock, seccomp and the limits let through is tried
with /dev/full. What CUDA needs is tried where there is a GPU.
"""

import errno
import resource
import sys
from contextlib import ExitStack

import pytest
import torch

from grader.core.outcomes import Record
from grader.core.seed import Seed
from grader.course.probes.retraining import ON_CPU, Plan, train_again
from grader.sandbox import Code, Gpu, Sandbox, Tier, read_gpu
from grader.sandbox.tier import DATA, GPU_WEAKNESSES
from kws.errors import UsageError
from tests.grader.conftest import LIMITS, code_beside
from tests.grader.sandbox.conftest import pieces

NODE, OTHER = "/dev/full", "/dev/tty"
INSIDE = code_beside(__file__)["inside"]
MADE_UP = Gpu((NODE,), "7")
OPEN = f"os.close(os.open({NODE!r}, os.O_RDWR))"
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="device nodes are confined on Linux"
)
GPU = pytest.mark.skipif(not torch.cuda.device_count(), reason="needs a CUDA device")
WEAKER = pytest.param(Tier.FENCED, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def inside(sandboxes):
    """`inside(tier, trains, gpu)`: a process of a session that has `NODE` for a GPU."""
    with ExitStack() as stack:

        def start(tier=Tier.SEALED, trains=False, gpu=MADE_UP):
            return opened(stack, sandboxes(tier), trains, gpu)

        yield start


def opened(stack, sandbox, trains, gpu=None):
    session = stack.enter_context(sandbox.session(gpu=gpu))
    code = Code(pieces=pieces(INSIDE), audited=False)
    return stack.enter_context(session.check(code, trains=trains))


@pytest.mark.parametrize("tier", [Tier.SEALED, WEAKER])
def test_a_process_that_trains_may_use_the_named_node_and_no_other_process_of_the_session_does(
    inside, tier
):
    student = inside(tier, trains=True)
    assert student.has_gpu
    assert student.attempt(OPEN) == "None"
    assert student.attempt(f"os.read(os.open({NODE!r}, os.O_RDWR), 1)") == repr(b"\0")
    # what the device itself says, not the sandbox
    assert student.attempt(f"os.write(os.open({NODE!r}, os.O_RDWR), b'x')") == errno.ENOSPC
    assert student.attempt(f"fcntl.ioctl(os.open({NODE!r}, os.O_RDWR), 0x4600)") == errno.ENOTTY
    for path in (OTHER, "/dev", "/etc/passwd", "/proc/self/environ", "/proc/1/maps"):
        assert student.attempt(f"os.open({path!r}, os.O_RDONLY)") == errno.EACCES, path
    assert student.attempt("os.open('/dev/null', os.O_RDONLY)") != errno.EACCES
    assert student.attempt("os.fork()") == errno.EPERM
    assert student.attempt("os.environ['CUDA_VISIBLE_DEVICES']") == "'7'"
    student = inside(tier)
    assert not student.has_gpu
    assert student.attempt(OPEN) == errno.EACCES
    assert student.attempt("os.environ['CUDA_VISIBLE_DEVICES']") == "''"
    assert student.attempt("socket.socket(socket.AF_UNIX)") == errno.EPERM


def test_it_makes_local_sockets_but_reaches_nobody(inside):
    student = inside(trains=True)
    local = "socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)"
    assert student.attempt(f"(lambda s: (s.bind(chr(0) + 'x'), s.listen()))({local})") == str(
        (None, None)
    )
    assert student.attempt(f"{local}.connect(chr(0) + 'x')") == errno.EPERM
    assert student.attempt("socket.socket(socket.AF_INET)") == errno.EPERM
    assert student.attempt("socket.socketpair()") == errno.EPERM


def test_with_a_gpu_memory_is_limited_and_addresses_are_not(inside):
    with_one, without = inside(trains=True), inside()

    def limit(student, name):
        return int(student.attempt(f"resource.getrlimit(resource.{name})[0]"))

    least, most = LIMITS.memory, LIMITS.memory + (8 << 30)
    outside = resource.getrlimit(resource.RLIMIT_AS)[0]
    assert limit(with_one, "RLIMIT_AS") == outside
    assert least < limit(without, "RLIMIT_AS")
    assert limit(without, "RLIMIT_AS") != outside
    assert least < limit(without, "RLIMIT_DATA") < most
    assert least + DATA < limit(with_one, "RLIMIT_DATA") < most + DATA


def plan(recipe, seed):
    batch = (torch.ones(4, 3), torch.tensor([0, 1, 0, 1]))
    return Plan(batches=(batch,), rates=(0.1,) * recipe["steps"])


def trained(start):
    """`train_again` for three steps; the model, the facts, and which processes were asked for."""
    wanted, record = [], Record()

    def new_student(*, trains=False):
        wanted.append(trains)
        return start(trains=trains)

    model = train_again(new_student, lambda s: s.net(), plan, {"steps": 3}, Seed("s"), record)
    return model, dict(record.facts), wanted


def test_a_training_that_stops_on_the_gpu_is_done_on_the_cpu(inside):
    model, facts, wanted = trained(inside)
    assert wanted[0] is True
    assert wanted[1:] == [False, False]
    assert facts["trained on"].startswith("the CPU, as on the GPU it stopped: ")
    assert "cuda" in facts["trained on"].lower()
    plain, output, _ = trained(lambda trains: inside(trains=trains, gpu=None))
    assert output["trained on"] == ON_CPU
    assert torch.equal(model(torch.ones(1, 3)), plain(torch.ones(1, 3)))


def test_the_staff_ask_by_a_variable_and_the_nodes_there_are_found(tmp_path):
    for name in ("nvidia0", "nvidia12", "nvidiactl", "nvidia-uvm", "nvidia-modeset", "null"):
        (tmp_path / name).touch()
    found = read_gpu({"KWS_GRADER_GPU": "1", "CUDA_VISIBLE_DEVICES": "0"}, tmp_path)
    assert found is not None
    names = ("nvidia-uvm", "nvidia0", "nvidia12", "nvidiactl")
    assert found == Gpu(tuple(str(tmp_path / name) for name in names), "0")
    assert Gpu.from_plain(found.to_plain()) == found
    assert read_gpu({"KWS_GRADER_GPU": "1"}, tmp_path / "empty") == Gpu()
    assert read_gpu({}) is read_gpu({"KWS_GRADER_GPU": "0"}) is read_gpu({"KWS_GRADER_GPU": ""})
    with pytest.raises(UsageError, match=r"^KWS_GRADER_GPU='yes': give 1 to train on a GPU"):
        read_gpu({"KWS_GRADER_GPU": "yes"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpu", "why"),
    [(Gpu(), "/dev has no node of NVIDIA's driver"), (Gpu((NODE,)), "no usable CUDA GPU")],
)
def test_where_a_gpu_cannot_be_had_grading_goes_on_and_says_so(gpu, why):
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(gpu=gpu))
        assert sandbox.gpu is None
        assert sandbox.isolation == sandbox.tier.value
        last = sandbox.weaknesses[-1]
        assert last.startswith("KWS_GRADER_GPU=1 is of no use here, trainings run on the CPU: ")
        assert why in last
        student = opened(stack, sandbox, True)
        assert not student.has_gpu
        assert len(student.net().fit([(torch.ones(4, 3), torch.zeros(4, 2))], **FEW)) == 3


FEW = {"steps": 3, "lr": 0.1, "loss": "mse", "seed": 1}


@pytest.mark.gpu
@GPU
def test_on_a_gpu_a_confined_process_trains_as_on_the_cpu():
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(gpu=read_gpu({"KWS_GRADER_GPU": "1"})))
        assert sandbox.gpu is not None, sandbox.weaknesses
        assert sandbox.isolation == f"{sandbox.tier.value} with a GPU"
        assert set(GPU_WEAKNESSES) <= set(sandbox.weaknesses)
        batches = [(torch.randn(8, 3), torch.randn(8, 2))]
        there = opened(stack, sandbox, True).net().fit(batches, device="cuda", **FEW)
        without = opened(stack, sandbox, False)
        # each process draws the same weights; a GPU adds in another order
        assert there == pytest.approx(without.net().fit(batches, **FEW), rel=1e-3)
        assert without.attempt("torch.cuda.is_available()") == "False"
        model, facts, wanted = trained(lambda trains: opened(stack, sandbox, trains))
        assert facts["trained on"] == "a GPU"
        assert sorted(wanted) == [False, True]
        assert model(torch.ones(1, 3)).shape == (1, 2)

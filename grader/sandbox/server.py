"""The server process: has torch loaded, and forks a session for each socket it receives.

The evaluator starts it with a clean environment and no other descriptor, before it reads any
secret, so its forks cannot contain one. It imports only modules of kws that students do not build:
exceptions, and what visible checks use.
"""

import contextlib
import gc
import importlib
import os
import platform
import signal
import socket
import sys
import tempfile
from importlib.util import find_spec

import torch

from grader.adapters import ASSIGNMENTS
from grader.sandbox import confine, linux, module_ops, namespaces, seccomp, session, traps, wire
from grader.sandbox.loading import Namespace
from grader.sandbox.program import Code
from grader.sandbox.tier import Gpu, Limits, Tier
from grader.submission.contents import Piece
from kws.course import own_work
from kws.course.notebooks import assignment_folders
from kws.course.trial import load_contract
from kws.device import choose_device

SEALED, OPEN = b"S", b"O"  # what comes with the socket of a session: namespaces, or none
PRELOADED = (  # what notebooks import, and what torch would import at its first optimizer
    "torch._dynamo",
    "torchaudio",
    "matplotlib.pyplot",
    "IPython.display",
    "soundfile",
    "tqdm.auto",
    "jaxtyping",
    "kws.course.checking",
)
REHEARSAL = """
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Layer(nn.Module):
    def __init__(self, width: int = 4):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, 2 * width)
        self.conv = nn.Conv1d(width, width, 3, padding=1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        x = x + torch.arange(x.shape[1])[None, :, None] / math.sqrt(2.0)
        a, b = self.linear(self.norm(x)).chunk(2, dim=-1)
        scores = a @ b.transpose(-2, -1)
        if valid is not None:
            scores = scores.masked_fill(~valid[:, None, :], float("-inf"))
        x = x + self.dropout(F.relu(torch.softmax(scores, dim=-1) @ a * torch.sigmoid(b)))
        return self.conv(x.reshape(x.shape).permute(0, 2, 1).contiguous()).mean(-1)
"""


def main(descriptor: int) -> None:
    """Run the server until no evaluator has the other end open."""
    control = socket.socket(fileno=descriptor)
    preload()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if linux.LINUX:
        linux.prctl(linux.SET_CHILD_SUBREAPER, 1)
    wanted = wire.read_frame(control)
    found, refused = probe([Tier(tier) for tier in wanted["tiers"]])
    gpu = Gpu.from_plain(wanted["gpu"])
    no_gpu = _attempt(found, gpu) if found and gpu else None
    answer = {"tier": found and found.value, "refused": refused, "no_gpu": no_gpu}
    control.sendall(b"".join(wire.dump(answer)))
    silence()
    while True:
        tier, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not tier:
            return
        for other in descriptors:
            fork_session(control, other, sealed=tier == SEALED)
            os.close(other)


def preload() -> None:
    """Import, compute once with one thread, and freeze the garbage collector's objects."""
    for name in PRELOADED:
        with contextlib.suppress(Exception):
            if find_spec(name.partition(".")[0]):
                importlib.import_module(name)
    for number in assignment_folders():
        load_contract(number)  # a session could not read its file any more
    torch.set_num_threads(1)
    rehearse()
    traps.places()
    for name in sorted({name for one in ASSIGNMENTS.values() for name in one.forbidden}):
        if name in sys.modules:
            traps.named_in(name)
    own_work.operators()
    if linux.LINUX:
        with contextlib.suppress(OSError):  # a machine without a table has no such tier
            seccomp.program(platform.machine(), os.getpid())
    for name in [name for name in sys.modules if name.partition(".")[0] in traps.STAFF]:
        del sys.modules[name]  # out of the way of students' code; nothing secret is in them
    sys.dont_write_bytecode = True  # from here on: checks have no place for it
    gc.freeze()
    gc.enable()
    if linux.LINUX:
        linux.collapse()


def rehearse() -> None:
    """Load and call a module as a check does, so that lazy initialization is done."""
    piece = Piece(source=REHEARSAL, names=("Layer",), where="rehearsal", line=1)
    space = Namespace(Code(pieces=(piece,)))
    space.load()
    module = space.find("Layer")()
    args = (torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
    module(*args)
    wire.dump({"value": module_ops.observe(module, args, None)})
    module(*args).sum().backward()
    wire.dump(module_ops.state_of(module))


def silence() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)


def fork_session(control: socket.socket, descriptor: int, *, sealed: bool) -> None:
    """Fork a session process on this socket, in new namespaces if it is to be sealed."""
    connection = socket.socket(fileno=os.dup(descriptor))
    user, group = os.getuid(), os.getgid()
    try:
        process = namespaces.start() if sealed else os.fork()
    except OSError as error:
        connection.sendall(b"".join(wire.dump({"refused": str(error)})))
        connection.close()
        return
    if process == 0:
        status = 70
        try:
            control.close()
            os.close(descriptor)
            session.run(connection, user, group)
            status = 0
        finally:
            os._exit(status)
    connection.close()


def probe(tiers: list[Tier]) -> tuple[Tier | None, dict[str, str]]:
    """The first of these tiers that works here, and why the ones before do not."""
    refused: dict[str, str] = {}
    for tier in tiers:
        reason = _attempt(tier)
        if reason is None:
            return tier, refused
        refused[tier.value] = reason
    return None, refused


def _attempt(tier: Tier, gpu: Gpu | None = None) -> str | None:
    """Confine a process as in this tier and compute; return the error, or None."""
    if tier is not Tier.PROCESS and not linux.LINUX:
        return f"{sys.platform} has neither namespaces nor Landlock"
    reader, writer = os.pipe()
    folder = "" if tier is Tier.SEALED else tempfile.mkdtemp(prefix="kws-check-")
    user, group = os.getuid(), os.getgid()
    try:
        process = namespaces.start() if tier is Tier.SEALED else os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        return str(error)
    if process == 0:
        try:
            confinement = confine.Confinement.build(tier, (), user, group, gpu)
            confinement.bind(folder, Limits(), trains=True)
            place = choose_device("cuda" if gpu else "cpu")
            torch.nn.Linear(3, 5).to(place)(torch.randn(2, 3, device=place)).sum().backward()
            os.write(writer, b"+")
        except Exception as error:
            os.write(writer, str(error).encode()[:1000] or b"?")
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode()
    confine.remove(folder)
    return None if answer == "+" else answer or "the process died"

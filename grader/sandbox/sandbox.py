"""The evaluator's side of isolation: start and end the server, sessions and checks.

Start a `Sandbox` before this process has secrets: its server starts clean, but an open file or a
set variable is safest if it does not exist yet.
"""

import contextlib
import os
import site
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from grader import ROOT
from grader.core.outcomes import Reason, Stopped
from grader.sandbox import session, wire
from grader.sandbox.connection import Connection, Ended
from grader.sandbox.program import Code
from grader.sandbox.remote import RemoteStudent
from grader.sandbox.tier import GPU_WEAKNESSES, VARIABLE, Gpu, Limits, Tier
from kws.errors import UsageError

START = 180.0  # seconds that the server may take to load torch
BEGIN = 30.0  # and a session to begin
_BOOT = """
import gc, site, sys
gc.disable()  # until all is loaded: what is loaded stays
root, descriptor, *folders = sys.argv[1:]
sys.path[:] = [path for path in sys.path if path]
[site.addsitedir(folder) for folder in folders]
sys.path.insert(0, root)
from grader.sandbox import server
sys.path.remove(root)
server.main(int(descriptor))
"""


@dataclass(frozen=True)
class Launched:
    process: subprocess.Popen[bytes]
    control: socket.socket


def launch() -> Launched:
    """Start a server. It ends when its socket is closed here."""
    control, theirs = socket.socketpair()
    users = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    folders = [folder for folder in users if folder in sys.path]
    arguments = [str(ROOT), str(theirs.fileno()), *folders]
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-s", "-c", _BOOT, *arguments],
            env=_environment(),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
    return Launched(process, control)


def _environment() -> dict[str, str]:
    kept = ("HOME", "LD_LIBRARY_PATH", "MPLCONFIGDIR")
    one = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        **{f"{name}_NUM_THREADS": "1" for name in one},
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "CUDA_VISIBLE_DEVICES": "",  # a process that has a GPU shows it to itself: `tier.Gpu.show`
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # CUDA, once begun, cannot be used after a fork
        "TORCHDYNAMO_DISABLE": "1",  # torch.compile needs a compiler; what it wraps runs as it is
        "MALLOC_ARENA_MAX": "2",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # large pages: a fork takes half the time
        "PYTHONMALLOC": "malloc",  # so Python's objects lie in them too
        "MPLBACKEND": "Agg",
        "PYTHONHASHSEED": "0",
        "PYTHONSAFEPATH": "1",
    }


class Sandbox:
    """A server process that confined processes are forked from; a context manager.

    `tier` is the isolation, `weaknesses` what it leaves open and why there is no stronger one,
    `gpu` what a training check gets.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        tier: Tier | None = None,
        launched: Launched | None = None,
        gpu: Gpu | None = None,
    ):
        """UsageError where the machine lacks the tier asked for; None takes the best it has."""
        self.limits = limits or Limits()
        self._owner = os.getpid()
        server = launched or launch()
        self._process, self._control = server.process, server.control
        tiers = [tier] if tier else sorted(Tier, key=lambda each: -each.strength)
        try:
            found = self._begin([each.value for each in tiers], gpu if gpu and gpu.nodes else None)
        except BaseException:
            self.close()
            raise
        why = [f"no {name} tier: {reason}" for name, reason in found["refused"].items()]
        if found["tier"] is None:
            self.close()
            raise UsageError(
                f"this machine cannot isolate submissions as asked for: {'; '.join(why)}"
            )
        self.tier = Tier(found["tier"])
        no_gpu = found["no_gpu"] if gpu and gpu.nodes else "/dev has no node of NVIDIA's driver"
        self.gpu = gpu if no_gpu is None else None
        if self.gpu:
            why += GPU_WEAKNESSES
        elif gpu:
            why.append(f"{VARIABLE}=1 is of no use here, trainings run on the CPU: {no_gpu}")
        self.weaknesses = (*self.tier.weaknesses, *why)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the server runs; only valid in the process that started it."""
        return self._process.poll() is None

    @property
    def isolation(self) -> str:
        return f"{self.tier.value} with a GPU" if self.gpu else self.tier.value

    def session(self, withheld: Sequence[str] = (), gpu: Gpu | None = None) -> "Session":
        """Processes for one submission, without `withheld` modules; `gpu` if a check trains."""
        return Session(self, withheld, gpu or self.gpu)

    def close(self) -> None:
        """End the server and all its processes, except in a fork of the evaluator."""
        self._control.close()
        if self._process.stderr:
            self._process.stderr.close()
        if os.getpid() != self._owner:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._process.kill()
        self._process.wait()

    def hand_over(self, theirs: socket.socket) -> None:
        """Send a session's socket to the server; safe from concurrent forks of this process."""
        message = b"S" if self.tier is Tier.SEALED else b"O"
        try:
            socket.send_fds(self._control, [message], [theirs.fileno()])
        except OSError as error:
            message = f"the sandbox has ended: {error.strerror}"
            raise Stopped(Reason.INFRASTRUCTURE, message) from None

    def _begin(self, tiers: list[str], gpu: Gpu | None) -> dict[str, Any]:
        request = {"tiers": tiers, "gpu": gpu and gpu.to_plain()}
        try:
            self._control.sendall(b"".join(wire.dump(request)))
            self._control.settimeout(START)
            found = wire.read_frame(self._control)
            self._control.settimeout(None)
        except (OSError, EOFError):
            self._process.kill()
            output = b"" if self._process.stderr is None else self._process.stderr.read()
            text = output[-2000:].decode(errors="replace")
            last = (text.strip().splitlines() or ["no output"])[-1]
            raise Stopped(
                Reason.INFRASTRUCTURE, f"the sandbox did not start: {last}", text
            ) from None
        return found


class Session:
    """One submission's processes; a context manager. Two checks may be open concurrently."""

    def __init__(self, sandbox: Sandbox, withheld: Sequence[str], gpu: Gpu | None):
        self._limits, self._has_gpu = sandbox.limits, gpu is not None
        self._control, theirs = socket.socketpair()
        self._last = 0
        self._ended: dict[int, Ended] = {}
        request = {
            "tier": sandbox.tier.value,
            "withheld": list(withheld),
            "gpu": gpu and gpu.to_plain(),
        }
        try:
            with theirs:
                sandbox.hand_over(theirs)
            self._control.settimeout(BEGIN)
            self._control.sendall(b"".join(wire.dump(request)))
            refused = wire.read_frame(self._control)["refused"]
        except Stopped:
            self.close()
            raise
        except (OSError, EOFError) as error:
            self.close()
            raise Stopped(Reason.INFRASTRUCTURE, f"no session began: {error!r}") from None
        if refused is not None:
            self.close()
            raise Stopped(Reason.INFRASTRUCTURE, f"no session began: {refused}")

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._control.close()

    def check(
        self, code: Code, *, seconds: float | None = None, trains: bool = False
    ) -> RemoteStudent:
        """A fresh process that loads `code`, a context manager; the GPU only if it `trains`."""
        limits = replace(self._limits, seconds=seconds) if seconds else self._limits
        self._drain(0.0)
        self._last += 1
        number = self._last
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [session.ORDER.pack(b"C", number)], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise Stopped(Reason.INFRASTRUCTURE, f"the session has ended: {error!r}") from None
        finally:
            theirs.close()
        connection = Connection(
            ours,
            limits,
            {"limits": asdict(limits), "code": code.to_bytes(), "trains": trains},
            kill=lambda: self._kill(number),
            ended=lambda: self._how_ended(number),
            may_report_fault=bool(code.references),
        )
        return RemoteStudent(connection, has_gpu=trains and self._has_gpu)

    def _kill(self, number: int) -> None:
        if number not in self._ended:
            with contextlib.suppress(OSError):
                self._control.sendall(session.ORDER.pack(b"K", number))

    def _how_ended(self, number: int) -> Ended | None:
        deadline = time.monotonic() + 2
        while number not in self._ended and (left := deadline - time.monotonic()) > 0:
            if not self._drain(left):
                break
        return self._ended.get(number)

    def _drain(self, wait: float) -> bool:
        size = session.ENDED.size
        try:
            self._control.settimeout(wait or 0.0)
            data = self._control.recv(size)
            while 0 < len(data) < size:
                self._control.settimeout(1)
                data += self._control.recv(size - len(data))
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                self._control.settimeout(BEGIN)
        if not data:
            return False
        number, status, seconds, memory = session.ENDED.unpack(data)
        self._ended[number] = Ended(status, seconds, memory)
        return True

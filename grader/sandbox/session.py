"""The session process: one per submission, number 1 of its namespaces; it runs no student code.

Commands have five bytes, a letter and a check's number: `C` with a socket starts a check, `K` ends
one. The reply is a record per ended check: number, wait status, processor seconds, bytes of memory
beyond ours. All ends when the evaluator closes its socket.
"""

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from grader.sandbox import linux, wire, worker
from grader.sandbox.confine import Confinement, remove
from grader.sandbox.tier import Gpu, Tier

ORDER = struct.Struct("<cI")
ENDED = struct.Struct("<IidQ")
_UNIT = 1024 if linux.LINUX else 1  # of ru_maxrss


def run(control: socket.socket, user: int, group: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = wire.read_frame(control)
    withheld = request["withheld"]
    try:
        tier, has_gpu = Tier(request["tier"]), Gpu.from_plain(request["gpu"])
        confinement = Confinement.build(tier, withheld, user, group, has_gpu)
    except OSError as error:
        control.sendall(b"".join(wire.dump({"refused": str(error)})))
        return
    control.sendall(b"".join(wire.dump({"refused": None})))
    gc.freeze()
    SessionProcess(control, confinement, withheld).serve()


class SessionProcess:
    def __init__(self, control: socket.socket, confinement: Confinement, withheld: Sequence[str]):
        self.control, self.confinement, self.withheld = control, confinement, withheld
        self.running: dict[int, tuple[int, str]] = {}  # process -> number of the check, folder

    def serve(self) -> None:
        woken, waker = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)
        try:
            while True:
                ready, _, _ = select.select([self.control, woken], [], [])
                if woken in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(woken, 4096)
                    self._reap()
                if self.control in ready and not self._obey():
                    return
        except OSError:
            return  # the evaluator closed the socket in the middle of a message
        finally:
            self._end_all()

    def _obey(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self.control, ORDER.size, 1)
        if len(data) < ORDER.size:
            return False
        order, number = ORDER.unpack(data)
        if order == b"C":
            self._start(number, descriptors[0])
            os.close(descriptors[0])
        else:
            for process, (other, _) in self.running.items():
                if other == number:
                    self._kill(process)
        return True

    def _start(self, number: int, descriptor: int) -> None:
        folder = self.confinement.new_folder()
        process = os.fork()
        if process == 0:
            status = 70
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                worker.run(descriptor, self.confinement, folder, self.withheld)
                status = 0
            finally:
                os._exit(status)
        self.running[process] = (number, folder)

    def _kill(self, process: int) -> None:
        for kill in (os.kill, os.killpg):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(process, signal.SIGKILL)

    def _reap(self) -> None:
        while True:
            try:
                process, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            if process in self.running:
                number, folder = self.running.pop(process)
                with contextlib.suppress(OSError):
                    os.killpg(process, signal.SIGKILL)
                if not self.running:
                    self._kill_orphans()
                remove(folder)
                seconds = usage.ru_utime + usage.ru_stime
                more = max(0, usage.ru_maxrss - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
                record = ENDED.pack(number, status, seconds, more * _UNIT)
                self.control.sendall(record)

    def _kill_orphans(self) -> None:
        """Kill orphans of a check, which become our children on Linux (subreaper)."""
        with contextlib.suppress(OSError, ValueError):
            text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
            for process in map(int, text.split()):
                self._kill(process)

    def _end_all(self) -> None:
        for process, (_, folder) in self.running.items():
            self._kill(process)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process, 0)
            remove(folder)
        self._kill_orphans()
        sys.stdout = None  # type: ignore[assignment]

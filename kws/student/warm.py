"""A process that has torch loaded and forks for each `kws check`, to save the import of torch.

The first `kws check` starts it. It listens on a socket in the cache folder, for this user only, and
ends after MINUTES without work. Every run is a fork of its own, so no state carries over. The
socket's name encodes kws, Python, packages and settings: after a change the old process is not
found, and ends. Linux only, as forking a process with torch is not safe elsewhere; there, and with
KWS_WARM=0, each run loads torch itself.

`kws check 2.1` takes 2.4 CPU s without it, nearly all of it `import torch`, and 0.33 with it
(`python benchmarks/first_answer.py`: median of 5, two busy cores of an AMD EPYC, torch 2.11).
"""

import contextlib
import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kws
from kws.files import cache_dir, lock

MINUTES = 10.0  # without work, then it ends
LOOK = 30.0  # seconds between two checks whether it is still needed
START = 20.0  # seconds until its socket is there; torch is loaded after that
ROOT = Path(kws.__file__).parents[1]
SETTINGS = ("ATEN_", "CUDA_", "KMP_", "KWS_", "LD_", "MKL_", "OMP_", "ONEDNN_", "PYTHON", "TORCH")
CODE = (  # this very kws, and nothing of the folder that we are in
    f"import sys; sys.path[:] = [{str(ROOT)!r}, *filter(None, sys.path)]; import kws; "
    "del sys.path[0]; "
)


class WarmProcess:
    """A fork of the warm process, spoken to as a `JsonProcess` is."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("r", encoding="utf-8", errors="replace")
        self._code = -signal.SIGKILL

    def send(self, message: dict[str, Any]) -> None:
        """Write a job, with our environment. If the process has ended, `receive` reports it."""
        environment = {**os.environ, "MPLBACKEND": "Agg"}
        with contextlib.suppress(OSError):
            line = json.dumps(message | {"environment": environment})
            self._connection.sendall(f"{line}\n".encode())

    def receive(self, seconds: float | None = None) -> Any:
        self._connection.settimeout(None if seconds is None else max(seconds, 1e-3))
        try:
            line = self._lines.readline()
        except ConnectionError:
            return None
        event = json.loads(line) if line.endswith("\n") else None
        if event is not None and "ended" in event:
            self._code = int(event["ended"])
            return None
        return event

    def exit_code(self) -> int:
        return self._code

    def close(self) -> None:
        """End the process; the warm one ends when its connection is closed."""
        self._lines.close()
        self._connection.close()

    def __enter__(self) -> "WarmProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def warm_process() -> WarmProcess | None:
    """A fork of the warm process, which is started if it is not there; None where none can be."""
    if sys.platform != "linux" or os.environ.get("KWS_WARM") == "0":
        return None
    try:
        path = socket_path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.stat().st_uid != os.getuid():
            return None
        return _connected(path) or _started(path)
    except OSError:  # no room, no sockets on this file system, a path too long for one
        return None


def socket_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the warm process for this kws, as it is now, listens."""
    loaded = [sys.executable, str(ROOT), *sorted(loaded_files(ROOT / "kws"))]
    for name in ("purelib", "platlib"):  # its time changes whenever a package is installed
        with contextlib.suppress(OSError):
            loaded.append(str(Path(sysconfig.get_path(name)).stat().st_mtime_ns))
    loaded += [f"{k}={v}" for k, v in sorted(environment.items()) if k.startswith(SETTINGS)]
    return cache_dir() / "warm" / hashlib.sha256("\n".join(loaded).encode()).hexdigest()[:16]


def loaded_files(folder: Path) -> list[str]:
    """Name, time and size of every file of kws that a check may read."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each != "__pycache__")
        for name in names:
            status = os.stat(os.path.join(parent, name))  # noqa: PTH116, PTH118  (200 of them)
            found.append(f"{parent}/{name} {status.st_mtime_ns} {status.st_size}")
    return found


def _connected(path: Path) -> WarmProcess | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        return None
    return WarmProcess(connection)


def _started(path: Path) -> WarmProcess | None:
    code = f"{CODE}from kws.student.warm import serve; serve({str(path)!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=path.parent,
        env={**os.environ, "MPLBACKEND": "Agg"},
        start_new_session=True,  # Ctrl-C is the check's affair
    )
    end = time.monotonic() + START
    while time.monotonic() < end:
        if found := _connected(path):
            process.returncode = 0  # it goes on without us
            return found
        if process.poll() not in (None, 0):  # 0: another one was first
            return None
        time.sleep(0.02)
    return None


def serve(name: str, minutes: float = MINUTES) -> None:
    """Be the warm process: listen, load torch, fork for each connection, end when idle or old."""
    path = Path(name)
    with path.with_suffix(".lock").open("wb") as held:
        if not lock(held):
            return
        path.unlink(missing_ok=True)  # left by one that was killed
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(name)
        path.chmod(0o600)
        listener.listen(16)
        try:
            _Warm(listener, path).work(minutes * 60)
        finally:
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)


class _Warm:
    def __init__(self, listener: socket.socket, path: Path) -> None:
        self.listener, self.path = listener, path
        self.children: dict[int, socket.socket] = {}
        self.woken, wake = socket.socketpair()
        for end in (self.woken, wake):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self.wake = wake

    def work(self, idle: float) -> None:
        from kws.student import cell_process

        cell_process.load()
        last, more = time.monotonic(), list(cell_process.NOTEBOOKS_IMPORT)
        while self.children or time.monotonic() - last < idle:
            if not self.children and socket_path() != self.path:
                return
            waiting = [self.listener, self.woken, *self.children.values()]
            unused = more and not self.children
            ready, _, _ = select.select(waiting, [], [], 0.5 if unused else min(LOOK, idle))
            if unused and not ready:  # idle: import one more module for the next check
                cell_process.load_one(more.pop(0))
            for each in ready:
                last = time.monotonic()
                if each is self.listener:
                    self.fork()
                elif each is self.woken:
                    with contextlib.suppress(OSError):
                        self.woken.recv(4096)
            self.reap()
            self.end_the_forgotten(ready)

    def fork(self) -> None:
        connection, _ = self.listener.accept()
        pid = os.fork()
        if not pid:
            self.child(connection)
        self.children[pid] = connection

    def child(self, connection: socket.socket) -> None:
        """Run one job with the connection as stdin and stdout, and end."""
        from kws.student import cell_process

        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (0, 1):
                os.dup2(connection.fileno(), end)
            for other in (
                self.listener,
                self.woken,
                self.wake,
                connection,
                *self.children.values(),
            ):
                other.close()
            sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
            cell_process.serve_job(still_wanted=lambda: socket_path() == self.path)
        finally:
            os._exit(0)

    def reap(self) -> None:
        for pid in list(self.children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                code = os.waitstatus_to_exitcode(status)
                with contextlib.suppress(OSError), self.children.pop(pid) as connection:
                    connection.settimeout(1.0)
                    connection.sendall(f"{json.dumps({'ended': code})}\n".encode())

    def end_the_forgotten(self, ready: list[socket.socket]) -> None:
        for pid, connection in list(self.children.items()):
            if connection in ready and _is_closed(connection):
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other end has closed; data it sent is left to the child."""
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True

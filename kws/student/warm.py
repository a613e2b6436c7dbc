"""A process that has torch loaded and forks for each `kws check`: see `processes`, which starts it.

Every run is a fork of its own, so no state carries over. It ends after MINUTES without work, and
once the name of its socket is not the one that this kws, Python and settings have.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

from kws.files import lock
from kws.student.processes import socket_path

MINUTES = 10.0  # without work, then it ends
CHECK_EVERY = 30.0  # seconds between two checks whether it is still needed


def serve(name: str, minutes: float = MINUTES) -> None:
    """Be the warm process: listen, load torch, fork for each connection, end when idle or old."""
    path = Path(name)
    with path.with_suffix(".lock").open("wb") as lock_file:
        if not lock(lock_file):
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
            ready, _, _ = select.select(waiting, [], [], 0.5 if unused else min(CHECK_EVERY, idle))
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

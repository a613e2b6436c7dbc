"""Child processes that answer in lines of JSON: a Python of its own, or a fork of a warm one.

`kws.student.warm` is a process that has torch loaded and forks for each `kws check`, to save the
import of torch. The first `kws check` starts it. It listens on a socket in the cache folder, for
this user only. The socket's name encodes kws, Python, packages and settings: after a change the old
process is not found. Linux only, as forking a process with torch is not safe elsewhere; there, and
with KWS_WARM=0, each run loads torch itself.

`kws check 2.1` takes 2.4 CPU s without it, nearly all of it `import torch`, and 0.33 with it
(`python benchmarks/first_answer.py`: median of 5, two busy cores of an AMD EPYC, torch 2.11).
"""

import contextlib
import hashlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import kws
from kws.files import cache_dir

START = 20.0  # seconds until its socket is there; torch is loaded after that
ROOT = Path(kws.__file__).parents[1]
SETTINGS = ("ATEN_", "CUDA_", "KMP_", "KWS_", "LD_", "MKL_", "OMP_", "ONEDNN_", "PYTHON", "TORCH")
CODE = (  # this very kws, and nothing of the folder that we are in
    f"import sys; sys.path[:] = [{str(ROOT)!r}, *filter(None, sys.path)]; import kws; "
    "del sys.path[0]; "
)


class JsonProcess:
    """A child process that reads lines of JSON from stdin and writes lines of JSON to stdout.

    Close it, or use it as a context manager; `options` are those of `subprocess.Popen`.
    """

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        pipe = subprocess.PIPE
        self.process: subprocess.Popen[str] = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, encoding="utf-8", errors="replace", **options
        )
        self._lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                if not line.endswith("\n"):  # cut off by its death
                    break
                self._lines.put(json.loads(line))
        self._lines.put(None)

    def send(self, message: object) -> None:
        """Write a line. Where the process is gone, `receive` returns None."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed meanwhile
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def receive(self, seconds: float | None = None) -> Any:
        """The next line; None when the process has ended. TimeoutError after `seconds`."""
        try:
            message = self._lines.get(timeout=None if seconds is None else max(seconds, 0))
        except queue.Empty:
            raise TimeoutError from None
        if message is None:
            self._lines.put(None)  # it remains ended
        return message

    def exit_code(self) -> int:
        return self.process.wait()

    def kill(self) -> None:
        self.process.kill()

    def close(self) -> None:
        self.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # what it never read
            self.process.stdin.close()

    def __enter__(self) -> "JsonProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def json_stdout(others: int) -> Callable[[object], None]:
    """Returns the function that writes a JSON line; other output goes to descriptor `others`."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(others, 1)

    def write(message: object) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    return write


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

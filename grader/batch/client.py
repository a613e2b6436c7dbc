"""Client of `grader.batch.evaluator`: start one, send jobs, recover from its faults.

It is not a `kws.student.processes.JsonProcess`: jobs run concurrently, each on its own socket,
which a fork answers; closing the socket cancels the job.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from grader import ROOT
from kws.errors import UsageError

START = 300.0  # seconds until an evaluator must have loaded: a cold network disk takes its time
BEYOND = 60.0  # seconds after a job's wall limit when the evaluator itself is given up
TAIL = 2_000  # characters of an evaluator's log, once it died


class EvaluatorDied(Exception):  # noqa: N818  (an event that is handled, not an error)
    """The evaluator is gone, or does not answer."""


@dataclass(frozen=True)
class EvaluatorInfo:
    tier: str
    weaknesses: tuple[str, ...]
    seed_id: str


class _Process:
    def __init__(self, command: list[str], environ: Mapping[str, str]):
        self.jobs = 0  # that it grades just now
        self._shown: set[str] = set()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self._scratch = tempfile.mkdtemp(prefix="grading-")  # its own, to leave nothing if killed
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=self._log,
                stderr=self._log,
                cwd=ROOT,
                env={**environ, "TMPDIR": self._scratch},
                start_new_session=True,  # Ctrl-C is handled by the parent only
            )
        self.pid = self._process.pid
        self.info = EvaluatorInfo("", (), "")  # until it has loaded

    def wait_until_ready(self) -> None:
        """Wait until the process has loaded; UsageError if it refuses to grade."""
        info = self._receive(self._control, START)
        if "refused" in info:
            raise UsageError(info["refused"])
        self.info = EvaluatorInfo(info["tier"], tuple(info["weaknesses"]), info["seed_id"])

    def ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a job; thread-safe."""
        ours, theirs = socket.socketpair()
        with ours:
            try:
                with theirs:
                    socket.send_fds(self._control, [b"J"], [theirs.fileno()])
                ours.sendall(json.dumps(job).encode() + b"\n")
            except OSError as error:
                raise EvaluatorDied(self._last_words(str(error))) from None
            return self._receive(ours, job["wall"] + BEYOND)

    def kill(self) -> None:
        """Kill the process and its forks; waiting clients get EvaluatorDied."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self.kill()
        self._process.wait()
        self._control.close()
        self._log.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _receive(self, line: socket.socket, seconds: float) -> dict[str, Any]:
        until, held = time.monotonic() + seconds, b""
        while True:
            while b"\n" in held:
                first, _, held = held.partition(b"\n")
                table = json.loads(first)
                if "doing" not in table:
                    return table
                self._show(table["doing"])
                until = time.monotonic() + seconds
            if not select.select([line], [], [], max(until - time.monotonic(), 0))[0]:
                raise EvaluatorDied("the evaluator does not answer")
            try:
                part = line.recv(1 << 16)
            except OSError:
                part = b""
            if not part:
                raise EvaluatorDied(self._last_words("the evaluator ended"))
            held += part

    def _show(self, doing: str) -> None:
        if doing not in self._shown:
            self._shown.add(doing)
            tqdm.write(doing, file=sys.stderr)

    def _last_words(self, what: str) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            what = f"the evaluator ended with code {self._process.wait(5)}"
        with contextlib.suppress(OSError, ValueError):
            self._log.seek(max(self._log.seek(0, os.SEEK_END) - TAIL, 0))
            lines = self._log.read().decode(errors="replace").split("\n")
            written = [line.strip() for line in lines if line.strip()]
            what += f": {written[-1]}" if written else ""
        return what


class Evaluator:
    """An evaluator process, started by the first job or by `start`; a fresh one after each fault.

    A context manager. Threads share the process; one with a fault gets no more jobs, and ends after
    its last. `required` is a tier of isolation; `environ` may name another secret seed than ours.
    """

    def __init__(self, required: str | None = None, environ: Mapping[str, str] | None = None):
        self._required, self._environ = required, dict(environ or {})
        self._lock = threading.Lock()
        self._running: list[_Process] = []  # those that still have jobs, and the current one
        self._current: _Process | None = None
        self._retired = False

    def start(self) -> EvaluatorInfo:
        """Start the process unless it runs; UsageError if it refuses to grade."""
        with self._lock:
            return self._fresh().info

    def _fresh(self) -> _Process:
        if self._current is None:
            options = ["--require-isolation", self._required] if self._required else []
            command = [sys.executable, "-m", "grader.batch.evaluator", *options]
            environ = {**self._inherited(), **self._environ, "OMP_NUM_THREADS": "1"}
            process = _Process(command, environ)
            self._running.append(process)
            try:
                process.wait_until_ready()
            except BaseException:
                self._end(process)
                raise
            self._current = process
        return self._current

    def suits(self, required: str | None, environ: Mapping[str, str]) -> bool:
        return (self._required, self._environ) == (required, dict(environ))

    def _inherited(self) -> dict[str, str]:
        dropped = "KWS_GRADER_SEED" if self._environ else "="
        return {key: value for key, value in os.environ.items() if not key.startswith(dropped)}

    def ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a job; {"fault": words} where there is none."""
        process = None
        answer: dict[str, Any] = {}
        try:
            with self._lock:
                process = self._fresh()
                process.jobs += 1
            answer = process.ask(job)
        except EvaluatorDied as died:
            answer = {"fault": str(died)}
        finally:
            if process is not None:
                with self._lock:
                    process.jobs -= 1
                    self._sort_out(process, retired=self._retired or "graded" not in answer)
        return answer

    def retire(self) -> None:
        with self._lock:
            self._retired = True
            if self._current is not None:
                self._sort_out(self._current, retired=True)

    def _sort_out(self, process: _Process, *, retired: bool) -> None:
        if retired and self._current is process:
            self._current = None
        if process is not self._current and not process.jobs and process in self._running:
            self._end(process)

    @property
    def pid(self) -> int | None:
        return self._current and self._current.pid

    def kill(self) -> None:
        """Kill the process from another thread, even while it starts."""
        for process in [*self._running]:
            process.kill()

    def close(self) -> None:
        with self._lock:
            for process in [*self._running]:
                self._end(process)

    def _end(self, process: _Process) -> None:
        self._running.remove(process)
        if self._current is process:
            self._current = None
        process.close()

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def grade_with_retry(
    evaluator: Evaluator, job: Mapping[str, Any], gone: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Grade a job: `graded`, `seconds`, and `faults`, a sentence per failed attempt.

    After a fault a fresh evaluator is used, unless the job was canceled (`gone`); after a second
    fault all points are open.
    """
    faults: list[str] = []
    for _ in range(2):
        answer = evaluator.ask(job)
        if "fault" not in answer:
            return {**answer, "faults": faults}
        faults.append(answer["fault"])
        if gone():
            break
    answer: dict[str, Any] = {"graded": [], "seconds": 0.0}
    number = job["assignment"] or job["guess"]
    if number and not gone():
        opened = evaluator.ask({**job, "assignment": number, "open": True})
        answer = answer if "fault" in opened else opened
    return {**answer, "faults": faults}

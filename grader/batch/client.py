"""The other end of `grader.evaluator`: start one, hand it a job, and never lose a submission.

`settle` is what every scheduler calls for a submission: it asks an evaluator, after a fault asks a
fresh one, and after a second fault takes a report with open points, for a person to look at.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from grader import ROOT
from kws.errors import UsageError

START = 300.0  # seconds until an evaluator must have loaded: a cold network disk takes its time
BEYOND = 60.0  # seconds after a job's wall limit when the evaluator itself is given up
TAIL = 2_000  # characters of what an evaluator said before it died


class Died(Exception):  # noqa: N818  (no error: an ending)
    """The evaluator is gone, or does not answer."""


@dataclass(frozen=True)
class Hello:
    """What an evaluator grades with."""

    tier: str
    weaknesses: tuple[str, ...]
    seed_id: str


class Evaluator:
    """One evaluator process; started by the first job, or by `start`. A context manager.

    Args:
        required: tier of isolation, as `--require-isolation` has it.
        environ: the secret seed, where it is not to be the one that our own environment names.
    """

    def __init__(self, required: str | None = None, environ: Mapping[str, str] | None = None):
        self._required, self._environ = required, dict(environ or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._said: Any = None
        self._hello: Hello | None = None
        self._rest = b""

    def start(self) -> Hello:
        """Start the process unless it runs; UsageError if it refuses to grade."""
        if self._process is not None and self._hello is not None:
            return self._hello
        self.close()
        options = ["--require-isolation", self._required] if self._required else []
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "grader.evaluator", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=ROOT,
            env={**self._inherited(), **self._environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the one who directs
            bufsize=0,
        )
        hello = self._receive(time.monotonic() + START)
        if "refused" in hello:
            self.close()
            raise UsageError(hello["refused"])
        self._hello = Hello(hello["tier"], tuple(hello["weaknesses"]), hello["seed_id"])
        return self._hello

    def suits(self, required: str | None, environ: Mapping[str, str]) -> bool:
        """Whether it was made with these."""
        return (self._required, self._environ) == (required, dict(environ))

    def _inherited(self) -> dict[str, str]:
        """Our environment, without our seed if another was given."""
        dropped = "KWS_GRADER_SEED" if self._environ else "="
        return {key: value for key, value in os.environ.items() if not key.startswith(dropped)}

    def ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a job; `Died` if none comes."""
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            data = memoryview(json.dumps(job).encode() + b"\n")
            while data:
                data = data[self._process.stdin.write(data) :]
        except OSError as error:
            raise Died(self._last_words(str(error))) from None
        return self._receive(time.monotonic() + job["wall"] + BEYOND)

    def close(self) -> None:
        """End the process, its fork and its sandbox at once."""
        self.kill()
        process, self._process, self._hello, self._rest = self._process, None, None, b""
        if process is None:
            return
        process.wait()
        for file in (process.stdin, process.stdout, self._said):
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()

    def kill(self) -> None:
        """End the process from another thread: whoever waits for an answer learns that it died."""
        if (process := self._process) is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process and self._process.pid

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _receive(self, until: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout
        parts = [self._rest]
        while b"\n" not in parts[-1]:
            if not select.select([pipe], [], [], max(until - time.monotonic(), 0))[0]:
                raise Died("the evaluator does not answer")
            part = os.read(pipe.fileno(), 1 << 16)
            if not part:
                raise Died(self._last_words("the evaluator ended"))
            parts.append(part)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return json.loads(line)

    def _last_words(self, what: str) -> str:
        """`what`, and the last line that the process wrote to stderr."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(5)
            what = f"the evaluator ended with code {code}"
        with contextlib.suppress(OSError, ValueError):
            self._said.seek(max(self._said.seek(0, os.SEEK_END) - TAIL, 0))
            lines = self._said.read().decode(errors="replace").split("\n")
            told = [line.strip() for line in lines if line.strip()]
            what += f": {told[-1]}" if told else ""
        return what


def settle(
    evaluator: Evaluator, job: Mapping[str, Any], gone: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """What became of a job: `graded`, `seconds`, and `faults`, a sentence for each failed attempt.

    `gone` says that nobody waits for the answer any more: then there is no second attempt.
    """
    faults: list[str] = []
    for _ in range(2):
        answer = _ask(evaluator, job)
        if "fault" not in answer:
            return {**answer, "faults": faults}
        faults.append(answer["fault"])
        if gone():
            break
    answer: dict[str, Any] = {"graded": [], "seconds": 0.0}
    number = job["assignment"] or job["guess"]
    if number and not gone():
        opened = _ask(evaluator, {**job, "assignment": number, "open": True})
        answer = answer if "fault" in opened else opened
    return {**answer, "faults": faults}


def _ask(evaluator: Evaluator, job: Mapping[str, Any]) -> dict[str, Any]:
    try:
        answer = evaluator.ask(job)
    except Died as died:
        answer = {"fault": str(died)}
    if "fault" in answer:
        evaluator.close()
    return answer

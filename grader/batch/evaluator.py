"""The evaluator: a process that has loaded everything and grades submissions, each in a fork.

    python -m grader.batch.evaluator [--require-isolation TIER]     (`client.py` starts it)

Its stdin is a Unix socket. It starts the sandbox, loads what grading needs, and only then reads the
secret seed. The first JSON line on the socket has tier and seed (`EvaluatorInfo`), or the reason
for a refusal. Then each byte carries a socket (SCM_RIGHTS): one JSON line is the job, another the
answer (`grader.batch.job`).

Jobs are graded concurrently, each in a fork, so that memory stays constant. A fork that dies or
times out is reported as a fault. A fork ends with its client's socket, everything with stdin.

Hidden recordings, our results and the recognizer of an assignment are also made in a fork
(`prepare`). Its jobs wait, and get {"doing": words} if that takes long; others do not.
"""

import argparse
import gc
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from grader.sandbox import linux
from grader.sandbox.sandbox import launch
from kws.errors import UsageError

if TYPE_CHECKING:
    from grader.core.seed import Seed
    from grader.sandbox import Sandbox

THREADS = Path("/proc/self/task")  # a folder for each thread, native ones too
GRACE = 30.0  # seconds from the wall limit, when the fork is to stop, to the one when it is killed
AGAIN = 5.0  # seconds between two reminders to stop
REFUSED = 2
PART = 1 << 16
MANY = 32  # jobs from which on large pages, which take as long as so many forks, are worth it
PREPARING, GRADING = "preparing", "grading"  # what `ps` calls the forks
REPORT_EVERY = 5.0  # seconds between two messages to waiting clients


def main() -> int:
    parser = argparse.ArgumentParser(prog="grader.batch.evaluator")
    parser.add_argument("--require-isolation", metavar="TIER")
    options = parser.parse_args()
    control = socket.socket(fileno=os.dup(0))
    tqdm.monitor_interval = 0  # no thread that watches bars: see `wait_for_threads`
    gc.disable()  # until all is loaded: what is loaded stays
    with ExitStack() as closing:
        try:
            sandbox, seed = _start(options.require_isolation, closing)
        except UsageError as error:
            _send(control, {"refused": str(error)})
            return REFUSED
        _send(
            control,
            {"tier": sandbox.isolation, "weaknesses": sandbox.weaknesses, "seed_id": seed.id},
        )
        JobServer(control, sandbox, seed).serve()
    return 0


def _start(required: str | None, closing: ExitStack) -> "tuple[Sandbox, Seed]":
    """Start the sandbox before any secret is read; then read the seed and import."""
    launched = launch()
    for name in (
        "torch",
        "grader.grading.plugin",
        "grader.batch.job",
        "grader.authoring.reference",
    ):
        importlib.import_module(name)
    from grader.core.seed import read_seed
    from grader.grading.plugin import require_tier
    from grader.sandbox import Sandbox, read_gpu

    sandbox = closing.enter_context(Sandbox(launched=launched, gpu=read_gpu()))
    require_tier(sandbox, required)
    seed = read_seed()
    _collect(sandbox, seed)
    return sandbox, seed


def _collect(sandbox: "Sandbox", seed: "Seed") -> None:
    import torch

    from grader.adapters import ASSIGNMENTS
    from grader.authoring.build import written_questions
    from grader.grading.checks import checks_digest
    from grader.grading.in_process import grade_one
    from grader.submission.contents import Submission

    torch.set_num_threads(1)  # before the first operation: a fork inherits no threads
    for number, assignment in ASSIGNMENTS.items():
        nothing = Submission(assignment=number, pieces=(), digest="")
        grade_one(nothing, sandbox=sandbox, seed=seed, run_checks=False)  # collects them
        checks_digest(assignment, retrain=True)  # reads files: once is enough
        written_questions(number)


@dataclass(eq=False)
class _Job:
    line: socket.socket  # to the client
    request: bytes = b""
    process: int = 0  # the fork that grades it; 0 while the question is not all there
    pipe: socket.socket | None = None  # from the fork
    output: list[bytes] = field(default_factory=list)
    folder: str = ""
    started: float = 0.0
    wall: float = 0.0

    @property
    def until(self) -> float:
        return self.started + self.wall + GRACE if self.process else float("inf")


@dataclass(eq=False)
class _Preparation:
    number: str
    retrain: bool
    process: int
    pipe: socket.socket  # closes with it
    reported: float  # time of the last report to the jobs, or of the start
    jobs: list[_Job] = field(default_factory=list)
    output: list[bytes] = field(default_factory=list)

    def report(self) -> None:
        doing = f"preparing {self.number}: the first time its recordings or listener take minutes"
        self.reported = time.monotonic()
        for job in self.jobs:
            with suppress(OSError):
                _send(job.line, {"doing": doing})


class JobServer:
    """Accepts jobs, forks to grade each, and sends the answers back."""

    def __init__(self, control: socket.socket, sandbox: "Sandbox", seed: "Seed"):
        self._control, self._sandbox, self._seed = control, sandbox, seed
        self._jobs: list[_Job] = []
        self._forks = 0
        self._prepared: dict[tuple[str, bool], _Preparation] = {}
        self._preparing: list[_Preparation] = []
        self._watched = selectors.DefaultSelector()
        self._watched.register(control, selectors.EVENT_READ)

    def serve(self) -> None:
        gc.freeze()  # the forks' collectors leave these pages shared
        gc.enable()
        try:
            while self._step():
                pass
        finally:
            for job in [*self._jobs]:
                self._drop(job)
            for preparation in self._preparing:
                os.kill(preparation.process, signal.SIGKILL)

    def _step(self) -> bool:
        """Handle what has arrived, or wait for it; False once the control socket is closed."""
        first = min((job.until for job in self._jobs), default=float("inf"))
        first = min([first, *(each.reported + REPORT_EVERY for each in self._preparing)])
        wait = None if first == float("inf") else max(first - time.monotonic(), 0)
        for key, _ in self._watched.select(wait):
            job: _Job | _Preparation | None = key.data
            if isinstance(job, _Preparation):
                job.output.append(job.pipe.recv(PART))
                if not job.output[-1]:
                    self._end_preparation(job)
            elif job is None:
                _, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
                if not descriptors:
                    return False
                job = _Job(socket.socket(fileno=descriptors[0]))
                self._jobs.append(job)
                self._watched.register(job.line, selectors.EVENT_READ, job)
            elif job in self._jobs:
                self._read(job, key.fileobj is job.pipe)
        for preparation in self._preparing:
            if preparation.reported + REPORT_EVERY <= time.monotonic():
                preparation.report()
        for job in [job for job in self._jobs if job.until <= time.monotonic()]:
            late = f"grading took longer than {job.wall:.0f} seconds, and did not stop"
            self._answer(job, {"fault": late})
        return True

    def _read(self, job: _Job, from_fork: bool) -> None:
        try:
            part = (job.pipe if from_fork and job.pipe else job.line).recv(PART)
        except OSError:
            part = b""
        if from_fork:
            job.output.append(part)
            if not part:
                self._answer(job, None)
        elif not part:  # the client has gone
            self._drop(job)
        elif not job.process:
            job.request += part
            if job.request.endswith(b"\n"):
                self._begin(job)

    def _begin(self, job: _Job) -> None:
        request = json.loads(job.request)
        key = request["guess"] or "", request["retrain"]
        if key[0] and key not in self._prepared:
            with suppress(OSError):
                self._prepared[key] = self._prepare_aside(*key)
        preparation = self._prepared.get(key)
        if preparation in self._preparing:
            preparation.jobs.append(job)
        else:
            self._grade(job, request)

    def _prepare_aside(self, number: str, retrain: bool) -> _Preparation:
        wait_for_threads()
        pipe, theirs = socket.socketpair()
        with theirs:
            process = os.fork()
            if process == 0:
                self._forget()
                pipe.close()
                _prepare_in_fork(theirs, number, self._seed, retrain)
        preparation = _Preparation(number, retrain, process, pipe, time.monotonic())
        self._preparing.append(preparation)
        self._watched.register(pipe, selectors.EVENT_READ, preparation)
        return preparation

    def _end_preparation(self, preparation: _Preparation) -> None:
        """Grade the waiting jobs; if the preparation failed, they make the data and report why."""
        self._watched.unregister(preparation.pipe)
        preparation.pipe.close()
        self._preparing.remove(preparation)
        if os.waitpid(preparation.process, 0)[1] == 0:
            from grader.core.seed import add_results

            add_results(b"".join(preparation.output))
            with suppress(Exception):  # reads files; a fork will report the error
                prepare(preparation.number, self._seed, retrain=preparation.retrain)
        preparation.output.clear()
        for job in preparation.jobs:
            if job in self._jobs:  # a client waits for it
                self._grade(job, json.loads(job.request))

    def _grade(self, job: _Job, request: dict[str, Any]) -> None:
        job.started, job.wall = time.monotonic(), request["wall"]
        wait_for_threads()
        self._forks += 1
        if self._forks == MANY and linux.LINUX:
            linux.collapse()
        try:
            job.folder = tempfile.mkdtemp()
            job.pipe, theirs = socket.socketpair()
            job.process = os.fork()
        except OSError as error:
            self._answer(job, {"fault": f"grading could not begin: {error.strerror}"})
            return
        if job.process == 0:
            self._forget()
            _fork(request, self._sandbox, self._seed, theirs, job.folder)
        theirs.close()
        self._watched.register(job.pipe, selectors.EVENT_READ, job)

    def _forget(self) -> None:
        self._watched.close()
        self._control.close()
        for job in self._jobs:
            job.line.close()
            if job.pipe:
                job.pipe.close()
        for preparation in self._preparing:
            preparation.pipe.close()

    def _answer(self, job: _Job, answer: dict[str, Any] | None) -> None:
        if answer is None:
            status = os.waitstatus_to_exitcode(os.waitpid(job.process, 0)[1])
            job.process = 0
            answer = _parse_answer(job.output, status)
        if not self._sandbox.alive:  # any exception: a fault of the grader
            answer = {"fault": "the sandbox has ended"}
        with suppress(OSError):
            _send(job.line, {**answer, "seconds": round(time.monotonic() - job.started, 3)})
        self._drop(job)

    def _drop(self, job: _Job) -> None:
        self._jobs.remove(job)
        for one in (job.line, job.pipe):
            if one is not None:
                with suppress(KeyError):
                    self._watched.unregister(one)
                one.close()
        if job.process:
            os.kill(job.process, signal.SIGKILL)
            os.waitpid(job.process, 0)
        shutil.rmtree(job.folder, ignore_errors=True)


def prepare(number: str, seed: "Seed", *, retrain: bool = False) -> None:
    """Make our results and the hidden recordings of an assignment, so that forks inherit them."""
    from grader.adapters import get_assignment
    from grader.course.probes import retraining
    from grader.course.trials import expected_results, hidden_seed
    from kws.course.trial import all_trials

    for trial in all_trials(number):
        expected_results(trial, hidden_seed(trial, seed))
    checks = importlib.import_module(f"grader.course.{get_assignment(number).folder}.test_checks")
    if make := getattr(checks, "PREPARE", None):
        make(seed)
    if retrain:
        retraining.prepare(number)


def wait_for_threads(seconds: float = 5.0) -> None:
    """Wait until this process has one thread: a fork would copy locked locks of the others.

    A thread that Python has joined may still free MKL's memory under a lock, at its native end.
    """
    until = time.monotonic() + seconds
    while THREADS.is_dir() and len([*THREADS.iterdir()]) > 1 and time.monotonic() < until:
        time.sleep(0.001)


def _parse_answer(output: list[bytes], status: int) -> dict[str, Any]:
    with suppress(ValueError):
        return json.loads(b"".join(output))
    if status < 0:
        return {"fault": f"the process that graded was ended by {signal.Signals(-status).name}"}
    return {"fault": f"the process that graded ended with code {status} and no answer"}


def _send(to: socket.socket, table: Mapping[str, Any]) -> None:
    to.sendall(json.dumps(table).encode() + b"\n")


# In the fork


def _prepare_in_fork(pipe: socket.socket, number: str, seed: "Seed", retrain: bool) -> None:
    from grader.core.seed import dump_results, names_kept

    code = 70
    try:
        _show(PREPARING)
        if linux.LINUX:  # it ends with its parent
            linux.prctl(linux.SET_PDEATHSIG, signal.SIGKILL)
        known = names_kept()
        prepare(number, seed, retrain=retrain)
        pipe.sendall(dump_results(known))
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def _fork(
    job: dict[str, Any], sandbox: "Sandbox", seed: "Seed", pipe: socket.socket, folder: str
) -> None:
    """Grade, answer through the pipe, exit without the parent's clean-up."""
    from grader.batch.job import grade_job

    code = 70
    try:
        _show(GRADING)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, job["wall"], AGAIN)
        try:
            answer = {"graded": grade_job(job, sandbox, seed, Path(folder))}
        except Exception as error:
            traceback.print_exc()
            where = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{Path(where.filename).name}:{where.lineno}"
            answer = {"fault": f"{type(error).__name__} at {at}"}
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(pipe, answer)
        code = 0
    finally:
        os._exit(code)


def _show(what: str) -> None:
    if linux.LINUX:
        Path("/proc/self/comm").write_text(what)


def _stop(*_: object) -> None:
    import pytest

    pytest.exit("the time for this submission is used up")


if __name__ == "__main__":
    sys.exit(main())

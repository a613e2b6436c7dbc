"""Many runs at once: what is done already is left, what fails is told at the end, Ctrl-C saves.

Every run belongs to a process with one thread, so that the numbers do not depend on how many there
are. A result is written by the process that made it, as soon as it is there.
"""

import queue
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from tqdm import tqdm

from kws.experiments.plan import Job, recipe_of
from kws.experiments.results import Result, standing
from kws.experiments.run_process import AGAIN, Died, Worker
from kws.metrics import Proportion

SHOWN = 3  # names of runs under way


@runtime_checkable
class Runner(Protocol):
    """What makes a run: a process of this machine, or a cluster."""

    def run(self, job: Job) -> dict[str, Any]: ...

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


@dataclass(kw_only=True)
class Outcome:
    """What became of the jobs: titles of those done before and now, sentences of those failed."""

    before: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)  # not begun, or interrupted
    interrupted: bool = False


def run_all(
    jobs: Sequence[Job],
    workers: int,
    make_runner: Callable[[], Runner] = Worker,
    *,
    say: Callable[[str], None] = tqdm.write,
) -> Outcome:
    """Make every run whose result is not there yet, `workers` at a time.

    `make_runner` is called once for each of them. `say` gets a line for each run.
    """
    outcome = Outcome()
    wanted: list[Job] = []
    for job in jobs:
        state = standing(job, recipe_of(job))
        if state.done:
            outcome.before.append(job.title)
            continue
        if state.because:
            say(f"{job.title}: made again, {state.because}")
        wanted.append(job)
    if not wanted:
        return outcome
    with Pool(wanted, min(workers, len(wanted)), make_runner) as pool:
        bar = tqdm(total=len(wanted), unit="run", leave=False, disable=None, smoothing=0)
        with bar:
            try:
                for _ in wanted:
                    bar.set_postfix_str(pool.under_way())
                    settle(outcome, *pool.ended.get(), say)
                    bar.update()
            except KeyboardInterrupt:
                outcome.interrupted = True
                for job, answer in pool.stop():
                    settle(outcome, job, answer, say)
    finished = {*outcome.done, *outcome.failed}
    outcome.left = [job.title for job in wanted if job.title not in finished]
    return outcome


def settle(outcome: Outcome, job: Job, answer: dict[str, Any], say: Callable[[str], None]) -> None:
    """Say what a result is, or remember why there is none."""
    if "result" in answer:
        outcome.done.append(job.title)
        say(f"{job.title}: {in_words(answer['result'])}")
    elif "error" in answer:
        outcome.failed[job.title] = answer["error"]
        say(f"{job.title}: failed")


def in_words(result: Result) -> str:
    """A result in one line."""
    accuracy = Proportion(correct=result["correct"], n=result["n"])
    wall = result["seconds"]["wall"]
    return f"{accuracy.describe(protocol=result['protocol'])}, {wall:,.0f} s"


class Pool:
    """Threads that hand jobs to a runner each. `ended` gets (job, answer) as they end."""

    def __init__(self, jobs: Sequence[Job], workers: int, make_runner: Callable[[], Runner]):
        self.ended: queue.SimpleQueue[tuple[Job, dict[str, Any]]] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            self._waiting.put(job)
        self._stopped = threading.Event()
        self._running: dict[int, Job] = {}
        self._runners = [make_runner() for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(number, runner), daemon=True)
            for number, runner in enumerate(self._runners)
        ]

    def __enter__(self) -> "Pool":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with ExitStack() as stack:
            for runner in self._runners:
                stack.callback(runner.close)

    def under_way(self) -> str:
        """Runs that are being made, a few of them by name, and how many wait."""
        titles = sorted(job.title for job in list(self._running.values()))
        more = f" +{len(titles) - SHOWN}" if len(titles) > SHOWN else ""
        return f"{', '.join(titles[:SHOWN])}{more}, {self._waiting.qsize()} waiting"

    def stop(self) -> list[tuple[Job, dict[str, Any]]]:
        """Begin nothing more and interrupt what is under way; the runs that ended all the same."""
        self._stopped.set()
        print("interrupted: saving what is under way", file=sys.stderr, flush=True)
        for runner in self._runners:
            runner.interrupt()
        for thread in self._threads:
            thread.join()
        ended = []
        while not self.ended.empty():
            ended.append(self.ended.get())
        return ended

    def _work(self, number: int, runner: Runner) -> None:
        while not self._stopped.is_set():
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._running[number] = job
            try:
                answer = runner.run(job)
            except Died as death:
                if self._stopped.is_set():
                    return
                answer = {"error": f"{death}: {AGAIN}"}
            except KeyboardInterrupt:
                return
            except Exception as error:  # a defect: the others go on
                answer = {"error": f"{type(error).__name__}: {error}".partition("\n")[0]}
            finally:
                self._running.pop(number, None)
            self.ended.put((job, answer))

"""The same work on a cluster: `--scheduler tcp://host:8786` (Dask), `--scheduler slurm`.

Each Dask worker keeps an evaluator process and grades with the same isolation as any machine does;
one that lacks a required tier refuses. Workers read the submissions and this repository under the
same paths as here (a shared file system); reports come back as values and are written here. A
worker that dies is no loss: Dask gives its submissions to another.

The secret seed travels with the jobs: across a network that you do not trust, use tls://.
Extra: `pip install 'kws[cluster]'`.
"""

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from grader import ROOT
from grader.batch.client import Evaluator, EvaluatorDied, EvaluatorInfo, grade_with_retry
from kws.cluster import connected
from kws.errors import UsageError

SEED = "KWS_GRADER_SEED"
_kept: list[Evaluator] = []  # on a worker: the one that its threads share
_lock = threading.Lock()


def on_worker(root: str, task: str, *arguments: Any) -> Any:
    """Call `task` of this module on a worker, which need not have the grader installed.

    Only this function is sent as code.
    """
    import importlib
    import sys

    if root not in sys.path:
        sys.path.insert(0, root)
    return getattr(importlib.import_module("grader.batch.cluster_jobs"), task)(*arguments)


def start(required: str | None, environ: Mapping[str, str]) -> EvaluatorInfo:
    """On a worker: what it grades with."""
    return _evaluator(required, environ).start()


def grade(
    required: str | None, environ: Mapping[str, str], job: Mapping[str, Any]
) -> dict[str, Any]:
    """On a worker: what became of a job."""
    return grade_with_retry(_evaluator(required, environ), job)


def _evaluator(required: str | None, environ: Mapping[str, str]) -> Evaluator:
    """The worker's, which ends with it; that of another course, with another seed, is retired."""
    with _lock:
        if not _kept or not _kept[0].suits(required, environ):
            for other in _kept:
                other.retire()
            _kept[:] = [Evaluator(required, environ)]
        return _kept[0]


class Cluster:
    """A Dask cluster as `grader.batch.grade_class.Workers`. A context manager.

    Args:
        scheduler: address of a running one, or "slurm" to start workers as SLURM jobs.
        workers: SLURM jobs to ask for.
        required: tier of isolation below which a worker does not grade.
    """

    def __init__(self, scheduler: str, workers: int | None = None, required: str | None = None):
        self._scheduler, self._workers, self._required = scheduler, workers, required
        self._environ = {SEED: _seed()}
        self._client: Any = None
        self._closing = ExitStack()

    def __enter__(self) -> "Cluster":
        self._client = self._closing.enter_context(connected(self._scheduler, self._workers))
        import cloudpickle

        module = sys.modules[__name__]
        cloudpickle.register_pickle_by_value(module)
        self._closing.callback(cloudpickle.unregister_pickle_by_value, module)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def info(self) -> EvaluatorInfo:
        """What the first worker that answers grades with; UsageError if it refuses."""
        try:
            return self._submit("start").result()
        except EvaluatorDied as died:
            raise UsageError(f"no evaluator starts on the cluster: {died}") from None

    def run(self, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        """What became of each job, in the order in which they end, with its place in `jobs`."""
        import distributed

        futures = {self._submit("grade", job): at for at, job in enumerate(jobs)}
        faults: dict[int, str] = {}  # of those that every worker died of
        done = distributed.as_completed(
            list(futures), loop=self._client.loop, raise_errors=False, with_results=True
        )
        for future, answer in done:
            at = futures[future]
            if future.status == "finished":
                more = [faults[at]] if at in faults else []
                yield at, {**answer, "faults": [*more, *answer["faults"]]}
                continue
            kind, error, _ = answer
            if isinstance(error, UsageError):
                raise error
            fault, number = f"{kind.__name__} on the cluster", jobs[at]["assignment"]
            number = number or jobs[at]["guess"]
            if at in faults or number is None:
                yield at, {"graded": [], "seconds": 0.0, "faults": [faults.get(at, fault)]}
                continue
            faults[at] = fault
            opened = self._submit("grade", {**jobs[at], "assignment": number, "open": True})
            futures[opened] = at
            done.add(opened)

    def _submit(self, task: str, *arguments: Any) -> Any:
        given = (str(ROOT), task, self._required, self._environ, *arguments)
        return self._client.submit(on_worker, *given, pure=False)


def _seed() -> str:
    """The text of the secret seed that this machine's environment names."""
    from grader.core.seed import DEVELOPMENT, FILE_VARIABLE, read_seed

    read_seed()  # tells what is wrong with it
    if file := os.environ.get(FILE_VARIABLE):
        return Path(file).read_text(encoding="utf-8")
    return os.environ.get(SEED, DEVELOPMENT)

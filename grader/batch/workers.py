"""Run grading jobs on this machine or on a Dask cluster.

The secret seed is sent with the jobs: use tls:// in an untrusted network. A worker without the
required tier of isolation refuses.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grader.batch.client import Evaluator, EvaluatorDied, EvaluatorInfo, grade_with_retry
from kws.cluster import Cluster, WorkersDied
from kws.errors import UsageError
from kws.parallel import Pool

SEED = "KWS_GRADER_SEED"
Answer = tuple[int, dict[str, Any]]
Task = tuple[str | None, Mapping[str, str], Mapping[str, Any]]  # tier, seed, job
_kept: list[Evaluator] = []  # on a worker of a cluster: the one that its threads share
_lock = threading.Lock()


class Workers:
    """A context manager; leaving it kills the jobs on this machine.

    Args:
        workers: jobs at a time; with "slurm", SLURM jobs to ask for.
        required: tier of isolation below which nothing is graded.
        environ: the secret seed, where it is not the environment's.
        scheduler: of a cluster (`kws.cluster`); None: this machine.
    """

    def __init__(
        self,
        workers: int | None = None,
        required: str | None = None,
        environ: Mapping[str, str] | None = None,
        scheduler: str | None = None,
    ):
        self._required = required
        self._evaluator: Evaluator | None = None
        self._leaving = False
        if scheduler:
            from grader.core.seed import DEVELOPMENT, read_seed_text  # imports torch

            self._environ = environ or {SEED: read_seed_text() or DEVELOPMENT}
            self._pool = Cluster(scheduler, workers)
        else:
            self._environ = environ or {}
            self._evaluator = Evaluator(required, environ)
            self._pool = Pool(workers, stop=self._evaluator.kill)

    def __enter__(self) -> "Workers":
        self._pool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True
        try:
            self._pool.__exit__()
        finally:  # a second Ctrl-C while the first is handled
            if self._evaluator is not None:
                self._evaluator.kill()
                self._evaluator.close()

    def info(self) -> EvaluatorInfo:
        if self._evaluator is not None:
            return _start(self._evaluator)
        ((_, found),) = self._pool.as_completed(start, [(self._required, self._environ, {})])
        if isinstance(found, WorkersDied):
            raise UsageError(f"the evaluator does not start: {found}")
        return found

    def run(self, jobs: Sequence[dict[str, Any]]) -> Iterator[Answer]:
        """Yield the result of each job when it is done, with its index in `jobs`."""
        if self._evaluator is not None:
            yield from self._pool.as_completed(self._grade_here, jobs)
            return
        lost: dict[int, str] = {}  # of errors that end every worker
        for at, answer in self._on_cluster(jobs):
            if isinstance(answer, WorkersDied):
                lost[at] = str(answer)
            else:
                yield at, answer
        numbers = {at: jobs[at]["assignment"] or jobs[at]["guess"] for at in sorted(lost)}
        again = [at for at, number in numbers.items() if number]
        opened = [{**jobs[at], "assignment": numbers[at], "open": True} for at in again]
        answers = {again[place]: answer for place, answer in self._on_cluster(opened)}
        for at, fault in lost.items():
            answer = answers.get(at)
            if answer is None or isinstance(answer, WorkersDied):
                answer = {"graded": [], "seconds": 0.0, "faults": []}
            yield at, {**answer, "faults": [fault, *answer["faults"]]}

    def _grade_here(self, job: dict[str, Any]) -> dict[str, Any]:
        assert self._evaluator is not None
        return grade_with_retry(self._evaluator, job, lambda: self._leaving)

    def _on_cluster(self, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, Any]]:
        return self._pool.as_completed(
            grade, [(self._required, self._environ, job) for job in jobs]
        )


def start(task: Task) -> EvaluatorInfo:
    required, environ, _ = task
    return _start(_evaluator(required, environ))


def grade(task: Task) -> dict[str, Any]:
    required, environ, job = task
    return grade_with_retry(_evaluator(required, environ), job)


def _start(evaluator: Evaluator) -> EvaluatorInfo:
    try:
        return evaluator.start()
    except EvaluatorDied as died:
        raise UsageError(f"the evaluator does not start: {died}") from None


def _evaluator(required: str | None, environ: Mapping[str, str]) -> Evaluator:
    """The worker's evaluator; one of another course with another seed is retired."""
    with _lock:
        if not _kept or not _kept[0].suits(required, environ):
            for other in _kept:
                other.retire()
            _kept[:] = [Evaluator(required, environ)]
        return _kept[0]

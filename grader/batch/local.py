"""Jobs on this machine: a few threads, each of which has the evaluator grade a job at a time."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grader.batch.client import Evaluator, EvaluatorDied, EvaluatorInfo, grade_with_retry
from kws.errors import UsageError

Answer = tuple[int, dict[str, Any]]


class Local:
    """An evaluator on this machine. A context manager; leaving it ends what runs at once.

    Args:
        workers: jobs at a time.
        required: tier of isolation below which nothing is graded.
        environ: the secret seed, where it is not the environment's.
    """

    def __init__(
        self,
        workers: int,
        required: str | None = None,
        environ: Mapping[str, str] | None = None,
    ):
        if workers < 1:
            raise UsageError(f"--workers {workers} grades nothing: give 1 or more")
        self._workers, self._evaluator = workers, Evaluator(required, environ)
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()

    def __enter__(self) -> "Local":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            while thread.is_alive():
                self._evaluator.kill()
                thread.join(0.05)
        self._evaluator.close()

    def info(self) -> EvaluatorInfo:
        """Start it. What is graded with; UsageError if nothing can be."""
        try:
            return self._evaluator.start()
        except EvaluatorDied as died:
            raise UsageError(f"no evaluator starts: {died}") from None

    def run(self, jobs: Sequence[dict[str, Any]]) -> Iterator[Answer]:
        """What became of each job, in the order in which they end, with its place in `jobs`."""
        todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        done: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()
        for at in range(len(jobs)):
            todo.put(at)

        def direct() -> None:
            try:
                while not self._stop.is_set():
                    at = todo.get_nowait()
                    done.put((at, grade_with_retry(self._evaluator, jobs[at], self._stop.is_set)))
            except queue.Empty:
                pass
            except BaseException as error:
                done.put(error)

        for _ in range(min(self._workers, len(jobs))):
            self._threads.append(threading.Thread(target=direct, daemon=True))
            self._threads[-1].start()
        for _ in jobs:
            answer = done.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer

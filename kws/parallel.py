"""The same work for many items, on threads or in processes."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from kws.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 8  # items sent to a process at a time
STOP_AGAIN = 0.05  # seconds


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """Threads, or processes, that do the same work for many items. A context manager.

        with Pool(workers) as pool:
            for at, result in pool.as_completed(work, items): ...

    Leaving the block early drops what has not begun and waits for what has. Items are pickled for
    processes, so `work` is then a function of a module; torch uses one thread there, whatever their
    number, so that results do not depend on it.

    Args:
        workers: items at a time; None: one for each core. With 1, "processes" are this one.
        stop: ends the work under way; it is called until all of that is over.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        processes: bool = False,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self.workers = cores() if workers is None else workers
        if self.workers < 1:
            raise UsageError(f"workers={workers}: at least 1 is needed")
        self._processes, self._stop = processes, stop
        self._executor: Executor | None = None
        self._futures: set[Future[Any]] = set()

    def __enter__(self) -> "Pool":
        if not self._processes:
            self._executor = ThreadPoolExecutor(self.workers)
        elif self.workers > 1:
            context = multiprocessing.get_context("spawn")  # a fork copies torch's threads' locks
            self._executor = ProcessPoolExecutor(self.workers, context, initializer=_start)
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is None:
            return
        self._executor.shutdown(wait=False, cancel_futures=True)
        # `wait` waits for those, too, that were cancelled before they began
        begun = [each for each in self._futures if not each.cancelled()]
        while self._stop and wait(begun, STOP_AGAIN).not_done:
            self._stop()
        self._executor.shutdown(wait=True)

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        if self._executor is None:
            yield from _on_one_thread(work, items)
            return
        try:
            yield from self._executor.map(work, items, chunksize=CHUNK)
        except BrokenProcessPool:
            raise UsageError(
                "a worker process was killed, perhaps for lack of memory: use fewer workers"
            ) from None

    def as_completed(
        self, work: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """(place in `items`, result), as they end; the first exception is raised."""
        assert self._executor is not None
        places = {self._executor.submit(work, item): at for at, item in enumerate(items)}
        self._futures |= places.keys()
        for future in as_completed(places):
            yield places[future], future.result()


def thread_map(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None,
    title: str,
    progress: bool,
) -> list[Result]:
    """`[work(item) for item in items]` on `workers` threads, with a progress bar."""
    from tqdm import tqdm

    off = None if progress else True  # None: off unless this is a terminal
    with Pool(workers) as pool:
        return list(tqdm(pool.map(work, items), title, len(items), disable=off, leave=False))


def _on_one_thread(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from map(work, items)
    finally:
        torch.set_num_threads(threads)


def _start() -> None:
    """In a new worker: one thread, Ctrl-C left to the parent, and no life after the parent's."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""The same work for many items, in processes that use one core each and end with their parent."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from kws.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 8  # items sent to a process at a time


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def process_map(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[Iterable[Result]]:
    """`map(work, items)`, in order, by `workers` processes (None: one for each core; 1: this one).

        with process_map(work, items) as results:
            for result in results: ...

    `work` and the items are pickled, so `work` is a function of a module. torch uses one thread in
    every case: the numbers do not depend on `workers`. The first exception, or leaving the block
    early, drops what has not begun.
    """
    workers = cores() if workers is None else workers
    if workers < 1:
        raise UsageError(f"workers={workers}: at least 1 is needed")
    if workers == 1:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield map(work, items)
        finally:
            torch.set_num_threads(threads)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads half alive
    pool = ProcessPoolExecutor(min(workers, len(items) or 1), context, initializer=_start)
    try:
        yield pool.map(work, items, chunksize=CHUNK)
    except BrokenProcessPool:
        raise UsageError(
            "a worker process was killed, perhaps for lack of memory: use fewer workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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

"""The same work for many items, on threads or in processes; and a child process that answers."""

import json
import multiprocessing
import os
import queue
import signal
import subprocess
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
from contextlib import suppress
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
        with suppress(OSError, ValueError):  # ValueError: closed meanwhile
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
        with suppress(OSError):  # what it never read
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

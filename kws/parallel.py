"""The same work for many items, on threads or in processes; and a child process that answers."""

import json
import multiprocessing
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from tqdm import tqdm

from kws.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 8  # items sent to a process at a time


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_map(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None,
    title: str,
    progress: bool,
) -> list[Result]:
    """`[work(item) for item in items]` on `workers` threads (None: one for each core).

    A progress bar counts the items. The first failure, or Ctrl-C, drops the items that have not
    begun and is raised when the others are done.
    """
    with ThreadPoolExecutor(cores() if workers is None else workers) as pool:
        try:
            done = pool.map(work, items)
            off = None if progress else True  # None: off unless this is a terminal
            return list(tqdm(done, title, len(items), disable=off, leave=False))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


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


class JsonProcess:
    """A child process that reads lines of JSON from stdin and writes lines of JSON to stdout.

    Close it, or use it as a context manager; `options` are those of `subprocess.Popen`.
    """

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        pipe = subprocess.PIPE
        self.process: subprocess.Popen[str] = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, encoding="utf-8", errors="replace", **options
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put("")

    def send(self, message: object) -> None:
        """Write a line. Where the process is gone, `receive` tells."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def receive(self, seconds: float | None = None) -> Any:
        """The next line; None when the process has ended. TimeoutError after `seconds`."""
        try:
            line = self._lines.get(timeout=None if seconds is None else max(seconds, 0))
        except queue.Empty:
            raise TimeoutError from None
        return json.loads(line) if line.endswith("\n") else None

    def exit_code(self) -> int:
        """What the process ended with; waits for that."""
        return self.process.wait()

    def close(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with suppress(OSError):  # what it never read
            self.process.stdin.close()

    def __enter__(self) -> "JsonProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def json_stdout(others: int) -> Callable[[object], None]:
    """For such a child: the function that writes a line to stdout, which nothing else reaches.

    What else is printed, by libraries in C too, goes to the file descriptor `others`.
    """
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(others, 1)

    def write(message: object) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    return write

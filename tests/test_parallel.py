"""Threads that keep the order."""

import threading
import time

import pytest

from kws.parallel import Pool, thread_map


def test_threads_keep_the_order_of_the_items_and_raise_the_first_failure():
    begun = threading.Barrier(3)

    def wait_for_all(item: int) -> int:
        begun.wait()
        return -item

    assert thread_map(wait_for_all, [3, 1, 2], workers=3, title="", progress=False) == [-3, -1, -2]
    done = []

    def fail(item: int) -> None:
        done.append(item)
        if item == 0:
            raise ValueError(item)
        time.sleep(0.01)

    with pytest.raises(ValueError, match="0"):
        thread_map(fail, range(1_000), workers=1, title="", progress=False)
    assert len(done) < 1_000


def test_leaving_early_stops_what_has_begun_and_drops_what_has_not():
    begun, first, stopped, calls = [], threading.Event(), threading.Event(), iter(range(100))

    def work(item: int) -> None:
        begun.append(item)
        (stopped if item else first).wait()

    def stop() -> None:
        next(calls)  # StopIteration: it never ends
        stopped.set()

    with Pool(2, stop=stop) as pool:
        results = pool.as_completed(work, range(100))
        first.set()
        assert next(results)[0] == 0
    assert len(begun) < 100

"""CPU seconds and memory of several processes together, from Linux's /proc."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KIB = 1024


def cpu_seconds_of(pids: list[int]) -> float:
    """User and system seconds used so far, those of threads that have ended included."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_of(pids: list[int]) -> dict[str, int]:
    """Bytes in memory: "anon", the processes' own, and "all", with their share of mapped files.

    A page that several processes share counts once.
    """
    found = {"anon": 0, "all": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("Pss", "Pss_Anon"):
                found["all" if name == "Pss" else "anon"] += int(value.split()[0]) * KIB
    return found


@contextmanager
def peak_memory(pids: Callable[[], list[int]], seconds: float = 0.05) -> Iterator[dict[str, int]]:
    """The largest `memory_of(pids())` seen in the block, looked at every `seconds`."""
    peak, done = {"anon": 0, "all": 0}, threading.Event()

    def look() -> None:
        for name, value in memory_of(pids()).items():
            peak[name] = max(peak[name], value)

    def watch() -> None:
        while not done.wait(seconds):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
        look()


def descendants(pid: int) -> list[int]:
    """Children of `pid`, their children, and so on, those that run now."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(path.name))
    found, ahead = [], [pid]
    while ahead:
        new = children.get(ahead.pop(), [])
        found += new
        ahead += new
    return sorted(found)


def own_memory_of(pids: list[int]) -> int:
    """Bytes in memory that are no part of a file; what a fork shares with its parent counts too."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
    return total * KIB

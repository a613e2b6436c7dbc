"""CPU seconds and memory of several processes together, from Linux's /proc."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter

from report import machine_cpu_seconds

TICKS = os.sysconf("SC_CLK_TCK")
KIB = 1024
GROUPS = (  # where Linux keeps groups of processes, the file with their processor time, its unit
    (Path("/sys/fs/cgroup/cpuacct"), "cpuacct.usage", 1e-9),
    (Path("/sys/fs/cgroup"), "cpu.stat", 1e-6),  # "usage_usec 123", then other lines
)


class Meter:
    """Seconds of a block: by the clock, and of processor for this process and all it starts.

        with Meter() as meter:
            ...
        meter.wall, meter.cpu

    Where this process may not have a group of its own, the whole machine is counted in its place.
    """

    def __enter__(self) -> "Meter":
        self._group = None
        for root, file, unit in GROUPS:
            with suppress(OSError):
                group = root / f"kws-{os.getpid()}"
                group.mkdir()
                (group / "cgroup.procs").write_text(str(os.getpid()))
                self._group, self._file, self._unit = group, file, unit
                break
        self._cpu, self._wall = self._used(), perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = perf_counter() - self._wall
        self.cpu = self._used() - self._cpu
        if self._group:
            for pid in (self._group / "cgroup.procs").read_text().split():
                with suppress(OSError):  # it has ended meanwhile
                    (self._group.parent / "cgroup.procs").write_text(pid)
            with suppress(OSError):
                self._group.rmdir()

    def _used(self) -> float:
        if self._group is None:
            return machine_cpu_seconds()
        words = (self._group / self._file).read_text().split()
        return int(words[words.index("usage_usec") + 1 if len(words) > 1 else 0]) * self._unit


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
        lines: list[str] = []
        with suppress(OSError):  # it has ended meanwhile
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        for line in lines:
            name, _, value = line.partition(":")
            if name in ("Pss", "Pss_Anon"):
                found["all" if name == "Pss" else "anon"] += int(value.split()[0]) * KIB
    return found


@contextmanager
def peak_memory(pids: Callable[[], list[int]], seconds: float = 0.05) -> Iterator[dict[str, int]]:
    """The largest `memory_of(pids())` seen in the block, looked at every `seconds`."""
    peak, done = {"anon": 0, "all": 0}, threading.Event()

    def measure() -> None:
        for name, value in memory_of(pids()).items():
            peak[name] = max(peak[name], value)

    def watch() -> None:
        while not done.wait(seconds):
            measure()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
        measure()


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

"""Resource limits of this process: what `resource` can refuse, and what it says of memory."""

import contextlib
import math
import resource
from pathlib import Path

from grader.sandbox.tier import Limits

FILES = 256  # open at once
RESERVE = 512 << 20  # bytes of addresses that threads and allocators reserve but do not use


def apply(limits: Limits) -> None:
    """Bind this process, and what it starts, for good.

    Memory counts from what the process has now. It runs out as MemoryError, or as torch's
    RuntimeError; processor time with SIGXCPU, and one second later with SIGKILL.
    """
    seconds = math.ceil(limits.seconds)
    _limit(resource.RLIMIT_CPU, seconds, seconds + 1)
    _limit(resource.RLIMIT_FSIZE, limits.disk)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, FILES)
    held = memory_held()
    if held is not None:
        addresses, data = held
        _limit(resource.RLIMIT_DATA, data + limits.memory)
        _limit(resource.RLIMIT_AS, addresses + limits.memory + RESERVE)


def memory_held() -> tuple[int, int] | None:
    """Bytes of addresses and of private data of this process; None where nobody says."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    table = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(table["VmSize"].split()[0]) << 10, int(table["VmData"].split()[0]) << 10


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit, as far as the one in force allows."""
    ceiling = resource.getrlimit(which)[1]
    values = [soft, soft if hard is None else hard]
    if ceiling != resource.RLIM_INFINITY:
        values = [min(value, ceiling) for value in values]
    with contextlib.suppress(OSError, ValueError):  # some systems know a limit but set none
        resource.setrlimit(which, (values[0], values[1]))

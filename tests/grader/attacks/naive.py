"""A grader as they are usually written: pytest imports the student's file and asserts.

    python naive.py < folders, one a line          an exit code a line

Each folder holds a student's `attention.py` and the tests `test_hidden.py`. pytest runs them in
this very interpreter, in a fork, so that one attack does not spoil the next. The result is
`result.xml`. It limits time and memory, more than many do, and protects nothing else.
"""

import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

LIMIT = 8.0  # seconds of the processor
IDLE = 4.0  # seconds without any of it: it waits for nothing that will come
LONGEST = 60.0  # seconds by the clock, whatever it does
MEMORY = 3 << 30  # bytes of address space beyond what is used at the start
WRITTEN = 64 << 20  # bytes a file may have: the attacks are real, the disk is ours


def grade(folder: Path) -> int:
    """Run the hidden tests in this process; pytest's exit code."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    return pytest.main(["-q", "-p", "no:cacheprovider", "--junitxml=result.xml", "test_hidden.py"])


def cpu_seconds(process: int) -> float:
    """What it has used of the processor."""
    _, _, rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")
    user, system = rest.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def forked(folder: Path) -> int:
    """The exit code of `grade` in a fork; -9 where it did not end in time."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setsid()
        quiet = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN, WRITTEN))
        sys.exit(grade(folder))
    begun = worked = time.monotonic()
    spent = 0.0
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        now, before, spent = time.monotonic(), spent, cpu_seconds(child)
        worked = now if spent > before else worked
        # a busy machine is slow, but it does not stop: only the wait for nothing is by the clock
        if spent > LIMIT or now - worked > IDLE or now - begun > LONGEST:
            break
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -9


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("ready", flush=True)
    for line in sys.stdin:
        print(forked(Path(line.strip())), flush=True)

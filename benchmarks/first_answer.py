"""How long `kws check 2.1` lets a student wait: until it says anything, and until the result.

    cold    torch is loaded for this check (KWS_WARM=0, and everywhere but on Linux)
    first   the same, and a process is started that keeps torch loaded
    warm    with that process

On a terminal, as students have it, on the notebook of assignment 2 with our answers. Seconds are
of the wall clock: on cores that others use, too, they are longer. CPU seconds count the command and
what it starts, where Linux tells them apart from the machine's.

    python benchmarks/first_answer.py [--runs 5] [--task 2.1]
"""

import argparse
import os
import pty
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from grading_hostile import STEM, answers
from processes import Meter
from report import finish, hardware, print_table


def main() -> None:
    """Measure each of the three."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--task", default="2.1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="first-answer-") as name:
        folder = Path(name)
        notebook = folder / "assignments" / f"{STEM}.ipynb"
        notebook.parent.mkdir()
        notebook.write_bytes(answers({}))
        kinds = [("cold", options.runs, "0"), ("first", 1, "1"), ("warm", options.runs, "1")]
        rows, result = [], {"task": options.task}
        for kind, runs, warm in kinds:
            found = [wait(folder, options.task, warm) for _ in range(runs)]
            first, last, cpu = (statistics.median(each) for each in zip(*found, strict=True))
            rows.append([kind, runs, first, last, cpu])
            result |= {f"{kind}_first_seconds": first, f"{kind}_seconds": last, f"{kind}_cpu": cpu}
    headers = ["kws check", "runs", "first words, s", "result, s", "CPU s"]
    print_table(headers, rows)
    finish({**result, "runs": options.runs, "hardware": hardware()})


def wait(folder: Path, task: str, warm: str) -> tuple[float, float, float]:
    """Seconds until the command says anything, until its result; CPU seconds."""
    # a cache of our own: the warm process listens there, and ends when it is gone
    environment = {**os.environ, "KWS_WARM": warm, "KWS_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "kws.cli", "check", task]
    ours, theirs = pty.openpty()
    output, first = b"", 0.0
    with Meter() as meter:
        begin = perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=theirs)
        os.close(theirs)
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # so a terminal ends on Linux
                break
            if not part:
                break
            first = first or perf_counter() - begin
            output += part
        code = process.wait()
        last = perf_counter() - begin
    os.close(ours)
    if code or b"pass" not in output:
        sys.exit(f"kws check {task} failed:\n{output.decode(errors='replace')}")
    return first, last, meter.cpu


if __name__ == "__main__":
    main()

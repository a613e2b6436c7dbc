"""What every benchmark prints: the machine, a table, and last one line of JSON.

A script ends with `finish({...})`: its last line of output is then a JSON object that a program can
read, with the numbers of the table under plain names. Seconds are CPU seconds of this process and
its finished children: on shared cores they repeat, wall-clock seconds do not.

    from report import cpu_seconds, finish, hardware, print_table
"""

import json
import os
import platform
import resource
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from kws.parallel import cores


def cpu_seconds() -> float:
    """User and system seconds used so far by this process and its finished children."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def machine_cpu_seconds() -> float:
    """User and system seconds of all processes since the machine started.

    Counts what `cpu_seconds` cannot: processes that their parents do not wait for. Where there is
    no /proc, elsewhere than on Linux, it is `cpu_seconds`.
    """
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return cpu_seconds()
    user, nice, system, _, _, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def hardware() -> str:
    """The machine in one line: processor, usable cores, torch and its threads, GPU."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    threads = torch.get_num_threads()
    return (
        f"{_processor()}, {cores()} cores, {platform.system()}, "
        f"torch {torch.__version__} with {threads} thread{'s' * (threads != 1)}, {gpu}"
    )


def mean_and_deviation(values: Sequence[float], digits: int = 1) -> str:
    """The mean ± standard deviation of a figure over seeds; of one seed, the figure alone.

    >>> mean_and_deviation([1.0, 2.0, 3.0]), mean_and_deviation([2.0], digits=2)
    ('2.0 ± 1.0', '2.00')
    """
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print `rows` under `headers`; numbers are aligned right, text left, None is a dash.

    >>> print_table(["model", "ms"], [["ours", 3.14159], ["theirs", 12]])
    model     ms
    ------  ----
    ours    3.14
    theirs    12
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    right = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(headers))]

    def line(texts: Sequence[str]) -> str:
        aligned = zip(texts, widths, right, strict=True)
        return "  ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in aligned).rstrip()

    print(line(headers))
    print("  ".join("-" * width for width in widths))
    for row in cells:
        print(line(row))


def finish(result: dict[str, Any]) -> None:
    """Print the machine, and last `result` as one line of JSON (floats to 6 significant digits)."""
    print(hardware())
    print(json.dumps(_rounded(result), allow_nan=False), flush=True)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()

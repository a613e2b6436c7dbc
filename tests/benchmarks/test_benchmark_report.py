"""What the benchmarks print: an aligned table, and last one line of JSON."""

import importlib.util
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "report.py"
STATUS = Path("/proc/self/status")


@pytest.fixture(scope="module")
def report():
    spec = importlib.util.spec_from_file_location("benchmark_report", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_numbers_are_aligned_right_and_text_left(report, capsys):
    report.print_table(["name", "n", "share"], [["a", 1234567, None], ["longer", 7, 0.5]])
    assert capsys.readouterr().out.splitlines() == [
        "name            n  share",
        "------  ---------  -----",
        "a       1,234,567      –",
        "longer          7   0.50",
    ]


def test_a_row_of_another_length_is_refused(report):
    with pytest.raises(ValueError, match="zip"):
        report.print_table(["a", "b"], [[1, 2], [3]])


def test_the_last_line_is_json(report, capsys):
    report.finish({"speedup": 1 / 3, "n": 1234567, "each": [{"x": 2.0}], "name": "ü"})
    last = capsys.readouterr().out.splitlines()[-1]
    expected = {"speedup": 0.333333, "n": 1234567, "each": [{"x": 2.0}], "name": "ü"}
    assert json.loads(last) == expected


def test_a_number_that_is_none_is_no_json(report):
    with pytest.raises(ValueError, match="JSON"):
        report.finish({"speedup": math.nan})


def test_cpu_seconds_count_finished_children(report):
    before = report.cpu_seconds()
    work = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    assert report.cpu_seconds() - before >= 0.3


@pytest.mark.skipif(not STATUS.exists(), reason="this system has no /proc")
def test_the_machines_cpu_seconds_count_what_nobody_waits_for(report):
    spin = "import os, time\nif os.fork() == 0:\n    while time.process_time() < 0.5: pass\n"
    before = report.machine_cpu_seconds(), report.cpu_seconds()
    subprocess.run([sys.executable, "-c", spin], check=True)
    time.sleep(1.5)
    assert report.machine_cpu_seconds() - before[0] >= 0.5
    assert report.cpu_seconds() - before[1] < 0.4


@pytest.mark.skipif(not STATUS.exists(), reason="this system has no /proc")
def test_peak_memory_is_the_high_water_mark_in_megabytes(report):
    (peak,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    # read one after the other: the peak may rise by a few MB in between
    assert report.peak_memory_mb() == pytest.approx(int(peak.split()[1]) * 1024 / 1e6, rel=0.02)


def test_the_machine_is_named_in_one_line(report):
    assert report.hardware().count("\n") == 0
    assert " cores, " in report.hardware()

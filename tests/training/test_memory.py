"""Freed memory is kept: a second round of large arrays asks the kernel for nothing."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from kws.training.memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(77)
for _ in range(3):
    arrays = [np.ones(1 << 21) for _ in range(3)]  # 16 MiB each
    del arrays
before = faults()
for _ in range(10):
    arrays = [np.ones(1 << 21) for _ in range(3)]
    del arrays
print(faults() - before)
"""


def faults_in_ten_rounds(how):
    run = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True)
    if run.returncode == 77:
        pytest.skip("needs glibc")
    return int(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_freed_memory_is_kept():
    assert faults_in_ten_rounds("keep") < 100
    assert faults_in_ten_rounds("give back") > 1_000  # or there is nothing to gain here

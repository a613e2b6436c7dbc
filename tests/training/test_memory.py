"""Freed memory is kept: a second round of large arrays asks the kernel for nothing."""

import inspect
import resource
import subprocess
import sys

import numpy as np
import pytest

from kws.training.memory import keep_freed_memory


def faults_in_ten_rounds() -> int:
    """Pages that the kernel has to clear for arrays that were there before."""
    for round_ in range(13):
        if round_ == 3:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        arrays = [np.ones(1 << 21) for _ in range(3)]  # 16 MiB each
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_freed_memory_is_kept():
    if not keep_freed_memory():  # as tests/conftest.py has done
        pytest.skip("needs glibc")
    assert faults_in_ten_rounds() < 100
    program = "import resource, numpy as np\n" + inspect.getsource(faults_in_ten_rounds)
    program = [sys.executable, "-c", f"{program}\nprint(faults_in_ten_rounds())"]
    plain = subprocess.run(program, capture_output=True, text=True, check=True)
    assert int(plain.stdout) > 1_000  # or there is nothing to gain here

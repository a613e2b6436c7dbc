"""`make demo` and `make course`: what fails is one sentence, what interrupts keeps what is done."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.selftest import demo
from kws.errors import UsageError


def notebook(*cells: str) -> dict:
    code = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    made = [{**code, "id": f"c{at}", "source": text} for at, text in enumerate(cells)]
    return {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("1 / 0", "02_attention: cell 2: ZeroDivisionError: division by zero"),
        ("import os; os._exit(9)", "02_attention: cell 2: its process ended"),
    ],
)
def test_a_cell_that_fails_is_one_sentence_and_is_run_again(monkeypatch, tmp_path, cell, words):
    monkeypatch.setattr(demo, "as_notebook", lambda _: notebook("x = 1", cell))
    with pytest.raises(UsageError, match=words) as caught:
        asyncio.run(demo.run_notebook(ASSIGNMENTS["02"], tmp_path))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_says_what_is_kept_in_one_sentence(tmp_path):
    command = [sys.executable, "-u", "-m", "grader", "demo", str(tmp_path), "--only", "02"]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=pipe, stderr=pipe, text=True)
    with process:
        assert "run and graded" in process.stdout.readline()
        shown = ""
        while "02_attention" not in shown:  # the kernel is being started
            shown += process.stderr.read(1)
        process.send_signal(signal.SIGTERM)  # as Ctrl-C, which Python itself makes an exception
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.strip().endswith(f"what is done is kept in {tmp_path}; the same command continues")
    assert "Traceback" not in err

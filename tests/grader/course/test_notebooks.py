"""Notebooks run: with our answers to the end, and as students get them to the first TODO."""

import ast
import asyncio
import json
import os
import subprocess
import sys

import nbclient
import nbformat
import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from grader.selftest.demo import run_notebook

SECONDS = 300  # a whole notebook on two cores
QUICK = {"02"}  # the others train, or speak
SCRIPTS = sorted((ROOT / "solutions").glob("[0-9][0-9]_*.py"))
NUMBERS = [
    number if number in QUICK else pytest.param(number, marks=pytest.mark.slow)
    for number in ASSIGNMENTS
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to run in, with one thread for torch and no display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "error::UserWarning")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def execute(notebook, folder):
    """The notebook after it ran, as far as it came."""
    where = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources=where
    )
    try:
        client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        return notebook, error
    return notebook, None


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_imports_names_that_there_are(script):
    """Without training anything: a name that the package lost is seen at once."""
    code = [c.source for c in read_solution(script) if c.kind == "code" and "import " in c.source]
    nodes = [node for source in code for node in ast.parse(source).body]
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    exec("\n".join(map(ast.unparse, imports)), {})


def printed(notebook) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.get("text", "") for output in outputs)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_notebook_with_our_answers_runs_to_its_end_and_every_check_says_so(number, place, capsys):
    path = asyncio.run(run_notebook(ASSIGNMENTS[number], place))
    assert path == asyncio.run(run_notebook(ASSIGNMENTS[number], place))
    assert "has run already" in capsys.readouterr().out
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "with check(" in cell.source:
            assert "✓" in json.dumps(cell.outputs, ensure_ascii=False), cell.source
    if number == "05":  # the only text that states a number of its own run
        count = str(notebook).partition(" unknown clips in this test")[0].split()[-1]
        assert f"\n{count} clips of unknown, " in printed(notebook)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_student_s_notebook_stops_at_its_first_todo_without_a_traceback(number, place):
    path = ROOT / "assignments" / f"{ASSIGNMENTS[number].stem}.ipynb"
    notebook, error = execute(nbformat.read(path, as_version=4), place)
    assert error is not None
    assert error.ename == "NotStarted"
    assert f"TODO {ASSIGNMENTS[number].tasks[0].id}" in error.evalue
    assert "not started" in printed(notebook)
    failed = [o for cell in notebook.cells for o in cell.get("outputs", ()) if "traceback" in o]
    assert [output["traceback"] for output in failed] == [[]]


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_solution_runs_as_a_script(script, place):
    options = {"cwd": place, "env": os.environ | {"MPLBACKEND": "agg"}, "timeout": 2 * SECONDS}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "✗" not in done.stdout

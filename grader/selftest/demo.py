"""`make demo`: the course from one end to the other, on a machine that has nothing but it.

    python -m grader demo runs/demo

Every notebook is run with our answers, trainings included; what came of it is graded by
`pytest grader/`; then a class of ten made-up students is. Interrupted, it goes on where it was:
a notebook that has run is not run again until its source changes.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from tqdm import tqdm

from grader import ROOT
from grader.adapters import ASSIGNMENTS, Assignment
from grader.course.mistakes.planted import as_notebook, solution
from grader.selftest.class_of_ten import make_class
from kws.files import sha256_of, write_text

SECONDS = 600  # a cell


def main(out: Path) -> int:
    """Run all of it; 1 if our own answers do not get all points."""
    start, reference, steps = time.monotonic(), out / "reference", 4
    print(
        f"1 of {steps}: our answers to {len(ASSIGNMENTS)} notebooks, run to their ends", flush=True
    )
    for assignment in ASSIGNMENTS.values():
        run_notebook(assignment, reference)
    print(f"2 of {steps}: what they made, graded by the hidden checks", flush=True)
    short = _python("-m", "pytest", str(ROOT / "grader"), f"--submission={reference.resolve()}")
    print(f"3 of {steps}: a class of ten", flush=True)
    for student, expected in make_class(out / "class", reference).items():
        print(f"  {student:6} {expected}")
    print(f"4 of {steps}: the class, graded", flush=True)
    graded = _python("-m", "grader", "grade", str(out / "class"), "--out", str(out / "graded"))
    print(f"\n{time.monotonic() - start:.0f} s. To look at:")
    for place in ("reference/*.ipynb", "graded/class.html", "graded/pages/*.html"):
        print(f"  {out / place}")
    return int(bool(short or graded))


def run_notebook(assignment: Assignment, folder: Path) -> None:
    """Execute one notebook with our answers in `folder`; pictures and weights stay there."""
    target = folder / f"{assignment.stem}.ipynb"
    digest = sha256_of(solution(assignment.number))
    if target.exists() and nbformat.read(target, 4).metadata.get("source") == digest:
        print(f"  {assignment.stem}: has run already")
        return
    folder.mkdir(parents=True, exist_ok=True)
    notebook: Any = nbformat.from_dict(as_notebook(assignment.number))
    code = [number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    client = nbclient.NotebookClient(
        notebook,
        timeout=SECONDS,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # it warns of its own way to talk
    )
    with client.setup_kernel():
        for number in tqdm(code, desc=f"  {assignment.stem}", unit="cell", file=sys.stderr):
            client.execute_cell(notebook.cells[number], number)
    notebook.metadata["source"] = digest
    write_text(target, nbformat.writes(notebook) + "\n")


def _python(*arguments: str) -> int:
    sys.stdout.flush()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment).returncode

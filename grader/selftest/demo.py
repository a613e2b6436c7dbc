"""`make demo`: the course from one end to the other, on a machine that has nothing but it.

    python -m grader demo runs/demo [--only 02]

Notebooks are run with our answers, trainings included, two at a time, those without a training
first, then the last assignments, which train longest. Each is graded by `pytest grader/` as soon as
it has run. Then a class of ten made-up students is graded. Interrupted, it goes on where it was: a
notebook that has run is not run again until its source changes.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from tqdm import tqdm

from grader import ROOT
from grader.adapters import ASSIGNMENTS, Assignment, get_assignment
from grader.course.mistakes.planted import as_notebook, solution
from grader.selftest.class_of_ten import make_class
from kws.files import sha256_of, write_text

SECONDS = 600  # a cell
AT_A_TIME = 2  # notebooks; each computes with one thread
CARD = "Score card: "  # begins the part of the grader's output that is shown


def main(out: Path, only: str | None = None) -> int:
    """Run all of it, or one notebook alone; 1 if our own answers do not get all points."""
    start, reference = time.monotonic(), out / "reference"
    wanted = [get_assignment(only)] if only else [*ASSIGNMENTS.values()]
    print(f"Our answers to {len(wanted)} notebooks, run and graded", flush=True)
    short = asyncio.run(_run_and_grade(wanted, reference, start))
    places = ["reference/*.ipynb"]
    if not only:
        print("A class of ten, and what each should get")
        for student, expected in make_class(out / "class", reference).items():
            print(f"  {student:6} {expected}", flush=True)
        grade = ("-m", "grader", "grade", str(out / "class"), "--out", str(out / "graded"))
        short |= asyncio.run(_python(*grade))[0] != 0
        places += ["graded/class.html", "graded/pages/*.html"]
    print(f"\n{time.monotonic() - start:.0f} s. To look at:")
    for place in places:
        print(f"  {out / place}")
    return int(short)


async def _run_and_grade(wanted: list[Assignment], folder: Path, start: float) -> bool:
    """Run and grade these notebooks; whether points are missing."""
    # after Ctrl-C each kernel would complain that it died; whatever else goes wrong is raised
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    free = asyncio.Queue[int]()  # lines of the terminal, one for each notebook under way
    for line in range(AT_A_TIME):
        free.put_nowait(line)

    async def one(assignment: Assignment) -> bool:
        line = await free.get()
        notebook = await run_notebook(assignment, folder, line)
        code, said = await _python(
            "-m", "pytest", str(ROOT / "grader"),
            f"--submission={notebook.resolve()}", f"--assignment={assignment.number}",
            shown=False,
        )  # fmt: skip
        free.put_nowait(line)
        card = said[said.find(CARD) :] if code == 0 else said
        tqdm.write(f"\n{card.rstrip()}\nafter {time.monotonic() - start:.0f} s")
        sys.stdout.flush()
        return code != 0

    # the first score card soon; and no long training left to run alone in the end
    order = sorted(reversed(wanted), key=lambda assignment: bool(assignment.weights))
    return any(await asyncio.gather(*map(one, order)))


async def run_notebook(assignment: Assignment, folder: Path, line: int = 0) -> Path:
    """Execute a notebook with our answers in `folder`, where pictures and weights stay too.

    Its progress is shown on this line of the terminal.
    """
    target = folder / f"{assignment.stem}.ipynb"
    digest = sha256_of(solution(assignment.number))
    if target.exists() and nbformat.read(target, 4).metadata.get("source") == digest:
        tqdm.write(f"  {assignment.stem}: has run already")
        return target
    folder.mkdir(parents=True, exist_ok=True)
    notebook: Any = nbformat.from_dict(as_notebook(assignment.number))
    code = [number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    client = nbclient.NotebookClient(
        notebook,
        timeout=SECONDS,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # it warns of its own way to talk
    )
    progress = tqdm(
        total=len(code), desc=f"  {assignment.stem}", unit="cell", file=sys.stderr, position=line
    )
    async with client.async_setup_kernel():
        # nbclient took Ctrl-C for itself: with two notebooks it has to end both
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
        with progress:
            for number in code:
                await client.async_execute_cell(notebook.cells[number], number)
                progress.update()
    notebook.metadata["source"] = digest
    write_text(target, nbformat.writes(notebook) + "\n")
    return target


async def _python(*arguments: str, shown: bool = True) -> tuple[int, str]:
    """Run a command of ours; its exit code and, if it is not shown, what it said."""
    to = None if shown else asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=to, stderr=asyncio.subprocess.STDOUT if to else None,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode or 0, (said or b"").decode()

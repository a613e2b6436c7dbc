"""`make demo` and `make course`: run and grade the course on a fresh machine.

    python -m grader demo runs/demo [--only 02]   a notebook, a training, a class of ten
    python -m grader demo runs/course --all       every notebook, trainings included, and a class

Notebooks are run with our answers, two at a time: first those without training, then the last
assignments, which train longest. Each is graded by `pytest grader/` as soon as it has run; then a
class of ten made-up students is. After an interruption the same command continues: a notebook runs
again only if its source has changed. One that fails is reported, and the others continue.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from nbclient.exceptions import CellExecutionError, DeadKernelError
from tqdm import tqdm

from grader import ROOT
from grader.adapters import ASSIGNMENTS, Assignment, get_assignment
from grader.course.mistakes.planted import as_notebook, solution
from grader.selftest.class_of_ten import make_class
from kws.errors import UsageError
from kws.files import sha256_of, write_text

AT_A_TIME = 2  # notebooks; each computes with one thread
CARD = "Score card: "  # begins the part of the grader's output that is shown
SHORT = ("01", "02")  # what the class of the short form hands in: nothing in it is trained
TRAINING = ("data.protocol=embedded-12", "train.epochs=12")
NEXT = """Next:
  make course           every notebook with its trainings, and a class that hands in all of them
  make book             the course as a site, in build/book/html
  python -m grader grade FOLDER --out graded     your own class: docs/teaching.md"""


def main(out: Path, only: str | None = None, *, everything: bool = False) -> int:
    """Run the demo; return 1 if our own answers lose points or something did not run."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _main(out, only, everything)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: what is done is kept in {out}; the same command continues"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _main(out: Path, only: str | None, everything: bool) -> int:
    start, reference = time.monotonic(), out / "reference"
    wanted = [get_assignment(only or "02")]
    if everything and not only:
        wanted = [*ASSIGNMENTS.values()]
    count = "1 notebook" if len(wanted) == 1 else f"{len(wanted)} notebooks"
    print(f"Our answers to {count}, run and graded", flush=True)
    short = asyncio.run(_run_and_grade(wanted, reference, start))
    places = ["reference/*.ipynb"]
    if not only:
        if not everything:
            short |= not asyncio.run(_train(out))
            places += ["training/*.png"]
        print("A class of ten, and what each should get", flush=True)
        handed_in = [*ASSIGNMENTS] if everything else SHORT
        for student, expected in make_class(out / "class", reference, handed_in).items():
            print(f"  {student:6} {expected}", flush=True)
        grade = ("-m", "grader", "grade", str(out / "class"), "--out", str(out / "graded"))
        short |= asyncio.run(_python(*grade))[0] != 0
        places += ["graded/class.html", "graded/pages/*.html"]
    print(f"\n{time.monotonic() - start:.0f} s. To look at:")
    for place in places:
        print(f"  {out / place}")
    if not only and not everything:
        print(NEXT)
    return int(short)


async def _train(out: Path) -> bool:
    corpus, run = out / "corpus", out / "training"
    print("A keyword model, trained on 1,400 clips that are made on the spot", flush=True)
    resume = ["--resume"] if (run / "last.pt").exists() else []
    settings = [word for setting in TRAINING for word in ("--set", setting)]
    steps: Sequence[Sequence[str]] = (
        ("data", "corpus", str(corpus), "--size", "tiny"),
        ("train", "keywords", "--data", str(corpus), "--out", str(run), *settings, *resume),
        ("evaluate", str(run), "--data", str(corpus)),
        ("plot", str(run)),
    )
    for step in steps[1:] if corpus.exists() else steps:
        if (await _python("-m", "kws.cli", *step))[0]:
            return False
    return True


async def _run_and_grade(wanted: list[Assignment], folder: Path, start: float) -> bool:
    # after Ctrl-C each kernel would complain that it died; whatever else goes wrong is raised
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    free = asyncio.Queue[int]()  # lines of the terminal, one for each notebook under way
    for line in range(AT_A_TIME):
        free.put_nowait(line)

    async def one(assignment: Assignment) -> bool:
        line = await free.get()
        try:
            notebook = await run_notebook(assignment, folder, line)
        except UsageError as error:
            tqdm.write(f"{error}: the others go on", file=sys.stderr)
            free.put_nowait(line)
            return True
        code, output = await _python(
            "-m", "pytest", str(ROOT / "grader"),
            f"--submission={notebook.resolve()}", f"--assignment={assignment.number}",
            shown=False,
        )  # fmt: skip
        free.put_nowait(line)
        card = output[output.find(CARD) :] if code == 0 else output
        tqdm.write(f"\n{card.rstrip()}\nafter {time.monotonic() - start:.0f} s")
        sys.stdout.flush()
        return code != 0

    # the first score card soon; and no long training left to run alone in the end
    order = sorted(reversed(wanted), key=lambda assignment: bool(assignment.weights))
    return any(await asyncio.gather(*map(one, order)))


async def run_notebook(assignment: Assignment, folder: Path, line: int = 0) -> Path:
    """Execute a notebook with our answers in `folder`; UsageError if a cell fails."""
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
        timeout=None,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # it warns of its own way to talk
    )
    progress = tqdm(
        total=len(code), desc=f"  {assignment.stem}", unit="cell", file=sys.stderr, position=line
    )
    with progress:
        client.km = client.create_kernel_manager()
        try:  # not client.async_setup_kernel: its own signal handlers outlive Ctrl-C
            # interrupted while it starts, a kernel prints a traceback
            await client.async_start_new_kernel(stderr=subprocess.DEVNULL)
            await client.async_start_new_kernel_client()
            for number in code:
                try:
                    await client.async_execute_cell(notebook.cells[number], number)
                except CellExecutionError as error:
                    why = f"{error.ename}: {error.evalue}".partition("\n")[0]
                    raise UsageError(f"{assignment.stem}: cell {number + 1}: {why}") from None
                except DeadKernelError:
                    why = "its process ended, perhaps for lack of memory"
                    raise UsageError(f"{assignment.stem}: cell {number + 1}: {why}") from None
                progress.update()
        finally:
            await client._async_cleanup_kernel()
    notebook.metadata["source"] = digest
    write_text(target, nbformat.writes(notebook) + "\n")
    return target


async def _python(*arguments: str, shown: bool = True) -> tuple[int, str]:
    to = None if shown else asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=to, stderr=asyncio.subprocess.STDOUT if to else None,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, (output or b"").decode()

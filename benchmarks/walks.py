"""The weight of the tree: files and processes that three commands pass through, lines of Python.

A file counts once a function of it is called, in any process; what runs while modules are imported
does not. A profiler in each process reports, over a pipe-safe append to one file; processes that
close what they inherit, as those of the sandbox do, are counted where they are started.

    python benchmarks/walks.py RUN CLIP [CLASS]

RUN is a keyword Transformer (`kws train speakers --set model.name=kwt-1 …`), CLIP a recording,
CLASS a folder with a folder of one student's finished assignment 2. tests/test_weight.py holds
the numbers as ceilings.
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
HOUSES = {"kws and grader": ("kws", "grader"), "experiments": ("experiments",), "tests": ("tests",)}
OURS = (f"{ROOT}/kws/", f"{ROOT}/grader/")
KWS = "from kws.cli import main; main()"  # the console script
REPORT = "KWS_WALK"  # environment variable: the file that processes append to


def lines_of(*folders: str) -> int:
    """Lines of all Python files below the folders."""
    files = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sum(len(path.read_bytes().splitlines()) for path in files)


def file_of(frame: FrameType) -> str | None:
    """The file that a call enters, unless a module is being imported."""
    at: FrameType | None = frame
    while at is not None:
        if at.f_code.co_name == "<module>" and at.f_globals.get("__name__") != "__main__":
            return None
        at = at.f_back
    return os.path.relpath(frame.f_code.co_filename, ROOT)


def watch(enter: Callable[[str], None]) -> None:
    """Call `enter` with each file of ours when the first call enters it, in all threads."""
    seen = set()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        if path in seen or event != "call":
            return
        if not path.startswith(OURS):
            seen.add(path)  # the thousands of calls in torch take no longer
        elif (found := file_of(frame)) is not None:
            seen.add(path)
            enter(found)

    threading.setprofile(profile)
    sys.setprofile(profile)


def files_entered(call: Callable[[], Any]) -> list[str]:
    """The files that `call` passes through in this process, in the order in which it does."""
    found: list[str] = []
    watch(found.append)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # pyright: ignore[reportArgumentType]
    return found


def report_from_here() -> None:
    """Append the files that this process and its forks enter, and the processes they start."""
    out = os.environ[REPORT]

    def append(kind: str, what: str) -> None:
        line = f"{kind} {what}\n".encode()
        try:
            file = os.open(out, os.O_WRONLY | os.O_APPEND)
        except OSError:  # the sandbox has no such file
            return
        os.write(file, line)
        os.close(file)

    def audit(event: str, _: tuple[Any, ...]) -> None:
        if event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"):
            append("process", event)

    sys.addaudithook(audit)
    watch(lambda path: append("file", path))


def walk(arguments: list[str]) -> tuple[set[str], int]:
    """The files that a command of Python enters, and its processes."""
    with tempfile.TemporaryDirectory(prefix="kws-walk-") as folder:
        out = Path(folder) / "report"
        out.touch()
        start = "import sys; sys.path.append(%r); import walks; walks.report_from_here()"
        (Path(folder) / "sitecustomize.py").write_text(start % str(Path(__file__).parent))
        environment = {**os.environ, REPORT: str(out), "PYTHONPATH": f"{folder}:{ROOT}"}
        environment["KWS_WARM"] = "0"  # as where processes cannot fork: one path, and one process
        done = subprocess.run([sys.executable, *arguments], env=environment, cwd=ROOT)
        assert done.returncode in (0, 1), arguments  # 1: not all checks pass
        rows = [line.split(" ", 1) for line in out.read_text().splitlines()]
    files = {what for kind, what in rows if kind == "file"}
    return files, 1 + sum(kind == "process" for kind, _ in rows)


def measurements(run: str, clip: str, hand_ins: str | None) -> Iterator[str]:
    """Lines to print."""
    for house, folders in HOUSES.items():
        yield f"{house}: {lines_of(*folders):,} lines of Python"
    commands = {"a waveform to logits": ["-c", KWS, "predict", clip, "--model", run]}
    commands["kws check 2.1"] = ["-c", KWS, "check", "2.1"]
    if hand_ins is not None:
        with tempfile.TemporaryDirectory(prefix="kws-walk-") as out:
            commands["an answer to points"] = ["-m", "grader", "grade", hand_ins, "--out", out]
    for name, arguments in commands.items():
        files, processes = walk(arguments)
        yield f"{name}: {len(files)} files, {processes} processes"
        yield from (f"    {file}" for file in sorted(files))


if __name__ == "__main__":
    for line in measurements(sys.argv[1], sys.argv[2], (*sys.argv[3:], None)[0]):
        print(line)

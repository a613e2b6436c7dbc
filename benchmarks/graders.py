"""Three graders behind one call: ours, nbgrader and otter-grader, each as its users run it.

    grade({"student000": Work("01_encoder.ipynb", data)}, limit=120) -> {"student000": Grade}

Ours and nbgrader take the whole class in one command, `otter run` takes one submission after
another. A command that takes longer than `limit` seconds is ended, with everything it started.
nbgrader and otter live in virtual environments of their own, which borrow torch from this one.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from grading_task import (
    ENCODER,
    NUMBER,
    POINTS,
    POOL,
    STEM,
    TEST_1,
    TEST_2,
    make_notebook,
    notebook_bytes,
    our_course,
)
from processes import descendants

PACKAGES = {"nbgrader": "nbgrader==0.9.*", "otter": "otter-grader==7.*"}
LARGE = 1_000_000  # bytes of a result that is worth a word


@dataclass(frozen=True)
class Work:
    """What one student hands in: the file's name, and the file."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Grade:
    """What a grader made of it: points (None where there is no grade), and what else to know."""

    score: float | None
    note: str = ""

    def __str__(self) -> str:
        points = "no grade" if self.score is None else f"{self.score:g} of {POINTS}"
        return f"{points}, {self.note}" if self.note else points


class Grader(Protocol):
    """What is compared."""

    name: str

    def grade(self, works: Mapping[str, Work], limit: float) -> dict[str, Grade]:
        """A grade for each student."""
        ...


class Ours:
    """`python -m grader grade`, run in a course that has this one assignment."""

    name = "ours"

    def __init__(self, folder: Path, workers: int):
        self._course, self._folder = our_course(folder / "course"), folder
        self._workers, self._runs = workers, 0

    def grade(self, works: Mapping[str, Work], limit: float) -> dict[str, Grade]:
        """One command for all."""
        self._runs += 1
        inbox, out = (self._folder / f"{part}{self._runs}" for part in ("in", "out"))
        for student, work in works.items():
            _write(inbox / student / work.name, work.data)
        command = [sys.executable, "-m", "grader", "grade", str(inbox), "--out", str(out)]
        command += ["--workers", str(self._workers), "--assignment", NUMBER]
        run(command, self._course, limit)
        return read_gradebook(out / "gradebook.csv", works)


class NbGrader:
    """`nbgrader autograde`, after `generate_assignment` and before `export`."""

    name = "nbgrader"

    def __init__(self, folder: Path, environment: Path):
        self._course, self._environment = folder / "course", environment
        source = make_notebook(ENCODER.format(extra=""), POOL, "", source=True)
        _write(self._course / "source" / "encoder" / f"{STEM}.ipynb", notebook_bytes(source))
        config = 'c = get_config()\nc.CourseDirectory.course_id = "benchmark"\n'
        _write(self._course / "nbgrader_config.py", config.encode())
        self._nbgrader("generate_assignment", "encoder", limit=300)

    def _nbgrader(self, *arguments: str, limit: float) -> bool:
        python = str(self._environment / "bin" / "python")
        return run([python, "-m", "nbgrader", *arguments], self._course, limit, self._environment)

    def grade(self, works: Mapping[str, Work], limit: float) -> dict[str, Grade]:
        """One command for all; grades are then exported."""
        for part in ("submitted", "autograded"):
            shutil.rmtree(self._course / part, ignore_errors=True)
        for student, work in works.items():
            _write(self._course / "submitted" / student / "encoder" / work.name, work.data)
        ended = self._nbgrader("autograde", "encoder", limit=limit)
        self._nbgrader("export", "--to", "grades.csv", limit=300)
        done = {path.parts[-3] for path in self._course.glob("autograded/*/encoder/*.ipynb")}
        return read_nbgrader(
            self._course / "grades.csv", works, done, "" if ended else _hangs(limit)
        )


class Otter:
    """`otter run`, once for each submission."""

    name = "otter"

    def __init__(self, folder: Path, environment: Path):
        self._folder, self._environment, self._runs = folder, environment, 0
        for name, test in (("q1", TEST_1), ("q2", TEST_2)):
            _write(folder / "tests" / f"{name}.py", otter_test(name, test).encode())
        arguments = ["generate", "-t", "tests", "-o", "autograder.zip"]
        self._otter(*arguments, "--no-environment", "--no-requirements", limit=300)

    def _otter(self, *arguments: str, limit: float) -> bool:
        python = str(self._environment / "bin" / "python")
        return run([python, "-m", "otter", *arguments], self._folder, limit, self._environment)

    def grade(self, works: Mapping[str, Work], limit: float) -> dict[str, Grade]:
        """One command for each."""
        grades = {}
        for student, work in works.items():
            self._runs += 1
            folder = self._folder / f"run{self._runs}"
            _write(folder / "in" / work.name, work.data)
            (folder / "out").mkdir()
            where = ["-o", str(folder / "out"), str(folder / "in" / work.name)]
            arguments = ["run", "--no-logo", "-a", "autograder.zip", *where]
            ended = self._otter(*arguments, limit=limit)
            note = "" if ended else _hangs(limit)
            grades[student] = read_otter(folder / "out" / "results.json", note)
        return grades


# Reading what they wrote


def read_gradebook(path: Path, students: Mapping[str, object]) -> dict[str, Grade]:
    """Our gradebook."""
    rows = read_rows(path, "student")
    return {
        student: Grade(
            float(rows[student]["score"]),
            {"graded": "", "graded with repairs": "repaired"}.get(
                rows[student]["verdict"], rows[student]["verdict"]
            ),
        )
        if student in rows
        else Grade(None)
        for student in students
    }


def read_nbgrader(
    path: Path, students: Mapping[str, object], done: set[str], note: str = ""
) -> dict[str, Grade]:
    """The exported table; `done` are those of whom an autograded notebook was written."""
    rows = read_rows(path, "student_id")
    grades = {}
    for student in students:
        if student in rows and student in done:
            grades[student] = Grade(float(rows[student]["score"]), note)
        elif student in rows and rows[student]["score"]:
            grades[student] = Grade(float(rows[student]["score"]), note or "notebook dropped")
        else:
            grades[student] = Grade(None, note)
    return grades


def read_otter(path: Path, note: str = "") -> Grade:
    """A result file, if there is one."""
    if not path.is_file():
        return Grade(None, note or "no result file")
    size = path.stat().st_size
    tests = json.loads(path.read_text(encoding="utf-8"))["tests"]
    large = f"a result file of {size / 1e6:.0f} MB" if size > LARGE else ""
    return Grade(sum(float(test.get("score") or 0) for test in tests), note or large)


def read_rows(path: Path, key: str) -> dict[str, dict[str, str]]:
    """A CSV file's rows by one of its columns; none if there is no file."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def _hangs(limit: float) -> str:
    return f"stopped after {limit:.0f} s"


# Running and installing


def otter_test(name: str, test: str) -> str:
    """A test file as otter reads it: a doctest, one point, hidden."""
    code = "".join(f">>> {line}\n" for line in test.splitlines())
    case = {"code": code, "hidden": True, "locked": False}
    suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
    return f"OK_FORMAT = True\n\ntest = { ({'name': name, 'points': 1, 'suites': [suite]})!r}\n"


def run(
    command: list[str],
    folder: Path,
    limit: float,
    environment: Path | None = None,
    log: Path | None = None,
) -> bool:
    """Run it to its end, whatever the exit code; False if that did not come within `limit` s."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables |= {"OMP_NUM_THREADS": "1"}
    if environment:  # as if it were activated: nbgrader calls programs by their names
        variables["PATH"] = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        variables["VIRTUAL_ENV"] = str(environment)
    with (log or folder / "last.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=output)
    try:
        process.wait(limit)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            for pid in [process.pid, *descendants(process.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def install(folder: Path) -> dict[str, Path]:
    """nbgrader and otter in FOLDER/nbgrader and FOLDER/otter; what is there already is kept."""
    found = {}
    for name, package in PACKAGES.items():
        environment = found[name] = folder.resolve() / name
        python, ready = environment / "bin" / "python", environment / "ready"
        if ready.exists():
            continue
        print(f"installing {package} into {environment}", flush=True)
        started = time.perf_counter()
        venv.create(environment, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, package, "ipykernel"], check=True)
        ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        site = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
        ours = Path(torch.__file__).parents[1]
        (Path(site) / "borrowed.pth").write_text(f"{ours}\n")  # searched last
        subprocess.run([str(python), "-c", "import torch"], check=True)
        ready.touch()
        print(f"  took {time.perf_counter() - started:.0f} s", flush=True)
    return found


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)

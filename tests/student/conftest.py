"""A student's folder with the real notebooks, blank or filled with our answers, to be spoilt."""

import json
import os
import queue
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot  # noqa: F401  (which a fork then has already)
import pytest

from grader import ROOT
from grader.authoring.build import student_cells
from kws.cli import run
from kws.course.notebooks import stem_of
from kws.student import cell_process, visible_checks
from kws.student.cell_process import Kernel
from kws.student.processes import JsonProcess
from kws.student.released import Target, released
from kws.student.visible_checks import plan
from tests.conftest import forked


class Folder:
    """`folder["02"]` is the path of a notebook; cells are edited as text, by number."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "assignments").mkdir()
        for number, original in released().items():
            shutil.copy(original, self[number])

    def __getitem__(self, number: str) -> Path:
        return self.path / "assignments" / f"{stem_of(number)}.ipynb"

    def fill(self, number: str) -> "Folder":
        """Put our answers in."""
        path = self[number]
        table = json.loads(path.read_text(encoding="utf-8"))
        ours = student_cells(ROOT / "solutions" / f"{path.stem}.py")
        for raw, cell in zip(table["cells"], ours, strict=True):
            raw["source"] = cell.source
        path.write_text(json.dumps(table), encoding="utf-8")
        return self

    def source(self, number: str, holds: str) -> tuple[int, str]:
        """The first code cell that holds a text: its number and its source."""
        for count, raw in enumerate(json.loads(self[number].read_text())["cells"], start=1):
            if raw["cell_type"] == "code" and holds in (text := "".join(raw["source"])):
                return count, text
        raise AssertionError(f"no cell contains {holds!r}")

    def edit(self, number: str, old: str, new: str) -> int:
        """Replace a text in the first code cell that holds it. Returns that cell's number."""
        count, text = self.source(number, old)
        table = json.loads(self[number].read_text())
        table["cells"][count - 1]["source"] = text.replace(old, new, 1)
        self[number].write_text(json.dumps(table))
        return count


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Folder:
    """Blank notebooks; commands run here."""
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)


class ForkedProcess(JsonProcess):
    """A process for cells that has torch already, whatever command would start it."""

    def __init__(self, command: Sequence[str], **options: object) -> None:
        (stdin, ours_out), (ours_in, stdout) = os.pipe(), os.pipe()

        def work() -> None:
            os.dup2(stdin, 0)
            os.dup2(stdout, 1)
            sys.stdin = os.fdopen(0, encoding="utf-8")
            cell_process.main()

        child = forked(work)
        for end in (stdin, stdout):
            os.close(end)
        self.process = SimpleNamespace(  # as much of Popen as is used
            stdin=os.fdopen(ours_out, "w", encoding="utf-8"),
            stdout=os.fdopen(ours_in, encoding="utf-8"),
            kill=child.kill,
            wait=lambda: (child.join(), child.exitcode)[1],
        )
        self._lines = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()


@pytest.fixture
def forking(monkeypatch) -> None:
    """Cells run in forks of this process."""
    monkeypatch.setattr(visible_checks, "JsonProcess", ForkedProcess)


@pytest.fixture
def kws(capsys, forking) -> Callable[..., tuple[int, str]]:
    """`kws("check", "2.1")` is its exit code and all that it printed."""

    def command(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = run([str(each) for each in arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return command


def found(path: Path, target: Target) -> dict[str, dict[str, str]]:
    """What `kws check` would find, by check; in this process, which has torch loaded."""
    messages = []
    planned = plan(path, target)
    kernel = Kernel(messages.append, {cell["number"]: cell["name"] for cell in planned})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for cell in planned:
            kernel.run(cell["number"], cell["source"], cell["mode"])
    return {event["check"]: event for event in messages if "check" in event}

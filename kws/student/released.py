"""The released course: assignments, tasks, questions, and the paths of its notebooks.

Released notebooks are stored in `kws/course`, the student's copies in `assignments/` or the
current folder.
"""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kws.course.may_run import names_of
from kws.course.notebooks import NotebookCell, assignment_folders, read_cells, stem_of, task_of
from kws.course.source import as_python, parse
from kws.errors import UsageError, did_you_mean

RELEASED, HINTS = "released.ipynb", "hints.md"  # in an assignment's folder
GOLDENS = "goldens.json"  # read here without loading torch
TARGET = re.compile(r"0?(?P<number>\d{1,2})(?:\.(?P<task>\d{1,2}))?(?P<check>-[\w-]+)?")
HEADING = re.compile(r"#+ (?P<task>\d+\.\d+) (?P<title>.+?)(?: \((?P<points>[\d.]+) points?\))?")
NO_SECTION = ("", 0.0, "")  # title, points and text of a task without a heading
STEP = re.compile(r" *#   (?P<text>\d+\. .+)")
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)  # the answer below a question
QUESTION = re.compile(  # a question, and its answer folded below it
    r"(\*\*(?:Think|Before you go on):\*\*(?:(?!<details>).)*)"
    r"<details><summary>[^<]*</summary>(.*?)</details>",
    re.DOTALL,
)
SET_ASIDE = ".before-reset"  # in the name of a copy that `kws reset` keeps
SAVED = re.compile(r"save_file\(.*[\"']([\w.-]+\.safetensors)[\"']")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a command is about: an assignment, one of its tasks, or one check of that."""

    assignment: str
    task: str | None = None
    check: str | None = None

    def covers(self, check: str) -> bool:
        return self.check in (None, check) and self.task in (None, task_of(check))


@dataclass(frozen=True, kw_only=True)
class ReleasedTask:
    """One task as released: the cell with its TODO, its section, and its visible checks."""

    id: str
    title: str
    points: float
    cells: tuple[NotebookCell, ...]
    section: str
    checks: tuple[NotebookCell, ...]

    @property
    def steps(self) -> list[str]:
        lines = "\n".join(cell.source for cell in self.cells).splitlines()
        return [found["text"] for line in lines if (found := STEP.fullmatch(line))]

    @property
    def thoughts(self) -> list[tuple[str, str]]:
        """The questions in its section, each with the folded answer below it."""
        return [(one.strip(), answer.strip()) for one, answer in QUESTION.findall(self.section)]

    @property
    def hints(self) -> dict[str, str]:
        """The idea in other words, an example, the shapes: by these names."""
        return _hints_of(self.id.partition(".")[0].zfill(2)).get(self.id, {})

    @property
    def questions(self) -> list[str]:
        """The questions of its checks for known mistakes."""
        return list(dict.fromkeys(_questions(self.checks)))


@dataclass(frozen=True, kw_only=True)
class SeveralTargets:
    assignment: str
    targets: tuple[Target, ...]

    def covers(self, check: str) -> bool:
        return any(target.covers(check) for target in self.targets)


@cache
def released() -> dict[str, Path]:
    notebooks = {number: path / RELEASED for number, path in assignment_folders().items()}
    return {number: path for number, path in notebooks.items() if path.is_file()}


@cache
def released_cells(number: str) -> list[NotebookCell]:
    return read_cells(released()[number])


@cache
def tasks_of(number: str) -> dict[str, ReleasedTask]:
    cells = released_cells(number)
    sections = _sections(cells)
    checked = [(cell, {task_of(check) for check in cell.checks}) for cell in cells]
    names = {cell.task for cell in cells if cell.task}.union(*(tasks for _, tasks in checked))
    found: dict[str, ReleasedTask] = {}
    for name in sorted(names, key=lambda task: [int(part) for part in task.split(".")]):
        title, points, section = sections.get(name, NO_SECTION)
        found[name] = ReleasedTask(
            id=name,
            title=title,
            points=points,
            cells=tuple(cell for cell in cells if cell.task == name),
            section=section,
            checks=tuple(cell for cell, tasks in checked if name in tasks),
        )
    return found


@cache
def answers_of(number: str) -> set[str]:
    nodes = [
        node
        for cell in released_cells(number)
        if cell.task
        for node in parse(as_python(cell.source)).body
    ]
    imports = (ast.Import, ast.ImportFrom)
    return {name for node in nodes if not isinstance(node, imports) for name in names_of(node)}


def tasks_before(number: str, tasks: Iterable[str]) -> set[str]:
    """The tasks whose answers these use, directly or not."""
    known = {task_of(check): table.get("after", ()) for check, table in _goldens(number).items()}
    found: set[str] = set()
    ahead = list(tasks)
    while ahead:
        new = [each for each in known.get(ahead.pop(), ()) if each not in found]
        found |= set(new)
        ahead += new
    return found


@cache
def _hints_of(number: str) -> dict[str, dict[str, str]]:
    path = assignment_folders()[number] / HINTS
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found: dict[str, dict[str, str]] = {}
    task = name = ""
    for line in text.splitlines():
        if line.startswith("## "):
            task = line.removeprefix("## ").strip()
            found[task] = {}
        elif line.startswith("### "):
            name = line.removeprefix("### ").strip()
            found[task][name] = ""
        else:
            found[task][name] = f"{found[task][name]}{line}\n"
    return {task: {n: text.strip("\n") for n, text in t.items()} for task, t in found.items()}


@cache
def _goldens(number: str) -> dict[str, Any]:
    """What is known of the trials of an assignment, as JSON; torch stays out."""
    path = assignment_folders()[number] / GOLDENS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def checks_released(number: str) -> list[str]:
    return [check for cell in released_cells(number) for check in cell.checks]


def weights_name(number: str) -> str | None:
    found = SAVED.search("\n".join(cell.source for cell in released_cells(number)))
    return found[1] if found else None


def _sections(cells: list[NotebookCell]) -> dict[str, tuple[str, float, str]]:
    found: dict[str, tuple[str, float, str]] = {}
    current = None
    for cell in cells:
        lines = cell.source.split("\n") if cell.kind == "markdown" else []
        for line in lines:
            if heading := HEADING.fullmatch(line.strip()):
                current = heading["task"]
                found[current] = (heading["title"], float(heading["points"] or 0), "")
            elif current is not None:
                found[current] = (*found[current][:2], f"{found[current][2]}{line}\n")
        if current is not None:
            found[current] = (*found[current][:2], f"{found[current][2]}\n")
    return found


def _questions(cells: tuple[NotebookCell, ...]) -> Iterator[str]:
    for check in (check for cell in cells for check in cell.checks):
        number = int(task_of(check).partition(".")[0])
        known = _goldens(f"{number:02}").get(check, {})
        yield from (mistake["question"] for mistake in known.get("mistakes", ()))


def parse_target(text: str) -> Target:
    """`2`, `02`, `2.1` or `2.1-attend-by-hand`. UsageError if not in the course."""
    found = TARGET.fullmatch(text)
    if not found or (found["check"] and not found["task"]):
        raise UsageError(f"{text!r} is not a task: write 2.1 for a task, or 02 for an assignment")
    number = found["number"].zfill(2)
    if number not in released():
        there = ", ".join(released()) or "none"
        raise UsageError(
            f"this copy of the course has no assignment {number}: choose one of {there}"
        )
    if not found["task"]:
        return Target(assignment=number)
    task = f"{int(number)}.{int(found['task'])}"
    if task not in tasks_of(number):
        there = ", ".join(tasks_of(number))
        raise UsageError(f"no task {task} in assignment {number}: choose one of {there}")
    check = f"{task}{found['check']}" if found["check"] else None
    if check and check not in checks_released(number):
        near = did_you_mean(check, checks_released(number))
        raise UsageError(f"no check {check!r}{near}: write {task} for all checks of the task")
    return Target(assignment=number, task=task, check=check)


def find_notebook(number: str) -> Path:
    """The student's notebook, below `assignments/` or here; UsageError unless there is one."""
    found = notebooks_in().get(number, [])
    name = f"{stem_of(number)}.ipynb"
    if not found:
        raise UsageError(
            f"{name} is neither in assignments/ nor here: go to the folder of the course, or name "
            "it with --notebook"
        )
    if len(found) > 1:
        raise UsageError(
            f"several notebooks for assignment {number} ({', '.join(map(str, found))}): choose one "
            "with --notebook"
        )
    return found[0]


def notebooks_in() -> dict[str, list[Path]]:
    """What may be each assignment's notebook, by number, for those that have any."""
    places = Path("assignments"), Path()
    paths = [path for place in places for path in sorted(place.glob("*.ipynb"))]
    found = {}
    for number in released():
        right = [path for path in paths if path.name == f"{stem_of(number)}.ipynb"]
        like = re.compile(rf"0?{int(number)}(?!\d)")
        near = [p for p in paths if like.match(p.name) and SET_ASIDE not in p.name]
        if right or near:
            found[number] = right or near
    return found

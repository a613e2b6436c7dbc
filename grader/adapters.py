"""The assignments and tasks of the course, and the names that each task asks for.

A hidden check uses `student.attend`; `assignment.toml` in the folder of an assignment says which
task asks for `attend`, which earlier tasks it builds on, and what may not be used to answer it.
"""

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from grader import ROOT
from grader.core.reached import Reached
from grader.core.tables import parse_toml, read_entries, read_entry
from kws.errors import UsageError

COURSE = Path(__file__).parent / "course"
FILE = "assignment.toml"
PLANTED = ("mistake", "alternative", "borrowed")  # sections at the end of the file


@dataclass(frozen=True, kw_only=True)
class Task:
    id: str  # "2.1", as in the notebook's heading
    title: str  # the heading
    names: tuple[str, ...]  # what the notebook defines for it
    # tasks whose definitions this one uses; ours replace a student's that failed
    after: tuple[str, ...] = ()
    # dotted names of torch, torchaudio or kws that answer the task by themselves
    forbidden: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One notebook: `solutions/NN_slug.py`, `assignments/NN_slug.ipynb`, `aNN_slug/` twice."""

    number: str
    slug: str
    title: str
    tasks: tuple[Task, ...]
    # `kws` modules that the students' kit lacks and an answer may not import
    withheld: tuple[str, ...] = ()
    weights: bool = False  # whether trained weights are handed in beside it
    need_weights: tuple[str, ...] = ()  # ids of checks that earn nothing without them
    # ids of checks whose right results are the same for every secret seed
    foreseen: tuple[str, ...] = ()
    reached: Reached | None = None  # what our own answers reached, where an accuracy is graded

    @property
    def stem(self) -> str:
        return f"{self.number}_{self.slug}"

    @property
    def folder(self) -> str:
        return f"a{self.stem}"

    @property
    def forbidden(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for task in self.tasks for name in task.forbidden))

    def task(self, task_id: str) -> Task:
        return next(task for task in self.tasks if task.id == task_id)


def read_assignment(path: Path) -> Assignment:
    """Read the head of an `assignment.toml`, up to the first planted mistake.

    The rest contains parts of our answers and is never read by a process that forks for students'
    code. A key of `[groups]` in `forbidden` is replaced by the names of that group.
    """
    planted = tuple(f"[[{section}]]" for section in PLANTED)
    with path.open(encoding="utf-8") as lines:
        head = "".join(itertools.takewhile(lambda line: not line.startswith(planted), lines))
    table, where = parse_toml(head, path), f"{path.parent.name}/{path.name}"
    groups = table.pop("groups", {})
    rows = [_without_groups(row, groups) for row in table.pop("task", [])]
    number, slug = path.parent.name[1:3], path.parent.name[4:]
    reached = table.pop("reached", None)
    table |= {"number": number, "slug": slug, "tasks": []}
    return replace(
        read_entry(Assignment, table, where),
        tasks=read_entries(Task, rows, f"{where}: task"),
        reached=read_entry(Reached, reached, f"{where}: reached") if reached else None,
    )


def _without_groups(row: Mapping[str, Any], groups: Mapping[str, list[str]]) -> dict[str, Any]:
    names = row.get("forbidden")
    if not isinstance(names, list):
        return dict(row)
    return {**row, "forbidden": [each for name in names for each in groups.get(name, [name])]}


ASSIGNMENTS: Mapping[str, Assignment] = MappingProxyType(
    {
        path.parent.name[1:3]: read_assignment(path)
        for path in sorted(COURSE.glob(f"a[0-9][0-9]_*/{FILE}"))
    }
)


def get_assignment(number: str) -> Assignment:
    """The assignment "02" (or "2"); UsageError lists the existing ones."""
    found = ASSIGNMENTS.get(number.zfill(2))
    if found is None:
        there = ", ".join(ASSIGNMENTS)
        raise UsageError(f"assignment {number!r} does not exist: choose one of {there}")
    return found


VARIABLE = "KWS_GRADER_MISTAKES"


def added_path(number: str) -> Path:
    own = next((ROOT / "grader" / "course").glob(f"a{number}_*"), ROOT / "grader" / "course")
    return Path(os.environ.get(VARIABLE) or own) / f"added_{number}.toml"

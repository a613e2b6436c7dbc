"""The checks of an assignment, read from their markers before any runs.

A check is a test function in `grader/course/aNN_slug/test_checks.py` that carries

    @pytest.mark.check("2.1", points=3, after=("2.1-shape",), concept="section 2.1", timeout=30)

The first line of its docstring is the title, the property that is checked. Its id is the task and
the function's name, "2.1-values" for `test_values`. The inventory is fixed before the first check
runs, so no check can disappear later.
"""

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from grader import ROOT
from grader.adapters import Assignment, added_path
from grader.core.seed import held_out_digest
from kws.errors import UsageError

MARKER = (
    "check(task, *, points, after=(), concept='', timeout=None, retrain=False): one line of the "
    "score card; after: ids of checks without which this one does not run; concept: where to read; "
    "timeout: seconds; retrain: exists under --retrain only"
)


@dataclass(frozen=True, kw_only=True)
class Check:
    assignment: str
    id: str
    task: str
    title: str
    points: float
    # ids of checks of this assignment; where one of them earned nothing, this is not run
    after: tuple[str, ...] = ()
    concept: str = ""
    timeout: float | None = None  # seconds for the student's side of it; None for the usual limit
    retrain: bool = False  # whether it trains, and therefore exists under `--retrain` only


def read_check(
    assignment: Assignment, function: Callable, name: str, args: tuple, options: Mapping[str, Any]
) -> Check:
    """Read the check from the marker of a test; UsageError for a missing argument."""
    try:
        (task,) = args
        unknown = sorted(set(options) - {"points", "after", "concept", "timeout", "retrain"})
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}")
        points = float(options["points"])
        if not 0 < points < float("inf"):
            raise ValueError(f"points={options['points']} is not positive")
        if isinstance(options.get("after", ()), str):
            raise ValueError("after is a tuple of ids")
        title = (inspect.getdoc(function) or "").partition("\n")[0]
        if not title:
            raise ValueError("the docstring is the title: there is none")
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{assignment.stem}: {name}: {error!s}: see {MARKER}") from None
    return Check(
        assignment=assignment.number,
        id=f"{task}-{name.removeprefix('test_').replace('_', '-')}",
        task=task,
        title=title,
        points=points,
        after=tuple(options.get("after", ())),
        concept=options.get("concept", ""),
        timeout=options.get("timeout"),
        retrain=bool(options.get("retrain", False)),
    )


def verify(assignment: Assignment, checks: Sequence[Check]) -> None:
    """UsageError unless tasks have checks, IDs are unique, and `after` names earlier checks."""
    tasks = [task.id for task in assignment.tasks]
    wrong = []
    seen: set[str] = set()
    for check in checks:
        if check.task not in tasks:
            wrong.append(f"{check.id}: there is no task {check.task}")
        if check.id in seen:
            wrong.append(f"{check.id}: two checks have this id")
        wrong += [
            f"{check.id}: {other} is not a check before it"
            for other in check.after
            if other not in seen
        ]
        seen.add(check.id)
    checked = {check.task for check in checks}
    wrong += [f"task {task} has no check" for task in tasks if task not in checked]
    if wrong:
        raise UsageError(f"grader/course/{assignment.folder}/test_checks.py: {'; '.join(wrong)}")


def needed(assignment: Assignment, task_id: str) -> tuple[str, ...]:
    """Ids of the direct and indirect prerequisites of `task_id`, in course order."""
    found: set[str] = set()
    ahead = list(assignment.task(task_id).after)
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += assignment.task(one).after
    return tuple(task.id for task in assignment.tasks if task.id in found)


def checks_digest(assignment: Assignment, *, retrain: bool = False) -> str:
    """SHA-256 of all that determines points: checks, grader, kws, recordings, `retrain`."""
    deciding = f"{assignment!r} {retrain} {_sources_digest(assignment.stem)}"
    deciding += held_out_digest(assignment.stem[:2])
    return hashlib.sha256(deciding.encode()).hexdigest()


ASIDE = {  # of the grader: formatting and transport of points, not their number
    "__main__.py",
    "attacks.py",
    "batch",
    "container",
    "broken_files.py",
    "printing.py",
    "reports",
    "selftest",
}


@lru_cache(maxsize=64)
def _sources_digest(stem: str) -> str:
    digest = hashlib.sha256()
    for path in _deciding(stem):
        inside = path.is_relative_to(ROOT)  # added mistakes may lie elsewhere
        name = path.relative_to(ROOT).as_posix() if inside else path.name
        data = path.read_bytes()
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def _of_another(folder: str, path: Path) -> bool:
    own = re.match(r"a\d\d_", path.parent.name) and path.is_relative_to(ROOT / "grader")
    return bool(own) and path.parent.name != folder


def _deciding(stem: str) -> list[Path]:
    ours = [*(ROOT / "grader").rglob("*.py"), *(ROOT / "kws").rglob("*.py")]
    kept = [
        path
        for path in ours
        if not _of_another(f"a{stem}", path)
        and not ASIDE.intersection(path.relative_to(ROOT).parts)
    ]
    table = ROOT / "grader" / "course" / f"a{stem}" / "assignment.toml"
    beside = [ROOT / "solutions" / f"{stem}.py", table, added_path(stem[:2])]
    return sorted([*kept, *(path for path in beside if path.is_file())])

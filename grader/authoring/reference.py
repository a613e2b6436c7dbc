"""Our own answers: as running code, and as pieces that replace a student's failed task.

They run in our process, whole or with edits; a student's code never does.
"""

import ast
import linecache
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader import ROOT
from grader.adapters import ASSIGNMENTS, Assignment
from grader.authoring.build import read_solution
from grader.authoring.markers import read_percent
from grader.submission.contents import Piece
from kws.course.may_run import names_of
from kws.course.source import statements_of
from kws.course.used_names import reachable
from kws.errors import UsageError

if TYPE_CHECKING:  # it imports torch, without which the command line starts
    from kws.course.trial import Trial

Results = list[tuple[str, Any]]  # (what, value), the last value an exception if one was raised


def solution(number: str) -> Path:
    return ROOT / "solutions" / f"{ASSIGNMENTS[number].stem}.py"


def exported_cells(solution: Path, text: str | None = None) -> list[str]:
    """The graded cells of a solution; `text` replaces the content of the file."""
    text = solution.read_text(encoding="utf-8") if text is None else text
    return [cell.source for cell in read_percent(text) if "export" in cell.tags]


def load_answers(cells: Iterable[str], name: str) -> dict[str, Any]:
    """Run these cells and return what they define; `name` is for tracebacks."""
    names: dict[str, Any] = {"__name__": name}
    for position, source in enumerate(cells):
        where = f"<{name} {position}>"
        linecache.cache[where] = (len(source), None, source.splitlines(keepends=True), where)
        exec(compile(source, where, "exec", dont_inherit=True), names)
    return names


def try_trial(
    trial: "Trial", answers: Mapping[str, Any], seed: int, *, hidden: bool = False
) -> Results:
    """Results of our answers in a trial; an exception is the last result."""
    found: Results = []
    try:
        for what, value in trial.results(answers, seed=seed, hidden=hidden):
            found.append((what, value))
        return trial.measured(found, hidden=hidden)
    except Exception as error:
        kept = [] if trial.measure else found
        return [*kept, ("an exception", error)]


DOOR = "load_"  # how functions begin through which known weights get into a module


@dataclass(frozen=True, kw_only=True, eq=False)
class _Exported:
    task: str | None
    node: ast.stmt
    source: str
    line: int
    names: tuple[str, ...]
    changes: tuple[str, ...] = ()

    @property
    def is_door(self) -> bool:
        return any(name.startswith(DOOR) for name in self.names)


def reference_pieces(assignment: Assignment, task_id: str, root: Path = ROOT) -> tuple[Piece, ...]:
    """What the exported cells of one task define in our solution, in order, and what these need.

    Given functions such as `load_…` come along (a student's may fit the student's module only), the
    answers to other tasks do not.
    """
    path = root / "solutions" / f"{assignment.stem}.py"
    exported = list(_exported(path))
    own = [number for number, each in enumerate(exported) if each.task == task_id]
    if not own:
        raise UsageError(
            f"solutions/{path.name}: no exported cell answers task {task_id}: add its region"
        )
    after = takewhile(lambda each: each.task is None, exported[own[-1] + 1 :])
    wanted = [*(exported[number] for number in own), *(each for each in after if each.is_door)]
    given = [each for each in exported if each.task is None and not each.is_door]
    candidates = [each for each in exported if each in wanted or each in given]
    needed, _ = reachable(candidates, {name for each in wanted for name in each.names})
    found = [*wanted, *(candidates[number] for number in needed)]
    return tuple(
        Piece(source=each.source, where=path.name, line=each.line, names=each.names)
        for each in exported
        if each in found or isinstance(each.node, ast.Import | ast.ImportFrom)
    )


def _exported(path: Path) -> Iterator[_Exported]:
    for cell in read_solution(path):
        if "export" in cell.tags:
            for each in statements_of(ast.parse(cell.source), cell.source, cell.line - 1):
                if names := tuple(names_of(each.node)):
                    yield _Exported(
                        task=cell.task,
                        node=each.node,
                        source=each.source,
                        line=each.line,
                        names=names,
                    )

"""Our own answers, cut out of a solution: what stands in where a student's earlier task failed."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

from grader import ROOT
from grader.adapters import ASSIGNMENTS, Assignment
from grader.authoring.build import read_solution
from grader.authoring.written_questions import written_questions
from grader.core.fingerprints import code_grams, text_grams
from grader.submission.contents import Piece
from kws.course.magics import statements_of
from kws.course.may_run import names_of
from kws.course.used_names import reachable
from kws.errors import UsageError

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


@cache
def reference_prints(number: str, root: Path = ROOT) -> frozenset[int]:
    """Hashes of every run of tokens in our solution, the code given in it, and its questions."""
    path = root / "solutions" / f"{ASSIGNMENTS[number].stem}.py"
    grams = code_grams(path.read_text(encoding="utf-8"))
    for question in written_questions(number, root):
        grams += text_grams(question.prompt) + text_grams(question.answer)
    return frozenset(name for part in grams for name, _, _ in part)


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

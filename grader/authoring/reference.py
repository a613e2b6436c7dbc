"""Our own answers, cut out of a solution: what stands in where a student's earlier task failed."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grader import ROOT
from grader.adapters import ASSIGNMENTS, Assignment
from grader.authoring.build import read_solution
from grader.authoring.written_questions import written_questions
from grader.core.fingerprints import code_grams, text_grams
from grader.submission.contents import Piece
from kws.errors import UsageError

DOOR = "load_"  # how functions begin through which known weights get into a module


@dataclass(frozen=True, kw_only=True)
class _Exported:
    task: str | None
    node: ast.stmt
    piece: Piece


def reference_pieces(assignment: Assignment, task_id: str, root: Path = ROOT) -> tuple[Piece, ...]:
    """What the exported cells of one task define in our solution, in order, and what these need.

    Given functions such as `load_…` come along (a student's may fit the student's module only), the
    answers to other tasks do not.
    """
    path = root / "solutions" / f"{assignment.stem}.py"
    exported = list(_exported(path))
    wanted = {number for number, each in enumerate(exported) if each.task == task_id}
    if not wanted:
        raise UsageError(
            f"solutions/{path.name}: no exported cell answers task {task_id}: add its region"
        )
    wanted |= set(_doors(exported, max(wanted)))
    given = {
        name: number
        for number, each in enumerate(exported)
        if each.task is None
        for name in each.piece.names
        if not name.startswith(DOOR)  # those of other tasks are the student's
    }
    ahead = sorted(wanted)
    while ahead:
        used = _names_in(exported[ahead.pop()].node)
        new = {given[name] for name in used if name in given} - wanted
        wanted |= new
        ahead += sorted(new)
    for number, each in enumerate(exported):
        if isinstance(each.node, ast.Import | ast.ImportFrom):
            wanted.add(number)
    return tuple(exported[number].piece for number in sorted(wanted))


@cache
def reference_prints(number: str, root: Path = ROOT) -> frozenset[int]:
    """Hashes of every run of tokens in our solution, the code given in it, and its questions."""
    path = root / "solutions" / f"{ASSIGNMENTS[number].stem}.py"
    grams = code_grams(path.read_text(encoding="utf-8"))
    for question in written_questions(number, root):
        grams += text_grams(question.prompt) + text_grams(question.answer)
    return frozenset(name for part in grams for name, _, _ in part)


def _doors(exported: list[_Exported], answer: int) -> Iterator[int]:
    """Where `load_…` functions are given, between an answer and the next one."""
    for number in range(answer + 1, len(exported)):
        if exported[number].task is not None:
            return
        if any(name.startswith(DOOR) for name in exported[number].piece.names):
            yield number


def _exported(path: Path) -> Iterator[_Exported]:
    for cell in read_solution(path):
        if "export" not in cell.tags:
            continue
        lines = cell.source.splitlines()
        for node in ast.parse(cell.source).body:
            names = _defined_by(node)
            if not names:
                continue
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            piece = Piece(
                source="\n".join(lines[first - 1 : node.end_lineno]),
                where=path.name,
                line=cell.line + first - 1,
                names=names,
            )
            yield _Exported(task=cell.task, node=node, piece=piece)


def _defined_by(node: ast.stmt) -> tuple[str, ...]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return (node.name,)
    if isinstance(node, ast.Import | ast.ImportFrom):
        return tuple(alias.asname or alias.name.partition(".")[0] for alias in node.names)
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return ()
    return tuple(
        name.id
        for target in targets
        if target is not None
        for name in ast.walk(target)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    )


def _names_in(node: ast.stmt) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}

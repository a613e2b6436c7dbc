"""Mistakes that a class made and nobody had planted: `python -m grader mistake add` keeps them.

added_NN.json beside this file, or in the folder that KWS_GRADER_MISTAKES names, is a list of

    {"task": "2.4", "name": …, "question": …, "code": [line, …]}

`code` holds the definitions that the task asks for, as they were handed in but for their comments.
They take the place of ours: so an added mistake is a planted one, with the same fate.
"""

import ast
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from grader.core.additions import added_path
from grader.course.mistakes.mistake import Edit, Mistake
from kws.errors import UsageError
from kws.files import write_text


@dataclass(frozen=True, kw_only=True)
class AddedMistake:
    """One entry of the file."""

    task: str
    name: str
    question: str
    code: tuple[str, ...]


def added_mistakes(number: str) -> list[AddedMistake]:
    """All of an assignment, in the order of adding. UsageError for a damaged file."""
    path = added_path(number)
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [AddedMistake(**{**row, "code": tuple(row["code"])}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} cannot be read ({error}): mend it, or remove it") from None


def add_mistake(number: str, mistake: AddedMistake) -> Path:
    """Append one, whole or not at all; the file."""
    rows = [asdict(one) for one in [*added_mistakes(number), mistake]]
    path = added_path(number)
    write_text(path, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return path


@cache
def as_planted(added: AddedMistake, solution: Path) -> Mistake:
    """The edits of our solution that make it this mistake."""
    (old, new), *also = edits_of("\n".join(added.code), solution, added.name)
    return Mistake(
        task=added.task,
        name=added.name,
        question=added.question,
        replace=old,
        by=new,
        also=tuple(also),
    )


def edits_of(code: str, solution: Path, name: str) -> list[Edit]:
    """Our definitions of the names that `code` defines, the first become `code`, the others empty.

    UsageError where the solution defines none of them at its top, or `code` is no Python.
    """
    text = solution.read_text(encoding="utf-8")
    try:
        names = set(defined(ast.parse(code).body))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise UsageError(f"the mistake {name!r} is not valid Python: {error}") from None
    lines = text.splitlines(keepends=True)
    ours = [node for node in ast.parse(text).body if names & set(defined([node]))]
    found = ["".join(lines[_first(node) - 1 : node.end_lineno]) for node in ours]
    if not found:
        raise UsageError(f"the mistake {name!r} defines nothing that {solution.name} defines")
    return [(old, f"{code}\n" if n == 0 else "\n") for n, old in enumerate(found)]


def defined(body: Sequence[ast.stmt]) -> list[str]:
    """The functions and classes among these statements."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in body if isinstance(node, kinds)]


def _first(node: ast.stmt) -> int:
    """The line on which a definition begins, its decorators included."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])

"""New mistakes of a class, added by `python -m grader mistake add`.

added_NN.toml, in the assignment's folder or in the one that KWS_GRADER_MISTAKES names, has a table
`[[mistake]]` for each: task, name, question, and `code`, the submitted definitions without
comments. They replace ours, as edits of a planted mistake do.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grader.adapters import added_path
from grader.core.tables import parse_toml, read_entries
from grader.course.mistakes.mistake import Edit, Mistake
from kws.errors import UsageError
from kws.files import write_text
from kws.settings import as_toml


@dataclass(frozen=True, kw_only=True)
class AddedMistake:
    task: str
    name: str
    question: str
    code: str


def added_mistakes(number: str) -> list[AddedMistake]:
    """The added mistakes of an assignment, in order; UsageError for a damaged file."""
    path = added_path(number)
    if not path.exists():
        return []
    rows = parse_toml(path.read_text(encoding="utf-8"), path).get("mistake", [])
    return [*read_entries(AddedMistake, rows, f"{path}: mistake")]


def add_mistake(number: str, mistake: AddedMistake) -> Path:
    path = added_path(number)
    known = path.read_text(encoding="utf-8") if added_mistakes(number) else ""
    block = as_toml(mistake.code) if "'''" in mistake.code else f"'''\n{mistake.code}\n'''"
    lines = [f"{key} = {as_toml(getattr(mistake, key))}" for key in ("task", "name", "question")]
    write_text(path, "\n".join([f"{known}[[mistake]]", *lines, f"code = {block}", "", ""]))
    return path


@cache
def as_planted(added: AddedMistake, solution: Path) -> Mistake:
    first, *also = edits_of(added.code, solution, added.name)
    return Mistake(
        task=added.task,
        name=added.name,
        question=added.question,
        find=first.find,
        put=first.put,
        also=tuple(also),
    )


def edits_of(code: str, solution: Path, name: str) -> list[Edit]:
    """Edits that replace our definitions of the same names with `code`."""
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
    return [Edit(old, f"{code.rstrip()}\n" if n == 0 else "\n") for n, old in enumerate(found)]


def defined(body: Sequence[ast.stmt]) -> list[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in body if isinstance(node, kinds)]


def _first(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])

"""Which statements of a submission run: definitions, and of several of one name the best.

What is not harmless (see `harmless`) is left out without a word, with one exception: an assignment
that an answer needs, as in `TABLE = make_table(80)`.
"""

import ast
import builtins
import dataclasses
import symtable
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from grader.salvage.code import Statement
from grader.salvage.harmless import (
    Definition,
    answered,
    calls_only_pure,
    is_harmless,
    is_todo,
    names_of,
)
from grader.submission import Piece

BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, kw_only=True)
class Found:
    """A statement of the submission, where it stands, and what it defines.

    Attributes:
        prose: it stands in a cell that is not marked as code.
        runs: it is of the harmless kinds.
    """

    statement: Statement
    where: str
    prose: bool
    names: tuple[str, ...]
    runs: bool


@dataclass(kw_only=True)
class Choice:
    """The pieces that run, in order, and what the student is told about those that do not."""

    pieces: list[Piece] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def examine(statements: Iterable[Statement], where: str, prose: bool = False) -> list[Found]:
    """What each statement of one cell defines, and whether it may run."""
    return [
        Found(
            statement=each,
            where=where,
            prose=prose,
            names=tuple(dict.fromkeys(names_of(each.node))),
            runs=is_harmless(each.node),
        )
        for each in statements
    ]


def choose(found: Sequence[Found], wanted: Collection[str]) -> Choice:
    """The pieces of a submission of an assignment that asks for the `wanted` names."""
    found = _plain_data_classes(found)
    choice = Choice()
    losers: set[int] = set()
    alone: dict[str, list[int]] = {}  # name -> the statements that define it and nothing else
    for n, each in enumerate(found):
        if len(each.names) == 1 and each.runs:
            alone.setdefault(each.names[0], []).append(n)
    for name, defining in sorted(alone.items()):
        rivals = [n for n in defining if _weighs(found[n], name, wanted)]
        if len(rivals) < 2 or any(_builds_on(found[n].statement.node, name) for n in rivals):
            continue
        best = max(rivals, key=lambda n: _merit(found[n], n))
        losers |= set(rivals) - {best}
        places = [_place(found[n]) for n in rivals]
        choice.notes.append(
            f"`{name}` is defined {len(rivals)} times, in {_listed(places)}: "
            f"the one in {_place(found[best])} counts"
        )
    kept = [n for n, each in enumerate(found) if each.runs and n not in losers]
    kept = sorted({*kept, *_needed(found, kept, wanted)})
    postponed = False  # annotations: a statement of its own in a notebook, a flag for all after it
    for n in kept:
        each = found[n]
        if isinstance(each.statement.node, ast.ImportFrom) and (
            each.statement.node.module == "__future__"
        ):
            postponed = True
            continue
        source, line = each.statement.source, each.statement.line
        if postponed and isinstance(each.statement.node, (*Definition, ast.AnnAssign)):
            source, line = f"from __future__ import annotations\n{source}", line - 1
        choice.pieces.append(Piece(source=source, where=each.where, line=line, names=each.names))
    return choice


def _merit(found: Found, position: int) -> tuple[tuple[int, int], bool, int]:
    """An answer before a TODO, a cell of code before one of prose, the last before the first."""
    return answered(found.statement.node), not found.prose, position


def _builds_on(node: ast.stmt, name: str) -> bool:
    """Does defining `name` here take what `name` was before, as in `class Layer(Layer)`?"""
    if name == "_":
        return True  # several functions registered with one dispatcher
    if isinstance(node, ast.ClassDef):
        first = [*node.decorator_list, *node.bases]
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        first = [*node.decorator_list, node.args]
    else:
        first = [node]
    used = {
        n.id
        for part in first
        for n in ast.walk(part)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    return name in used or "overload" in used


def _place(found: Found) -> str:
    return f"{found.where}, line {found.statement.line}"


def _listed(places: Sequence[str]) -> str:
    return f"{'; '.join(places[:-1])} and {places[-1]}"


def _weighs(found: Found, name: str, wanted: Collection[str]) -> bool:
    """Functions and classes have rivals; a constant only if it is asked for."""
    node = found.statement.node
    if isinstance(node, Definition):
        return True
    return name in wanted and isinstance(node, ast.Assign | ast.AnnAssign)


def holds_todo(found: Found) -> bool:
    """Whether a TODO is left anywhere in it."""
    return any(map(is_todo, ast.walk(found.statement.node)))


def _plain_data_classes(found: Sequence[Found]) -> list[Found]:
    """`CONFIG = Config(80)` runs too where the submission's Config holds values and no more."""
    classes = {
        each.statement.node.name
        for each in found
        if isinstance(each.statement.node, ast.ClassDef)
        and any("dataclass" in ast.dump(d) for d in each.statement.node.decorator_list)
    }
    changed = []
    for each in found:
        node = each.statement.node
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if (
            not each.runs
            and isinstance(value, ast.Call)
            and isinstance(value.func, ast.Name)
            and value.func.id in classes
            and all(map(calls_only_pure, [*value.args, *(k.value for k in value.keywords)]))
        ):
            changed.append(dataclasses.replace(each, runs=True))
        else:
            changed.append(each)
    return changed


def _needed(found: Sequence[Found], kept: Iterable[int], wanted: Collection[str]) -> set[int]:
    """Assignments left out so far without which an answer fails, and what these need in turn."""
    defining: dict[str, list[int]] = {}
    for n in kept:
        for name in found[n].names:
            defining.setdefault(name, []).append(n)
    spare = {
        name: n
        for n, each in enumerate(found)
        if not each.runs and isinstance(each.statement.node, ast.Assign | ast.AnnAssign)
        for name in each.names
        if name not in defining
    }
    needed: set[int] = set()
    seen: set[str] = set()
    looked: set[int] = set()
    ahead = sorted(wanted)
    while ahead:
        name = ahead.pop()
        if name in seen or name in BUILTINS:
            continue
        seen.add(name)
        users = defining.get(name, [])
        if name in spare:
            needed.add(spare[name])
            users = [spare[name]]
        for n in users:
            if n not in looked:
                looked.add(n)
                ahead += sorted(_used(found[n].statement.source))
    return needed


def _used(source: str) -> set[str]:
    """The names that a statement takes from the namespace around it; its own variables are none."""
    try:
        tables = [symtable.symtable(source, "answer", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    used = set()
    while tables:
        table = tables.pop()
        outermost = table.get_type() == "module"
        used |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (outermost or symbol.is_global())
        }
        tables += table.get_children()
    return used

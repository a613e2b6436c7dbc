"""Select the statements of a submission that run: definitions, the best for each name.

Statements with side effects (see `kws.course.may_run`) are left out silently, unless an answer
needs their result. One that changes a thing an answer uses is reported if left out.
"""

import ast
import copy
import dataclasses
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from grader.submission.contents import Piece
from kws.course.may_run import (
    BLOCKS,
    Definition,
    changes_of,
    is_check,
    is_harmless,
    names_of,
    set_by,
    trains,
    used_names,
)
from kws.course.source import BUILTINS, Statement, decide, describe, is_given
from kws.course.used_names import reachable

IMPORTS = (ast.Import, ast.ImportFrom)
COSTLY = ("IPython", "kws.data", "kws.plots", "matplotlib")
DEFINES = re.compile(r"(?:async[ \t]+)?(?:def|class)[ \t]+(?P<name>[^\W\d]\w*)")


@dataclass(frozen=True, kw_only=True)
class FoundStatement:
    """A statement of the submission, its place, and what it defines."""

    statement: Statement
    where: str
    prose: bool  # it is in a cell that is not marked as code
    names: tuple[str, ...]
    runs: bool  # it is of the harmless kinds
    changes: tuple[str, ...] = ()  # names whose values it changes in place

    @property
    def node(self) -> ast.stmt:
        return self.statement.node

    @property
    def source(self) -> str:
        return self.statement.source


@dataclass(kw_only=True)
class Selection:
    """The pieces that run, in order, and messages on those that do not."""

    pieces: list[Piece] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def examine(
    statements: Iterable[Statement], where: str, prose: bool = False
) -> list[FoundStatement]:
    """What each statement of one cell defines, and whether it may run."""
    return [
        FoundStatement(
            statement=each,
            where=where,
            prose=prose,
            names=tuple(dict.fromkeys(names_of(each.node))),
            runs=is_harmless(each.node),
            changes=tuple(dict.fromkeys((*changes_of(each.node), *each.drawn))),
        )
        for each in statements
    ]


def unreadable(text: str, where: str, line: int = 1) -> list[Piece]:
    """Functions and classes that begin in a text in which Python reads none, for messages."""
    lines = text.split("\n")
    begins = [n for n, each in enumerate(lines) if each[:1].strip() and each[:1] not in "#)]}"]
    pieces = []
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        if found := DEFINES.match(lines[begin]):
            source = "\n".join(lines[begin:end]).rstrip()
            names = (found["name"],)
            pieces.append(Piece(source=source, where=where, line=line + begin, names=names))
    return pieces


def select_pieces(
    found: Sequence[FoundStatement], wanted: Collection[str], lost: Sequence[Piece] = ()
) -> Selection:
    """The pieces of an answer to `wanted` names; of `lost`, which never run, what none defines."""
    found = _wrapped(found)
    runs = [n for n, each in enumerate(found) if each.runs]
    decision = decide(
        [found[n].node for n in runs],
        wanted,
        [at for at, n in enumerate(runs) if found[n].prose],
    )
    losers = {runs[at] for at in decision.losers}
    rivals = [
        describe(name, [_place(found[runs[at]]) for at in there], _place(found[runs[best]]))
        for name, (there, best) in decision.winners.items()
    ]
    kept = {n for n, each in enumerate(found) if each.runs and n not in losers}
    changing, outdated = _changing(found, kept, losers)
    answers = {each.where for each in found if not each.prose and set(each.names) & set(wanted)}
    cheap = set(BUILTINS)
    for n, each in enumerate(found):
        if n in kept or isinstance(each.node, ast.Assign | ast.AnnAssign):
            cheap |= set(each.names) if _is_cheap(each, cheap) else set()
    needs_data = {n for n in changing if not found[n].runs and not _needs_only(found[n], cheap)}
    trainings = {n for n in changing if trains(found[n].node) and found[n].where not in answers}
    changing -= needs_data | trainings
    plain = {n for n in kept if found[n].names}
    needed, reached = _needed(found, plain, changing, wanted)
    plain = {n for n in plain | needed if not _clobbers(found[n], decision.callables)}
    owned = {
        name for n in plain if not isinstance(found[n].node, IMPORTS) for name in found[n].names
    }
    owned |= {name for n in changing for name in set_by(found[n].node)}
    changing = {n for n in changing if _may_change(found[n], owned, reached, cheap)}
    # Report only what an answer uses: plots and prints are left out silently.
    notes = []
    for n, each in enumerate(found):
        if each.names or n in changing or n in outdated:
            continue
        missed = [name for name in each.changes if name in owned and name in reached]
        if missed:
            notes.append(
                f"{each.where}, line {each.statement.line} was left out, and what it does to "
                f"`{missed[0]}` with it: it sets the name of a function, or changes what is not "
                "yours"
            )
    selection = Selection(notes=[*rivals, *notes])
    postponed = False  # annotations: a statement of its own in a notebook, a flag for all after it
    for n in sorted(plain | changing):
        each = found[n]
        if isinstance(each.node, ast.ImportFrom) and (each.node.module == "__future__"):
            postponed = True
            continue
        source, line = _without(each, decision.callables), each.statement.line
        if postponed and isinstance(each.node, (*Definition, ast.AnnAssign)):
            source, line = f"from __future__ import annotations\n{source}", line - 1
        changes = tuple(name for name in each.changes if name not in each.names)
        names = (*each.names, *changes)
        piece = Piece(source=source, where=each.where, line=line, names=names, changes=changes)
        selection.pieces.append(piece)
    defined = {name for piece in selection.pieces for name in piece.names}
    last = {piece.names: piece for piece in lost if defined.isdisjoint(piece.names)}
    selection.pieces += last.values()
    return selection


def _changing(
    found: Sequence[FoundStatement], kept: Collection[int], losers: Collection[int]
) -> tuple[set[int], set[int]]:
    """Statements that change something and may; then those that change what is replaced."""
    functions = {
        name for n in kept if isinstance(found[n].node, Definition) for name in found[n].names
    }
    latest: dict[str, int] = {}
    changing, outdated = set(), set()
    for n, each in enumerate(found):
        if each.names:
            if each.runs:
                latest.update(dict.fromkeys(each.names, n))
        elif is_check(each.node) or any(latest.get(name) in losers for name in each.changes):
            outdated.add(n)
        elif each.changes and functions.isdisjoint(set_by(each.node)):
            changing.add(n)
    return changing, outdated


def _is_cheap(found: FoundStatement, cheap: Collection[str]) -> bool:
    """Whether what it defines needs no data and draws no figure."""
    if isinstance(found.node, IMPORTS):
        module = getattr(found.node, "module", None) or found.node.names[0].name
        return not module.startswith(COSTLY)
    return found.runs or _needs_only(found, cheap)


def _needs_only(found: FoundStatement, known: Collection[str]) -> bool:
    """Whether the names that a statement uses need no training or data."""
    return used_names(found.source) <= {*known, *set_by(found.node)}


def _may_change(
    found: FoundStatement, owned: set[str], reached: Collection[str], cheap: set[str]
) -> bool:
    """Whether it changes what the submission defines or patches what it imports, for an answer."""
    changes = set(found.changes)
    if not changes <= owned | cheap:
        return False
    if found.runs and not isinstance(found.node, BLOCKS) and not changes.isdisjoint(owned):
        return True
    changes = changes if found.runs else changes & owned  # `torch.Tensor.plus = plus`
    return not changes.isdisjoint(reached)


def _clobbers(found: FoundStatement, callables: Collection[str]) -> bool:
    """`frame += 1`, where `frame` is a function."""
    augmented = isinstance(found.node, ast.AugAssign)
    return augmented and any(name in callables for name in found.names)


def _without(found: FoundStatement, callables: Collection[str]) -> str:
    """The source; of `frame, hop = 400, 160`, where `frame` is a function, without that name."""
    node = found.node
    if not isinstance(node, ast.Assign) or len(found.names) < 2:
        return found.source
    if not any(name in callables for name in found.names):
        return found.source
    try:
        node = copy.deepcopy(node)
        for target in node.targets:
            for inner in ast.walk(target):
                if isinstance(inner, ast.Name) and inner.id in callables:
                    inner.id = "_" if isinstance(inner.ctx, ast.Store) else inner.id
        return ast.unparse(node)
    except (RecursionError, ValueError):  # too deep; a number of very many digits
        return found.source


def _place(found: FoundStatement) -> str:
    return f"{found.where}, line {found.statement.line}"


def _wrapped(found: Sequence[FoundStatement]) -> list[FoundStatement]:
    """`attend = logged(attend)` runs, where `attend` is a function."""
    own = {each.names[0] for each in found if isinstance(each.node, Definition)}
    return [
        dataclasses.replace(
            each,
            runs=each.runs or any(name in own and is_given(each.node, name) for name in each.names),
        )
        for each in found
    ]


def _needed(
    found: Sequence[FoundStatement],
    kept: Collection[int],
    changing: Collection[int],
    wanted: Collection[str],
) -> tuple[set[int], set[str]]:
    """Left-out assignments that the answers need, then all names that these use."""
    defined = {name for n in kept for name in found[n].names} | BUILTINS
    # Calls such as `TABLE = make_table(80)` are not run on their own, as most of them train or
    # download; they are if nothing else defines the name.
    spare = {
        n: dataclasses.replace(
            each, names=tuple(name for name in each.names if name not in defined)
        )
        for n, each in enumerate(found)
        if not each.runs and each.names
    }
    considered = sorted({*kept, *changing, *spare})
    reached, names = reachable([spare.get(n, found[n]) for n in considered], wanted)
    return spare.keys() & {considered[at] for at in reached}, names

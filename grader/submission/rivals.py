"""Of several definitions of one name the one that counts, as a notebook means it.

The last one does, as in Jupyter, with three exceptions. An answer beats a TODO. What can be called
beats a value: `frame = waves[:1]` below `def frame` is scratch work under an unlucky name. And a
definition that something took hold of before the next one came, as in `Layer.forward = forward`,
stays beside it.
"""

import ast
import bisect
import builtins
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from grader.submission.statements import Statement
from grader.submission.todos import answered, filled_in
from kws.student.may_run import Definition, root_of, sets_attribute

BUILTINS = frozenset(dir(builtins))
FACTORIES = {"attrgetter", "itemgetter", "methodcaller", "namedtuple", "NewType", "partial"}
MOST_ALIASES = 9  # in a chain of a = b, b = c, …
Assignment = (ast.Assign, ast.AnnAssign)


@dataclass(frozen=True, kw_only=True)
class FoundStatement:
    """A statement of the submission, where it stands, and what it defines.

    Attributes:
        prose: it stands in a cell that is not marked as code.
        runs: it is of the harmless kinds.
        changes: names whose values it changes in place.
    """

    statement: Statement
    where: str
    prose: bool
    names: tuple[str, ...]
    runs: bool
    changes: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Decision:
    """The numbers of the statements that do not count, and what is told of them."""

    losers: set[int] = field(default_factory=set)
    callables: set[str] = field(default_factory=set)  # names that are to stand for what is called
    notes: list[str] = field(default_factory=list)


def decide(found: Sequence[FoundStatement], wanted: Collection[str]) -> Decision:
    """Which statements that define the same name as another do not run."""
    index = _Index(found, wanted)
    decision = Decision()
    for name, alone in sorted(index.alone.items()):
        # A value under a name that is neither asked for nor called competes with nothing.
        rivals = [n for n in alone if index.weighs(n, name)]
        to_call = [n for n in rivals if index.is_callable(n)]
        # What a decorator of their own keeps, or an import, is a rival of scratch work alone.
        if rivals and not to_call and (beside := [n for n in alone if index.is_callable(n)]):
            rivals, to_call = sorted([beside[-1], *rivals]), beside[-1:]
        if to_call and (name in wanted or name in index.called):
            decision.callables.add(name)
        first = to_call or rivals
        # `class Layer(Layer)` or an overload needs the one before it: all of them run, in order.
        if len(rivals) < 2 or any(_builds_on(found[n].statement.node, name) for n in first):
            continue
        filled = set().union(*(filled_in(found[n].statement.node) for n in rivals))

        def merit(n: int, filled: set[str] = filled) -> tuple[bool, tuple[int, int], bool, int]:
            each = found[n]
            answer = answered(each.statement.node, filled, index.replaced.get(n, ()))
            return index.is_callable(n), answer, not each.prose, n

        # A TODO below an answer, as a re-run template leaves one, must not hide the answer.
        best = max(rivals, key=merit)
        ends = [*rivals[1:], len(found)]
        kept = {n for n, end in zip(rivals, ends, strict=True) if n < best and index.held(n, end)}
        losers = set(rivals) - {best} - kept
        decision.losers |= losers
        if losers:
            places = "; ".join(_place(found[n]) for n in rivals[:-1])
            decision.notes.append(
                f"`{name}` is defined {len(rivals)} times, in {places} and "
                f"{_place(found[rivals[-1]])}: the one in {_place(found[best])} counts"
            )
    return decision


class _Index:
    """Which statements define, use and call each name."""

    def __init__(self, found: Sequence[FoundStatement], wanted: Collection[str]):
        self.found, self.wanted = found, wanted
        self.alone: dict[str, list[int]] = {}  # name -> running statements that define it alone
        self.all: dict[str, list[int]] = {}  # name -> statements that define it
        self.users: dict[str, list[int]] = {}  # name -> running statements that use it at once
        self.replaced: dict[int, set[str]] = {}  # class -> its methods that another statement sets
        self.called: set[str] = set()  # names that functions and classes call
        self.stars = False
        self._callable: dict[int, bool] = {}
        for n, each in enumerate(found):
            node = each.statement.node
            for name, attribute in sets_attribute(node):
                if each.runs and name in self.all:
                    self.replaced.setdefault(self.all[name][-1], set()).add(attribute)
            for name in each.names:
                self.all.setdefault(name, []).append(n)
            self.stars = self.stars or "*" in each.names
            if each.runs and len(each.names) == 1:
                self.alone.setdefault(each.names[0], []).append(n)
            if each.runs:
                for name in set(_used_at_once(node)) - set(each.changes):
                    self.users.setdefault(name, []).append(n)
            if isinstance(node, Definition):
                self.called |= {
                    inner.func.id
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
                }

    def weighs(self, n: int, name: str) -> bool:
        """Is this one of the definitions of which one counts?

        Functions and classes are; a value is where the name is asked for, or where the submission
        defines something of that name to call and does call it.
        """
        node = self.found[n].statement.node
        if isinstance(node, Definition):
            return name in self.wanted or not self._registers(node)
        if not isinstance(node, Assignment):
            return False
        if name in self.wanted:
            return True
        return name in self.called and not self.is_callable(n)

    def _registers(self, node: ast.stmt) -> bool:
        """`@add_to_class(Layer)`: a decorator of the submission's own keeps what it is given."""
        decorators = getattr(node, "decorator_list", ())
        roots = [root_of(d.func if isinstance(d, ast.Call) else d) for d in decorators]
        own = [n for root in roots for n in self.all.get(root, [])[:3]]
        return any(not isinstance(self.found[n].statement.node, _Import) for n in own)

    def held(self, n: int, end: int) -> bool:
        """Does a statement between this and the next rival, at `end`, use its value at once?"""
        (name,) = self.found[n].names
        users = self.users.get(name, [])
        at = bisect.bisect_right(users, n)
        return at < len(users) and users[at] < end

    def is_callable(self, n: int, left: int = MOST_ALIASES) -> bool:
        """Does the statement define something to call, as far as reading tells?"""
        if n not in self._callable:
            node = self.found[n].statement.node
            self._callable[n] = isinstance(node, (*Definition, *_Import)) or (
                isinstance(node, Assignment)
                and node.value is not None
                and self._is_callable(node.value, left)
            )
        return self._callable[n]

    def _is_callable(self, value: ast.expr, left: int) -> bool:
        if isinstance(value, ast.IfExp):
            return self._is_callable(value.body, left) or self._is_callable(value.orelse, left)
        if isinstance(value, ast.Call):
            called = value.func
            last = called.attr if isinstance(called, ast.Attribute) else root_of(called)
            return last in FACTORIES
        if isinstance(value, ast.Attribute):  # `F.relu`, `Layer.forward`; not `x.shape`
            kinds = (*_Import, ast.ClassDef)
            of = self.all.get(root_of(value), [])[-3:]
            return any(isinstance(self.found[n].statement.node, kinds) for n in of)
        if isinstance(value, ast.Name):
            if value.id not in self.all:
                return value.id in BUILTINS or self.stars
            return left > 0 and any(self.is_callable(n, left - 1) for n in self.all[value.id][-3:])
        return isinstance(value, ast.Lambda)


_Import = (ast.Import, ast.ImportFrom)


def _used_at_once(node: ast.stmt) -> Iterator[str]:
    """Names whose values a statement takes while it runs, and not inside of what it defines."""
    ahead = _run_at_once(node)
    while ahead:
        inner = ahead.pop()
        if isinstance(inner, ast.Lambda):
            continue
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            yield inner.id
        ahead += ast.iter_child_nodes(inner)


def _run_at_once(node: ast.stmt) -> list[ast.AST]:
    """The parts of a statement that run with it: of a definition, those around its body."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [*node.decorator_list, node.args]
    return [node]


def _builds_on(node: ast.stmt, name: str) -> bool:
    """Does defining `name` here take what `name` was before, as in `class Layer(Layer)`?"""
    if name == "_":
        return True  # several functions registered with one dispatcher
    used = {
        n.id
        for part in _run_at_once(node)
        for n in ast.walk(part)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    return name in used or "overload" in used


def _place(found: FoundStatement) -> str:
    return f"{found.where}, line {found.statement.line}"

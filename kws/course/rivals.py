"""Of several definitions of one name the one that counts: the last that is not the TODO.

A value is not a definition of what is called: `frame = waves[:1]` below `def frame` is scratch work
under an unlucky name. A definition that something used before the next one came, as in
`Layer.forward = forward`, stays beside it. `unanswered` counts TODOs and blank functions.
"""

import ast
import builtins
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from kws.course.may_run import Definition, changes_of, names_of, root_of

BODIES = ("body", "orelse", "finalbody", "handlers", "cases")  # of a statement


def statements_in(node: ast.AST) -> Iterator[ast.AST]:
    """A statement, or a module, and the statements in it at any depth."""
    ahead = [node]
    while ahead:
        yield (one := ahead.pop())
        ahead += [each for part in BODIES for each in getattr(one, part, ())]


def unanswered(node: ast.AST) -> tuple[int, int]:
    """How many functions in it are not begun, and how many TODOs are left; (0, 0) for an answer."""
    inside = list(statements_in(node))
    functions = [n for n in inside if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    blank = [each for each in functions if is_blank(each)]
    todo = [each for each in blank if any(map(is_todo, each.body))]
    not_begun = len(functions) if len(blank) == len(functions) else len(todo)
    return not_begun, sum(map(is_todo, inside))


def is_blank(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Nothing but a docstring, `pass` and `…`, or `raise NotImplementedError` before all else."""
    body = [
        each
        for each in function.body
        if not isinstance(each, ast.Pass)
        and not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]
    return not body or _not_implemented(body[0]) is not None


def is_todo(node: ast.AST) -> bool:
    """Whether this is the line in place of an answer, and not a check with words of its own."""
    return (_not_implemented(node) or "").startswith("TODO")


def _not_implemented(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Raise) or node.exc is None:
        return None
    error, words = node.exc, ""
    if isinstance(error, ast.Call):
        first = error.args[0] if error.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            words = first.value
        error = error.func
    return words if isinstance(error, ast.Name) and error.id == "NotImplementedError" else None


BUILTINS = frozenset(dir(builtins))
FACTORIES = {"attrgetter", "itemgetter", "methodcaller", "namedtuple", "NewType", "partial"}


@dataclass(kw_only=True)
class Decision:
    """Statements that do not count, winners of names, and names that are called."""

    losers: set[int] = field(default_factory=set)
    winners: dict[str, tuple[list[int], int]] = field(default_factory=dict)
    callables: set[str] = field(default_factory=set)


def decide(
    nodes: Sequence[ast.stmt], wanted: Collection[str], less: Collection[int] = ()
) -> Decision:
    """Which of a notebook's statements count; those in `less` count where there are no others."""
    defining: dict[str, list[int]] = {}
    functions: dict[str, list[int]] = {}
    used = [set(_used_at_once(node)) - set(changes_of(node)) for node in nodes]
    called = set(_called(nodes))
    for n, node in enumerate(nodes):
        names = list(dict.fromkeys(names_of(node)))
        if isinstance(node, Definition):
            functions.setdefault(node.name, []).append(n)
        if len(names) == 1 and isinstance(node, (*Definition, ast.Assign, ast.AnnAssign)):
            defining.setdefault(names[0], []).append(n)
    decision = Decision()
    for name, there in sorted(defining.items()):
        rivals = [n for n in there if not _registers(nodes[n], functions) or name in wanted]
        if name in functions and (name in wanted or name in called):
            decision.callables.add(name)
            calls = [n for n in rivals if _is_callable(nodes[n])]
            for before, n in pairwise(there):
                calls += [n] * (before in calls and n not in calls and is_given(nodes[n], name))
            rivals = sorted(calls)
        elif name not in wanted and name not in functions:
            continue  # values under an unused name: the last one, as in Jupyter
        losers = set(there) - set(rivals) if name in decision.callables else set()
        losers = {n for n in losers if not isinstance(nodes[n], Definition)}
        if rivals and name != "_":
            missing = {n: tuple(-each for each in unanswered(nodes[n])) for n in rivals}
            best = max(rivals, key=lambda n: (n not in less, *missing[n], n))
            ends = dict(zip(rivals, [*rivals[1:], len(nodes) - 1], strict=True))
            losers |= {
                n
                for n in rivals
                if n > best
                or (n < best and not any(name in used[m] for m in range(n + 1, ends[n] + 1)))
            }
            if losers:
                decision.winners[name] = (there, best)
        decision.losers |= losers
    return decision


def describe(name: str, places: Sequence[str], best: str) -> str:
    """One sentence: where `name` is defined, and which of the places counts."""
    return (
        f"`{name}` is defined {len(places)} times, in {'; '.join(places[:-1])} and {places[-1]}: "
        f"the one in {best} counts, the last that is not the TODO"
    )


def _called(nodes: Sequence[ast.stmt]) -> Iterator[str]:
    """The names that functions and classes call."""
    for node in nodes:
        inside = ast.walk(node) if isinstance(node, Definition) else ()
        for inner in inside:
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name):
                yield inner.func.id


def _registers(node: ast.stmt, functions: Collection[str]) -> bool:
    """`@add_to_class(Layer)`: a decorator of the notebook's own keeps what it is given."""
    decorators = getattr(node, "decorator_list", ())
    return any(root_of(d.func if isinstance(d, ast.Call) else d) in functions for d in decorators)


def _is_callable(node: ast.stmt) -> bool:
    """Whether the statement defines something to call, as far as reading shows."""
    value = getattr(node, "value", None)
    return isinstance(node, Definition) or (value is not None and _makes_callable(value))


def is_given(node: ast.stmt, name: str) -> bool:
    """`attend = logged(attend)`, where `attend` is a function."""
    value = getattr(node, "value", None)
    return isinstance(value, ast.Call) and any(root_of(each) == name for each in value.args)


def _makes_callable(value: ast.expr) -> bool:
    if isinstance(value, ast.IfExp):
        return _makes_callable(value.body)
    if isinstance(value, ast.Call):
        called = value.func
        last = called.attr if isinstance(called, ast.Attribute) else root_of(called)
        return last in FACTORIES
    return isinstance(value, ast.Name | ast.Attribute | ast.Lambda)


def _used_at_once(node: ast.stmt) -> Iterator[str]:
    """Names whose values a statement takes while it runs, and not inside of what it defines."""
    ahead: list[ast.AST] = [node]
    if isinstance(node, ast.ClassDef):
        ahead = [*node.decorator_list, *node.bases, *node.keywords]
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        ahead = [*node.decorator_list, node.args]
    while ahead:
        inner = ahead.pop()
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            yield inner.id
        if not isinstance(inner, ast.Lambda):
            ahead += ast.iter_child_nodes(inner)

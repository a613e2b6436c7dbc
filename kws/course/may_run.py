"""Which statements of a student's file run although their cells do not: one definition.

`kws check` runs these of the cells around the answers, the grader of all cells. Harmless are
imports, functions, classes, and assignments whose right side calls nothing or only a short list of
cheap things; `Layer.forward = f`, `TABLE.update(a=3)` and `setattr(Layer, "forward", f)` with such
values; `if`, `try` and `match` around only such. What an answer needs runs besides (follow
`used_names`): an assignment as in `TABLE = make_table(80)`, and what changes something of the
submission's own, as in `TABLE.fill_(2)`, a loop, or `with torch.no_grad(): …`, but no training;
with what is drawn the seed before it, as in `torch.manual_seed(0)`. What runs too long is stopped.
"""

import ast
import signal
import symtable
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

PURE = {
    "abs", "all", "any", "bool", "bytes", "callable", "chr", "complex", "dict", "divmod",
    "enumerate", "filter", "float", "frozenset", "getattr", "hasattr", "int", "isinstance",
    "issubclass", "iter", "len", "list", "map", "max", "min", "next", "ord", "pow", "range", "repr",
    "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "type", "zip",
    "namedtuple", "partial", "Path", "NewType", "TypeVar", "Fraction", "Decimal",
}  # fmt: skip
ARRAYS = {"array", "arange", "zeros", "ones", "linspace", "sqrt", "log", "exp", "log10", "float32"}
PURE_IN = {  # first name of a dotted call -> last names; None: all
    "math": None,
    "functools": {"partial"},
    "collections": {"namedtuple", "OrderedDict", "Counter", "defaultdict"},
    "np": ARRAYS,
    "numpy": ARRAYS,
    "torch": {
        "tensor", "arange", "zeros", "ones", "full", "linspace", "eye", "empty", "finfo",
        "iinfo", "device", "is_available", "get_default_dtype", "Size",
    },
}  # fmt: skip
PURE_METHODS = {
    "buffers", "children", "copy", "encode", "format", "get", "items", "join", "keys", "lower",
    "modules", "named_parameters", "parameters", "replace", "split", "splitlines", "strip", "title",
    "upper", "values",
}  # fmt: skip
CHANGING = {"add", "append", "extend", "insert", "setdefault", "update"}
BLOCKS, BRANCHES = (ast.For, ast.While, ast.With), (ast.If, ast.Try, ast.Match)
SETTINGS = {"F", "init", "nn", "plt", "random", "sys"}  # modules, besides those of PURE_IN
FILLS = ("copyto", "fill", "heap", "init", "insort", "put", "reset", "set", "shuffle")
TRAINS = {"backward", "step", "fit", "savefig", "show"}  # methods in trainings and plots
Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
MOST_SECONDS = 10.0  # of processor time for a statement outside of functions


class TooLong(BaseException):  # `except Exception` of the statement's does not stop it
    """A statement outside of functions ran too long, as `while True` does."""


@contextmanager
def limited() -> Iterator[None]:
    """Raise TooLong inside after MOST_SECONDS of processor time; what only waits, much later."""

    def stop(*_: object) -> None:
        words = f"stopped after {MOST_SECONDS:g} s, as when it is graded: does this end?"
        raise TooLong(f"{words} What takes longer must not be outside of functions")

    clocks = {
        signal.SIGPROF: (signal.ITIMER_PROF, MOST_SECONDS),
        signal.SIGALRM: (signal.ITIMER_REAL, 15 * MOST_SECONDS),  # a busy machine is not a fault
    }
    before = {number: signal.signal(number, stop) for number in clocks}
    try:
        for clock, limit in clocks.values():
            signal.setitimer(clock, limit)
        yield
    finally:
        for clock, _ in clocks.values():
            signal.setitimer(clock, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def names_of(node: ast.stmt) -> Iterator[str]:
    """What a statement defines in the namespace it runs in."""
    if isinstance(node, Definition):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in _targets(node):
            yield from _stored(target)
    elif isinstance(node, BRANCHES):
        for inner in _inside(node):
            yield from names_of(inner)
    if not isinstance(node, (*Definition, *BLOCKS)):
        yield from (n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr))


def set_by(node: ast.stmt) -> Iterator[str]:
    """The names that a loop or a `with` binds."""
    if isinstance(node, BLOCKS):
        if isinstance(node, ast.For):
            yield from _stored(node.target)
        for item in getattr(node, "items", ()):
            yield from _stored(item.optional_vars) if item.optional_vars else ()
        for inner in _inside(node):
            yield from names_of(inner)
            yield from set_by(inner)


def _stored(target: ast.expr) -> Iterator[str]:
    for inner in ast.walk(target):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id


def changes_of(node: ast.stmt) -> Iterator[str]:
    """The names whose values a statement may change in place, or, in a loop or a `with`, sets."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in _targets(node):
            for inner in ast.walk(target):
                if isinstance(inner, ast.Attribute | ast.Subscript) and (root := root_of(inner)):
                    yield root
    elif isinstance(node, ast.Expr):
        yield from _changed_by(node.value)
    elif isinstance(node, (*BRANCHES, *BLOCKS)):
        changed = {name for inner in _inside(node) for name in changes_of(inner)}
        yield from (*set_by(node), *changed)
        if isinstance(node, ast.For) and not changed.isdisjoint(_stored(node.target)):
            called = {n.func for n in ast.walk(node.iter) if isinstance(n, ast.Call)}
            over = (n for n in ast.walk(node.iter) if isinstance(n, ast.Name) and n not in called)
            yield from (n.id for n in over)  # `for p in LAYER.parameters(): p.fill_(1)`


def drawn_after(body: Sequence[ast.stmt]) -> list[tuple[str, ...]]:
    """For each statement that sets a seed what is drawn up to the next one: nothing for others."""
    found: list[list[str]] = [[] for _ in body]
    drawn: list[str] | None = None
    for node, own in zip(body, found, strict=True):
        if _seeds(node):
            drawn = own
        elif drawn is not None and not is_harmless(node):
            drawn += names_of(node)
    return [tuple(names) for names in found]


def _seeds(node: ast.stmt) -> bool:
    """`torch.manual_seed(0)`, `np.random.seed(0)`, `seed_everything(0)`."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))):
            return "seed" in name
    return False


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def root_of(node: ast.expr) -> str:
    """`Layer` of `Layer.table["a"]`; nothing where that is not a name."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _changed_by(call: ast.expr) -> Iterator[str]:
    """The names that `TABLE.update(…)`, `x.fill_(2)` or `init.constant_(x, 1)` change."""
    if not isinstance(call, ast.Call):
        return
    name = call.func.attr if isinstance(call.func, ast.Attribute) else root_of(call.func)
    if isinstance(call.func, ast.Attribute) and (root := root_of(call.func.value)):
        yield from [root] * (root not in PURE_IN and root not in SETTINGS)
    if name.startswith(FILLS) or name.endswith("_"):
        yield from filter(None, map(root_of, call.args[:1]))


def _changes_cheaply(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in CHANGING and bool(root_of(call.func.value))
    return root_of(call.func) == "setattr" and len(call.args) == 3


def is_harmless(statement: ast.stmt) -> bool:
    """Whether the statement may run; one that changes things, where they are the submission's."""
    ahead = [statement]
    while ahead:  # not by recursion: a chain of `elif` may be long
        node = ahead.pop()
        if not isinstance(node, BRANCHES):
            if not _is_harmless_alone(node):
                return False
            continue
        asks = getattr(node, "test", getattr(node, "subject", ast.Pass()))
        inside = [each for each in _inside(node) if not isinstance(each, ast.Pass)]
        if not inside or not calls_only_pure(asks):
            return False
        ahead += inside
    return True


def _is_harmless_alone(node: ast.stmt) -> bool:
    if isinstance(node, (*Definition, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return all(map(calls_only_pure, [*_targets(node), *([node.value] if node.value else [])]))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        values = [*node.value.args, *(keyword.value for keyword in node.value.keywords)]
        return _changes_cheaply(node.value) and all(map(calls_only_pure, values))
    return False


def _inside(node: ast.stmt) -> Iterator[ast.stmt]:
    """The statements of a compound one, of all its branches."""
    for branch in (node, *getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield from getattr(branch, "body", ())
    yield from getattr(node, "orelse", ())
    yield from getattr(node, "finalbody", ())


def calls_only_pure(value: ast.AST) -> bool:
    """Whether computing this calls nothing but cheap things."""
    ahead = [value]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.Lambda):
            continue  # runs later, if at all
        if isinstance(node, ast.Call) and not _pure(node.func):
            return False
        if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom):
            return False
        ahead += ast.iter_child_nodes(node)
    return True


def _pure(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id in PURE
    if not isinstance(called, ast.Attribute):
        return False
    root: ast.expr = called
    while isinstance(root, ast.Attribute):
        root = root.value
    if isinstance(root, ast.Name) and root.id in PURE_IN:
        allowed = PURE_IN[root.id]
        return allowed is None or called.attr in allowed
    return called.attr in PURE_METHODS


def trains(node: ast.stmt) -> bool:
    """Whether a loop contains a training or a plot."""
    return any(isinstance(n, ast.Attribute) and n.attr in TRAINS for n in ast.walk(node))


def is_check(node: ast.stmt) -> bool:
    """`with check("2.1-…", "…"):` of the notebook."""
    calls = (item.context_expr for item in getattr(node, "items", ()))
    return any(isinstance(call, ast.Call) and root_of(call.func) == "check" for call in calls)


@lru_cache(maxsize=16_384)
def used_names(source: str) -> frozenset[str]:
    """The names that statements take from the namespace around them, not their own variables."""
    try:
        tables = [symtable.symtable(source, "answer", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    used = set[str]()
    while tables:
        table = tables.pop()
        outermost = table.get_type() == "module"
        used |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (outermost or symbol.is_global())
        }
        tables += table.get_children()
    return frozenset(used)

"""Which statements of a student's file run although nobody runs their cells: one definition.

`kws check` runs these of the cells around the answers, the grader of all cells. Harmless are
imports, functions, classes, and assignments whose right side calls nothing or only a short list of
cheap things; `Layer.forward = f`, `TABLE.update(a=3)` and `setattr(Layer, "forward", f)` with such
values; `if` and `try` around only such, and short `for` loops around the latter. Two kinds of
assignment run besides: of a value that a data class of the file makes (`made_by`), and one that an
answer needs, as in `TABLE = make_table(80)` (follow `used_names`).
"""

import ast
import symtable
from collections.abc import Iterator

PURE = {
    "abs", "all", "any", "bool", "complex", "dict", "divmod", "enumerate", "float", "frozenset",
    "int", "isinstance", "len", "list", "map", "max", "min", "pow", "range", "reversed", "round",
    "set", "slice", "sorted", "str", "sum", "tuple", "zip", "namedtuple", "partial", "Path",
    "NewType", "TypeVar", "Fraction", "Decimal",
}  # fmt: skip
ARRAYS = {"array", "arange", "zeros", "ones", "linspace", "sqrt", "log", "exp", "log10", "float32"}
PURE_IN = {  # first name of a dotted call -> last names; None: all
    "math": None,
    "cmath": None,
    "operator": None,
    "typing": None,
    "functools": {"partial"},
    "collections": {"namedtuple", "OrderedDict", "Counter", "defaultdict"},
    "dataclasses": {"replace"},
    "pathlib": {"Path"},
    "os": {"join", "get", "getenv", "dirname", "basename"},
    "np": ARRAYS,
    "numpy": ARRAYS,
    "torch": {
        "tensor", "arange", "zeros", "ones", "full", "linspace", "eye", "empty", "finfo",
        "iinfo", "device", "is_available", "get_default_dtype", "Size",
    },
}  # fmt: skip
PURE_METHODS = {
    "copy", "encode", "format", "get", "items", "join", "keys", "lower", "replace", "split",
    "splitlines", "strip", "title", "upper", "values",
}  # fmt: skip
CHANGING = {"add", "append", "extend", "insert", "setdefault", "update"}
MOST_ROUNDS = 10_000  # of a loop outside of all functions
Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def names_of(node: ast.stmt) -> Iterator[str]:
    """What a statement defines in the namespace it runs in."""
    if isinstance(node, Definition):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in _targets(node):
            for inner in ast.walk(target):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    yield inner.id
    elif isinstance(node, ast.If | ast.Try):
        for inner in _inside(node):
            yield from names_of(inner)


def changes_of(node: ast.stmt) -> Iterator[str]:
    """The names whose values a statement changes in place, or, in a loop, sets."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in _targets(node):
            for inner in ast.walk(target):
                if isinstance(inner, ast.Attribute | ast.Subscript) and (root := root_of(inner)):
                    yield root
    elif isinstance(node, ast.Expr):
        if changed := _changed_by(node.value):
            yield changed
    elif isinstance(node, ast.For):
        for inner in [*node.body, *node.orelse]:
            yield from names_of(inner)
            yield from changes_of(inner)
    elif isinstance(node, ast.If | ast.Try | ast.With | ast.While):
        for inner in node.body if isinstance(node, ast.With | ast.While) else _inside(node):
            yield from changes_of(inner)


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> list[ast.expr]:
    """What stands on the left."""
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def sets_attribute(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """("Layer", "forward") of `Layer.forward = f` and `setattr(Layer, "forward", f)`.

    Also of `def forward` with a decorator like `@add_to_class(Layer)`.
    """
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                yield target.value.id, target.attr
    elif isinstance(node, ast.Expr) and _changed_by(node.value):
        match node.value:
            case ast.Call(args=[ast.Name(id=name), ast.Constant(value=str(attribute)), _]):
                yield name, attribute
    elif isinstance(node, ast.FunctionDef):
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(args=[ast.Name(id=name)]):
                    yield name, node.name


def root_of(node: ast.expr) -> str:
    """`Layer` of `Layer.table["a"]`; nothing where that is no name."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _changed_by(call: ast.expr) -> str:
    """The name that `TABLE.update(…)` or `setattr(Layer, "forward", f)` changes."""
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        return root_of(call.func.value) if call.func.attr in CHANGING else ""
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "setattr":
        return root_of(call.args[0]) if len(call.args) == 3 else ""
    return ""


def is_harmless(node: ast.stmt) -> bool:
    """Whether the statement may run; one that changes things, where they are the submission's."""
    if isinstance(node, (*Definition, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return all(map(calls_only_pure, [*_targets(node), *([node.value] if node.value else [])]))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        values = [*node.value.args, *(keyword.value for keyword in node.value.keywords)]
        return bool(_changed_by(node.value)) and all(map(calls_only_pure, values))
    if isinstance(node, ast.For):
        return _is_short(node)
    if isinstance(node, ast.If):
        main = any(isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(node.test))
        if main or not calls_only_pure(node.test):
            return False
    if isinstance(node, ast.If | ast.Try):
        inside = [each for each in _inside(node) if not isinstance(each, ast.Pass)]
        return bool(inside) and all(map(is_harmless, inside))
    return False


def _is_short(loop: ast.For, rounds: int = MOST_ROUNDS) -> bool:
    """A loop over something pure, which sets and changes things and does no more."""
    if loop.orelse or not calls_only_pure(loop.iter):
        return False
    rounds //= max(1, _rounds(loop.iter))
    return rounds > 0 and all(
        _is_short(inner, rounds)
        if isinstance(inner, ast.For)
        else isinstance(inner, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr | ast.If)
        and is_harmless(inner)
        for inner in loop.body
        if not isinstance(inner, ast.Pass)
    )


def _rounds(over: ast.expr) -> int:
    """How often a loop over it goes round, about: all numbers in it multiplied, names as 1."""
    rounds = 1
    for inner in ast.walk(over):
        if isinstance(inner, ast.Pow | ast.LShift):
            return MOST_ROUNDS + 1
        if isinstance(inner, ast.Call):
            numbers = [n.value for n in ast.walk(inner) if isinstance(n, ast.Constant)]
            product = 1
            for number in numbers:
                if isinstance(number, int | float):
                    product = min(product * max(1, min(abs(number), 1e9)), 1e9)
            rounds = max(rounds, int(product))
    return rounds


def _inside(node: ast.If | ast.Try) -> Iterator[ast.stmt]:
    yield from node.body
    yield from node.orelse
    if isinstance(node, ast.Try):
        for handler in node.handlers:
            yield from handler.body
        yield from node.finalbody


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


def is_data_class(node: ast.stmt) -> bool:
    """Whether this defines a class with a decorator `dataclass`."""
    return isinstance(node, ast.ClassDef) and any(
        "dataclass" in (getattr(inner, "id", ""), getattr(inner, "attr", ""))
        for decorator in node.decorator_list
        for inner in ast.walk(decorator)
    )


def made_by(node: ast.stmt) -> str:
    """`Config` of `CONFIG = Config(80)`, where the arguments call only cheap things; or nothing."""
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return ""
    match node.value:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            return name if all(map(calls_only_pure, [*args, *(k.value for k in keywords)])) else ""
    return ""


def used_names(source: str) -> set[str]:
    """The names that statements take from the namespace around them, not their own variables."""
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

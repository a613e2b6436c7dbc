"""What a single statement is: does it define, may it run, does it still hold its TODO?

Harmless are imports, functions, classes, and assignments whose right side calls nothing or only a
short list of cheap things; `if` and `try` around only such.
"""

import ast
from collections.abc import Iterator

PURE = {
    *("abs", "all", "any", "bool", "complex", "dict", "divmod", "enumerate", "float", "frozenset"),
    *("int", "isinstance", "len", "list", "map", "max", "min", "pow", "range", "reversed", "round"),
    *("set", "slice", "sorted", "str", "sum", "tuple", "zip", "namedtuple", "partial", "Path"),
    *("NewType", "TypeVar", "Fraction", "Decimal"),
}
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
        *("tensor", "arange", "zeros", "ones", "full", "linspace", "eye", "empty", "finfo"),
        *("iinfo", "device", "is_available", "get_default_dtype", "Size"),
    },
}
PURE_METHODS = {
    *("copy", "encode", "format", "get", "items", "join", "keys", "lower", "replace", "split"),
    *("splitlines", "strip", "title", "upper", "values"),
}
Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def names_of(node: ast.stmt) -> Iterator[str]:
    """What a statement defines in the namespace it runs in."""
    if isinstance(node, Definition):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for inner in ast.walk(target):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    yield inner.id
    elif isinstance(node, ast.If | ast.Try):
        for inner in _inside(node):
            yield from names_of(inner)


def is_harmless(node: ast.stmt) -> bool:
    """Whether the statement may run."""
    if isinstance(node, (*Definition, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return node.value is None or calls_only_pure(node.value)
    if isinstance(node, ast.If):
        main = any(isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(node.test))
        if main or not calls_only_pure(node.test):
            return False
    if isinstance(node, ast.If | ast.Try):
        inside = [each for each in _inside(node) if not isinstance(each, ast.Pass)]
        return bool(inside) and all(map(is_harmless, inside))
    return False


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


def answered(node: ast.AST) -> tuple[int, int]:
    """Larger is more of an answer: few functions that begin with their TODO, then few TODOs."""
    untouched = todos = 0
    for inner in ast.walk(node):
        todos += is_todo(inner)
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            body = inner.body[bool(ast.get_docstring(inner)) :]
            untouched += bool(body) and is_todo(body[0])
    return -untouched, -todos


def is_todo(node: ast.AST) -> bool:
    """Whether this is the line that stands in for an answer."""
    if not isinstance(node, ast.Raise) or node.exc is None:
        return False
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(error, ast.Name) and error.id == "NotImplementedError"

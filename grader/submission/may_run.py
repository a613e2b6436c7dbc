"""What a single statement is: what does it define or change, may it run, is its TODO still there?

Harmless are imports, functions, classes, and assignments whose right side calls nothing or only a
short list of cheap things; `Layer.forward = f`, `TABLE.update(a=3)` and `setattr(Layer, "forward",
f)` with such values; `if` and `try` around only such, and short `for` loops around the latter.
"""

import ast
from collections.abc import Collection, Iterator

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


def answered(
    node: ast.AST, filled: Collection[str] = (), replaced: Collection[str] = ()
) -> tuple[int, int]:
    """Larger is more of an answer: few functions that begin with their TODO, then few TODOs.

    A function left blank counts as one that begins with its TODO if it is among those `filled` in
    another definition of the same name: elsewhere it may well be meant to do nothing. One that is
    `replaced` later, by `Layer.forward = f`, does not count at all.
    """
    untouched = todos = 0
    ahead = [node]
    while ahead:
        inner = ahead.pop()
        todos += is_todo(inner)
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            if inner.name in replaced:
                continue
            body = inner.body[bool(ast.get_docstring(inner)) :]
            begins = bool(body) and is_todo(body[0])
            untouched += begins or (inner.name in filled and is_blank(inner))
        ahead += ast.iter_child_nodes(inner)
    return -untouched, -todos


def filled_in(node: ast.AST) -> set[str]:
    """The functions in it, itself among them, that are not blank."""
    functions = (n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {each.name for each in functions if not is_blank(each)}


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
    """Whether this is the line that stands in for an answer, and no guard with words of its own."""
    return (_not_implemented(node) or "").startswith("TODO")


def _not_implemented(node: ast.AST) -> str | None:
    """What `raise NotImplementedError(…)` says; None where it is something else."""
    if not isinstance(node, ast.Raise) or node.exc is None:
        return None
    error, words = node.exc, ""
    if isinstance(error, ast.Call):
        said = error.args[0] if error.args else None
        if isinstance(said, ast.Constant) and isinstance(said.value, str):
            words = said.value
        error = error.func
    return words if isinstance(error, ast.Name) and error.id == "NotImplementedError" else None

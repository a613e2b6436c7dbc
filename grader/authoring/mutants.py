"""Single-change mutants of our answers, and which of them the checks let pass.

    python -m grader mutants 02 [--visible]

Every operator, comparison, constant, condition, argument and statement of an answer is changed by
itself; a check that misses the change would miss a student's same slip. Equivalent mutants, with
the same result for every input, are listed in a file, each with the reason.
"""

import ast
import copy
from collections.abc import Container, Iterator
from dataclasses import dataclass

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
TRANSPOSES = ("mT", "T", "mH", "H")


@dataclass(frozen=True)
class Mutant:
    """An answer with one change: `source` is the whole cell, `change` says what became what."""

    task: str
    line: int
    change: str
    source: str


def mutants_of(source: str, task: str, lines: Container[int]) -> Iterator[Mutant]:
    """Yield every mutant of a cell's text that changes these lines (from 1)."""
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    for path, node in list(_walk(tree, ())):
        line = getattr(node, "lineno", None)
        if line is None or line not in lines:
            continue
        for change in _changes(node):
            mutated = copy.deepcopy(tree)
            if not _replace(mutated, path, change):
                continue
            ast.fix_missing_locations(mutated)
            try:
                text = ast.unparse(mutated)
                compile(text, "<mutant>", "exec")
            except (SyntaxError, ValueError):
                continue
            if text in seen:
                continue
            seen.add(text)
            before = ast.unparse(node).splitlines()[0]
            after = ast.unparse(change).splitlines()[0] if change is not None else "nothing"
            yield Mutant(task=task, line=line, change=f"{before}  →  {after}", source=text)


Path = tuple[tuple[str, int | None], ...]


def _walk(node: ast.AST, path: Path) -> Iterator[tuple[Path, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield ((*path, (field, None)), value)
            yield from _walk(value, (*path, (field, None)))
        elif isinstance(value, list):
            for position, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield ((*path, (field, position)), item)
                    yield from _walk(item, (*path, (field, position)))


def _replace(tree: ast.AST, path: Path, change: ast.AST | None) -> bool:
    parent: ast.AST = tree
    for field, position in path[:-1]:
        value = getattr(parent, field)
        parent = value if position is None else value[position]
    field, position = path[-1]
    if field in ("annotation", "returns", "decorator_list"):
        return False
    if change is None:
        change = ast.Pass()
    if position is None:
        setattr(parent, field, copy.deepcopy(change))
    else:
        getattr(parent, field)[position] = copy.deepcopy(change)
    return True


def _changes(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.stmt):
        yield from _of_statement(node)
    elif isinstance(node, ast.expr):
        yield from _of_expression(node)


def _of_statement(node: ast.stmt) -> Iterator[ast.AST | None]:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    definition = isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)
    if not (docstring or definition or isinstance(node, ast.Pass)):
        yield None
    if isinstance(node, ast.If | ast.While):
        for test in (True, False):
            if isinstance(node, ast.If) or not test:
                changed = copy.copy(node)
                changed.test = ast.Constant(test)
                yield changed
    if isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        changed = copy.copy(node)
        changed.op = OPERATORS[type(node.op)]()
        yield changed


def _of_expression(node: ast.expr) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.BinOp):
        if type(node.op) in OPERATORS:
            yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        yield node.left
        yield node.right
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        other = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        yield ast.BoolOp(other, node.values)
        yield from node.values
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for operator in COMPARISONS.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [operator()], node.comparators)
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Attribute) and node.attr in TRANSPOSES:
        yield node.value
    elif isinstance(node, ast.Slice):
        for part in ("lower", "upper", "step"):
            if getattr(node, part) is not None:
                changed = copy.copy(node)
                setattr(changed, part, None)
                yield changed
    elif isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Load):
        if len(node.elts) == 2:
            yield type(node)(node.elts[::-1], ast.Load())


def _of_constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
        if value:
            yield ast.Constant(0 if abs(value) == 1 else value - 1)
    elif isinstance(value, str) and value:
        yield ast.Constant("")


def _of_call(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):
        yield node.func.value  # the method is not called
    elif len(node.args) >= 1 and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
        yield node.args[0]  # the function is not called
    for position in range(len(node.args)):
        yield ast.Call(node.func, node.args[:position] + node.args[position + 1 :], node.keywords)
    for position in range(len(node.args) - 1):
        swapped = list(node.args)
        swapped[position], swapped[position + 1] = swapped[position + 1], swapped[position]
        yield ast.Call(node.func, swapped, node.keywords)
    for position in range(len(node.keywords)):
        rest = node.keywords[:position] + node.keywords[position + 1 :]
        yield ast.Call(node.func, node.args, rest)


def _is_module(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in ("torch", "math", "nn", "F", "np", "copy")

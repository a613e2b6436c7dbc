"""Whether a definition is an answer: is its TODO still there, or is it blank?"""

import ast
from collections.abc import Iterator

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

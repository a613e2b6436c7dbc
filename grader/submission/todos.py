"""Whether a definition is an answer: is its TODO still there, is it blank, what is filled in?"""

import ast
from collections.abc import Collection


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

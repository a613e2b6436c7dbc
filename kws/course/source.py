"""What of a notebook's source counts: cells as Python, and of several definitions one.

Magics, `!pip`, `name?` and prompts are removed, for all readers. Of several definitions of one name
the last counts that is not the TODO. A value is not a definition of what is called:
`frame = waves[:1]` below `def frame` is scratch work under an unlucky name. A definition that
something used before the next one came, as in `Layer.forward = forward`, stays beside it.
`unanswered` counts TODOs and blank functions.
"""

import ast
import builtins
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from kws.course.may_run import Definition, changes_of, drawn_after, names_of, root_of

RUNS_CODE = re.compile(r"%%(?:time|timeit|capture|prun)\b")  # cell magics around Python
PROMPT = re.compile(r"(?:In ?\[\d*\]: ?|>>> ?|\.\.\. ?|   \.\.\.: ?)")  # Jupyter takes them off
TIMED = re.compile(r"([ \t]*(?:\w[\w, ]*=[ \t]*)?)%(?:time|timeit|prun)[ \t]+(?=[^-\s])")
ASSIGNED = re.compile(r"([ \t]*\w[\w, ]*=[ \t]*)(?:!|%[A-Za-z_])")
COMMAND = re.compile(r"([ \t]*)(?:!|%[A-Za-z_]|\?|[\w.]+\?\??\s*$)")
MOST_MAGICS = 500  # lines of one cell that are read
BODIES = ("body", "orelse", "finalbody", "handlers", "cases")  # of a statement
BUILTINS = frozenset(dir(builtins))
FACTORIES = {"attrgetter", "itemgetter", "methodcaller", "namedtuple", "NewType", "partial"}


def parse(source: str) -> ast.Module:
    """The tree of a cell that is Python already; SyntaxError otherwise. Never warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A top-level statement of a cell, its text with decorators, and the line it begins on.

    `drawn` are the names that it draws numbers for, if it sets a seed.
    """

    node: ast.stmt
    source: str
    line: int
    drawn: tuple[str, ...] = ()


def statements_of(tree: ast.Module, source: str, shift: int = 0) -> tuple[Statement, ...]:
    """The statements of `source`, each with its text; `shift` is added to their lines."""
    lines, body = source.split("\n"), [*_opened(tree.body)]
    begun = Counter(node.lineno for node in body)
    encoded: dict[int, bytes] = {}
    found = []

    def cut(number: int, begin: int, end: int | None) -> str:
        if number not in encoded:
            encoded[number] = lines[number - 1].encode()  # a column counts bytes
        return encoded[number][begin:end].decode()

    for node, drawn in zip(body, drawn_after(body), strict=True):
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        last = node.end_lineno or node.lineno
        kept = lines[first - 1 : last]
        if begun[last] > (node.lineno == last):  # another begins where this one ends
            kept[-1] = cut(last, 0, node.end_col_offset)
        if node.col_offset and not lines[first - 1][: node.col_offset].strip():
            kept = textwrap.dedent("\n".join(kept)).split("\n")
        elif node.col_offset and first == node.lineno:
            kept[0] = cut(first, node.col_offset, node.end_col_offset if first == last else None)
        text = "\n".join(kept)
        found.append(Statement(node=node, source=text, line=first + shift, drawn=drawn))
    return tuple(found)


def _opened(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, those of `if __name__ == "__main__":` in its place: in Jupyter they run."""
    for node in body:
        match node:
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()])):
                yield from node.body
            case _:
                yield node


def as_python(source: str) -> str:
    r"""A cell without magics, `!pip`, `name?`, prompts and common indentation, line by line.

    Only lines that Python refuses are touched, so that text within quotes stays. A cell that begins
    with a `%%` magic which does not run Python counts for nothing; `%time x = 1` counts as `x = 1`.

    >>> as_python("%matplotlib inline\nx = !ls\n%time y = 1")
    'pass\nx = None\ny = 1'
    """
    source = textwrap.dedent(source)  # as Jupyter does
    lines = source.split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip() and line[0] != "#"), 0)
    if lines[first].startswith("%%"):
        if not RUNS_CODE.match(lines[first]):
            return ""
        lines[first] = "pass"
    if PROMPT.match(lines[first]):
        lines = [PROMPT.sub("", line) for line in lines]
    for _ in lines[:MOST_MAGICS]:
        try:
            parse("\n".join(lines))
        except SyntaxError as error:
            row = _logical_line(lines, (error.lineno or 1) - 1)
            if row is None or (mended := _without_magic(lines[row])) is None:
                break
            goes_on, lines[row] = lines[row].endswith("\\"), mended
            while goes_on and (row := row + 1) < len(lines):
                goes_on, lines[row] = lines[row].endswith("\\"), ""
        except (ValueError, RecursionError, MemoryError):
            break
        else:
            break
    return "\n".join(lines)


def _logical_line(lines: list[str], row: int) -> int | None:
    """The line that the one at `row` continues, as `!ls \\` does; None where there is none."""
    if not 0 <= row < len(lines):
        return None
    while row and lines[row - 1].endswith("\\"):
        row -= 1
    return row


def _without_magic(line: str) -> str | None:
    if TIMED.match(line):
        return TIMED.sub(r"\1", line)
    if found := ASSIGNED.match(line):
        return f"{found[1]}None"
    if found := COMMAND.match(line):
        return f"{found[1]}pass"
    return None


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
                if before in calls and n not in calls and is_given(nodes[n], name):
                    calls.append(n)
            rivals = sorted(calls)
        elif name not in wanted and name not in functions:
            continue  # values under an unused name: the last one, as in Jupyter
        losers = set(there) - set(rivals) if name in decision.callables else set()
        losers = {n for n in losers if not isinstance(nodes[n], Definition)}
        if rivals and name != "_":
            missing = {n: tuple(-each for each in unanswered(nodes[n])) for n in rivals}
            best = max(rivals, key=lambda n: (n not in less, *missing[n], n))
            ends = dict(zip(rivals, [*rivals[1:], len(nodes) - 1], strict=True))
            for n in rivals:
                is_used = any(name in used[m] for m in range(n + 1, ends[n] + 1))
                if n > best or (n < best and not is_used):
                    losers.add(n)
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

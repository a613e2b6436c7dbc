"""A notebook cell as Python: magics, `!pip`, `name?` and prompts are removed, for all readers."""

import ast
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

RUNS_CODE = re.compile(r"%%(?:time|timeit|capture|prun)\b")  # cell magics around Python
PROMPT = re.compile(r"(?:In ?\[\d*\]: ?|>>> ?|\.\.\. ?|   \.\.\.: ?)")  # Jupyter takes them off
TIMED = re.compile(r"([ \t]*(?:\w[\w, ]*=[ \t]*)?)%(?:time|timeit|prun)[ \t]+(?=[^-\s])")
ASSIGNED = re.compile(r"([ \t]*\w[\w, ]*=[ \t]*)(?:!|%[A-Za-z_])")
COMMAND = re.compile(r"([ \t]*)(?:!|%[A-Za-z_]|\?|[\w.]+\?\??\s*$)")
MOST_MAGICS = 500  # lines of one cell that are read


def parse(source: str) -> ast.Module:
    """The tree of a cell that is Python already; SyntaxError otherwise. Never warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A top-level statement of a cell, its text with decorators, and the line it begins on."""

    node: ast.stmt
    source: str
    line: int


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

    for node in body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        last = node.end_lineno or node.lineno
        kept = lines[first - 1 : last]
        if begun[last] > (node.lineno == last):  # another begins where this one ends
            kept[-1] = cut(last, 0, node.end_col_offset)
        if node.col_offset and not lines[first - 1][: node.col_offset].strip():
            kept = textwrap.dedent("\n".join(kept)).split("\n")
        elif node.col_offset and first == node.lineno:
            kept[0] = cut(first, node.col_offset, node.end_col_offset if first == last else None)
        found.append(Statement(node=node, source="\n".join(kept), line=first + shift))
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

"""The statements of a cell, also of one that Python cannot parse as it stands.

Jupyter's extensions are read as `kws check` does (`kws.course.source`); typographic characters of
PDFs and word processors are replaced, except in strings and comments; invalid code is removed
statement by statement, so that one slip costs one definition.
"""

import ast
import dataclasses
import re
import textwrap
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from grader.core.text import short
from kws.course.source import Statement, as_python, statements_of

INVISIBLE = dict.fromkeys(map(ord, "\u00a0\u2007\u202f\u3000"), " ") | dict.fromkeys(
    map(ord, "\u200b\u200c\u200d\u2060\ufeff"), ""
)
DOUBLE, SINGLE = "\u201c\u201d\u201e", "\u2018\u2019\u201a"  # as word processors write them
QUOTES = dict.fromkeys(map(ord, DOUBLE), '"') | dict.fromkeys(map(ord, SINGLE), "'")
SIGNS = {
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212"), "-"),  # hyphens, a dash, a minus
    **dict.fromkeys(map(ord, "\u00d7\u2217"), "*"),
    **{0x00F7: "/", 0x2026: "..."},
}
TABLE = {**INVISIBLE, **QUOTES, **SIGNS}
TOKEN = re.compile(  # from any place on, each kind fails once a line at most: time stays linear
    r"\\."
    r"|#[^\n]*"
    r'|"""(?:\\[\s\S]|[^\\])*?"""'
    r"|'''(?:\\[\s\S]|[^\\])*?'''"
    r'|"(?:\\[\s\S]|[^"\\\n])*"'
    r"|'(?:\\[\s\S]|[^'\\\n])*'"
    rf"|[{DOUBLE}]{{3}}(?P<long>[\s\S]*?)[{DOUBLE}]{{3}}"
    rf"|[{DOUBLE}](?P<double>[^{DOUBLE}\n]*)[{DOUBLE}]"
    rf"|(?<!\w)[{SINGLE}](?P<single>[^\n]{{0,200}}?)[{SINGLE}](?!\w)"
    rf"|(?P<sign>[{''.join(map(chr, TABLE))}])"
)
MUCH = "it was not read: there is too much code that Python cannot read"
REPAIRED = "characters that resemble Python's (curly quotes, long dashes) were replaced"


def repair_characters(source: str) -> str:
    """The source with Python's own quotes, signs and spaces, of as many lines as before."""

    def replace(match: re.Match[str]) -> str:
        kind = match.lastgroup
        if kind == "sign":
            return match[0].translate(TABLE)
        if kind == "long":
            return f'"""{match["long"]}"""'
        if kind is None:
            return match[0]
        inside = match[kind]
        quote = '"' if (kind == "double" and '"' not in inside) or "'" in inside else "'"
        return quote + inside + quote

    return TOKEN.sub(replace, source)


MAX_CODE = 300_000  # characters of one cell
MAX_LINE = 20_000
MAX_DEPTH = 200  # of brackets
MAX_SIGNS = 20_000  # operators: the parser of Python 3.10 dies of a chain of 100,000
REACH = 40  # lines without indentation over which one statement may stretch in a broken cell
EFFORT = 20  # how often the characters of a broken cell are parsed, on average, before we give up
MAX_PARSED = 8_000_000  # characters that Python's parser is given for one submission
A_CALL = 100  # characters that each attempt to parse counts for besides its own
MAX_NESTED = 200  # levels of a statement's tree: who walks it takes up to three calls a level

SIGN = re.compile(r"[-+*/%&|^@~<>(]|(?<!\d)\.")
CONTINUES = re.compile(r"(?:else|elif|except|finally|case)\b|[)\]}]")


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Lines that Python cannot read, the number of the first, and of that at which it stops."""

    text: str
    line: int
    wrong: int


@dataclass(frozen=True, kw_only=True)
class ParsedCell:
    """The statements of a cell, repairs, `lost` lines between them; what was left out, and why."""

    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()
    jupyter: bool = False
    lost: tuple[Lost, ...] = ()
    left_out: tuple[str, ...] = ()  # too large to be read, though there may be an answer


@dataclass(kw_only=True)
class Effort:
    """How many characters of the whole submission may still be parsed."""

    left: int = MAX_PARSED


def parse(source: str, effort: Effort) -> ast.Module | None:
    """The tree of `source`, or None, also when the effort is used up. Never raises or warns."""
    tree = _parse(source, effort)
    return tree if isinstance(tree, ast.Module) else None


def _parse(source: str, effort: Effort) -> ast.Module | SyntaxError | None:
    if effort.left < 0 or _is_too_much(source):
        return None
    effort.left -= len(source) + A_CALL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except SyntaxError as error:
            return error
        except (ValueError, RecursionError, MemoryError):
            return None


def _is_too_much(source: str) -> bool:
    large = len(source) > MAX_CODE or any(len(line) > MAX_LINE for line in source.split("\n"))
    return large or _depth(source) > MAX_DEPTH or len(SIGN.findall(source)) > MAX_SIGNS


def _depth(source: str) -> int:
    """The maximal depth of brackets, those in strings included."""
    depth = most = 0
    for sign in re.findall(r"[()\[\]{}]", source):
        depth = depth + 1 if sign in "([{" else max(depth - 1, 0)
        most = max(most, depth)
    return most


def read_code(source: str, effort: Effort) -> ParsedCell:
    """The statements of a cell as `kws check` reads it; else repaired, or what can be read."""
    if effort.left < 0:
        return ParsedCell(left_out=(MUCH,))
    if tree := parse(source, effort):
        return _code(statements_of(tree, source))
    if _is_too_much(source):
        return ParsedCell(left_out=("it was not read: a line, a formula or all of it is too long",))
    effort.left -= len(source) * min(source.count("\n") + 1, EFFORT)
    if effort.left < 0:
        return ParsedCell(left_out=(MUCH,))
    python = as_python(source)
    if tree := parse(python, effort):
        return _code(statements_of(tree, python), jupyter=python != textwrap.dedent(source))
    plain = repair_characters(python).expandtabs(4)
    if tree := parse(plain, effort):
        return _code(statements_of(tree, plain), REPAIRED)
    return _statement_by_statement(plain, effort)


def _code(statements: Iterable[Statement], note: str = "", jupyter: bool = False) -> ParsedCell:
    """The statements without those that are nested too deep to be analyzed."""
    kept, large = [], []
    for each in statements:
        if _is_deep(each):
            name = getattr(each.node, "name", "")
            what = f"`{short(name)}` in line {each.line}" if name else f"line {each.line}"
            large.append(f"{what} is nested more than {MAX_NESTED} levels deep: it was left out")
        else:
            kept.append(each)
    notes = (note,) if note else ()
    return ParsedCell(statements=tuple(kept), notes=notes, jupyter=jupyter, left_out=tuple(large))


def _is_deep(statement: Statement) -> bool:
    if len(statement.source) < MAX_NESTED // 2:
        return False  # a level takes a character, and what surrounds it a few
    level, depth = [statement.node], 0
    while level and depth <= MAX_NESTED:
        level, depth = [inner for node in level for inner in ast.iter_child_nodes(node)], depth + 1
    return bool(level)


def _statement_by_statement(source: str, effort: Effort) -> ParsedCell:
    """Every statement that parses; a note names the lines of the others."""
    lines = source.split("\n")
    starts = [
        number
        for number, line in enumerate(lines)
        if line and not line[0].isspace() and line[0] != "#" and not CONTINUES.match(line)
    ]
    starts.append(len(lines))
    found: list[Statement] = []
    lost: list[Lost] = []
    left = EFFORT * len(source) + MAX_LINE
    index = 0
    while index < len(starts) - 1:
        tree, text, error, end = None, "", None, index + 1
        for end in range(index + 1, min(index + REACH, len(starts))):
            text = "\n".join(lines[starts[index] : starts[end]])
            left -= len(text)
            if left < 0:
                break
            tried = _parse(text, effort)
            if isinstance(tried, ast.Module):
                tree = tried
                break
            if end == index + 1 and tried:
                height = text.rstrip().count("\n")
                wrong = starts[index] + 1 + min((tried.lineno or 1) - 1, height)
                error = Lost(text=text, line=starts[index] + 1, wrong=wrong)
        if tree:
            found += statements_of(tree, text, starts[index])
            index = end
        else:
            lost += [error] if error else []
            index += 1
    note = ""
    if lost:
        stops = [each.wrong for each in lost]
        what = f"line {stops[0]}" if len(stops) == 1 else f"lines {stops[0]} to {stops[-1]}"
        note = f"Python cannot read it at {what}: the statements around were kept"
    return dataclasses.replace(_code(found, note), lost=tuple(lost))

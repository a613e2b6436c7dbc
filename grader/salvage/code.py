"""The statements of a cell, also of one that Python cannot parse as it stands.

What Jupyter accepts beyond Python (magics, `!pip`, `name?`, a cell that is indented as a whole,
prompts) is taken out with the line numbers kept; what nobody accepts is cut out statement by
statement, so that one slip costs one definition.
"""

import ast
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from grader.salvage.text import short, sides

MAX_CODE = 300_000  # characters of one cell
MAX_LINE = 20_000
MAX_DEPTH = 200  # of brackets
MAX_SIGNS = 20_000  # operators: the parser of Python 3.10 dies of a chain of 100,000
REACH = 40  # lines without indentation over which one statement may stretch in a broken cell
EFFORT = 20  # how often the characters of a broken cell are parsed, on average, before we give up
MAX_PARSED = 8_000_000  # characters that Python's parser is given for one submission
A_CALL = 100  # characters that each attempt to parse counts for besides its own
MAX_NESTED = 200  # levels of a statement's tree: who walks it takes up to three calls a level

OTHER_LANGUAGE = re.compile(
    r"%%(?:bash|sh|script|html|HTML|javascript|js|latex|markdown|perl|ruby|svg|SVG|cmd|R|sql)\b"
)
JUPYTER_ONLY = (
    (re.compile(r"^%%\w.*$", re.MULTILINE), "pass"),
    (re.compile(r"^([ \t]*)(?:%[A-Za-z_]|!|\?)(?:.*\\\n)*.*$", re.MULTILINE), r"\1pass"),
    (re.compile(r"^([ \t]*)[\w.]+\?\??[ \t]*$", re.MULTILINE), r"\1pass"),
    (re.compile(r"^([ \t]*\w[\w, ]*=[ \t]*)(?:!|%[A-Za-z_]).*$", re.MULTILINE), r"\1None"),
)
PROMPT = re.compile(r"^(?:In ?\[\d*\]: ?|>>> ?|\.\.\. ?|   \.\.\.: ?)", re.MULTILINE)
INVISIBLE = dict.fromkeys(map(ord, "\u00a0\u2007\u202f\u3000"), " ") | dict.fromkeys(
    map(ord, "\u200b\u200c\u200d\u2060\ufeff"), ""
)
QUOTES = {ord(old): new for old, new in zip("“”„‘’", '"""\'\'', strict=True)}
SIGN = re.compile(r"[-+*/%&|^@~<>(]|(?<!\d)\.")
CONTINUES = re.compile(r"(?:else|elif|except|finally|case)\b|[)\]}]")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One top-level statement: its node, its text, and the line of the cell it begins on."""

    node: ast.stmt
    source: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Code:
    """What a cell says: statements, in order; what was mended; whether Jupyter's own lines fell."""

    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()
    jupyter: bool = False


@dataclass(kw_only=True)
class Effort:
    """How many characters may still be parsed, of all that was handed in together."""

    left: int = MAX_PARSED


def parse(source: str, effort: Effort) -> ast.Module | None:
    """The tree of `source`, or None, also when all effort is spent. Never raises, never warns."""
    if _too_large(source) or _depth(source) > MAX_DEPTH or len(SIGN.findall(source)) > MAX_SIGNS:
        return None
    if effort.left < 0:
        return None
    effort.left -= len(source) + A_CALL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _too_large(source: str) -> bool:
    return len(source) > MAX_CODE or any(len(line) > MAX_LINE for line in source.split("\n"))


def _depth(source: str) -> int:
    """How many brackets are open at once, at most; those in strings count too."""
    depth = most = 0
    for sign in re.findall(r"[()\[\]{}]", source):
        depth = depth + 1 if sign in "([{" else max(depth - 1, 0)
        most = max(most, depth)
    return most


def read_code(source: str, effort: Effort) -> Code:
    """The statements of one cell."""
    if effort.left < 0:
        return Code(notes=("it was not read: there is too much code that Python cannot read",))
    if tree := parse(source, effort):
        return _code(_statements(tree, source))
    if OTHER_LANGUAGE.match(source.lstrip()):
        return Code(jupyter=True)
    if _too_large(source):
        return Code(notes=("it is too long to be code that somebody wrote: it was left out",))
    tried = {source}
    for mend, note, jupyter in MENDS:
        for mended in mend(source):
            if mended in tried:
                continue
            tried.add(mended)
            if tree := parse(mended, effort):
                return _code(_statements(tree, mended), note, jupyter)
    return _statement_by_statement(next(sides(source), source), effort)


def _code(statements: Iterable[Statement], note: str = "", jupyter: bool = False) -> Code:
    """The statements without those that are nested too deep to be looked through."""
    kept, notes = [], [note] if note else []
    for each in statements:
        if _is_deep(each):
            name = getattr(each.node, "name", "")
            what = f"`{short(name)}` in line {each.line}" if name else f"line {each.line}"
            notes.append(f"{what} is nested more than {MAX_NESTED} levels deep: it was left out")
        else:
            kept.append(each)
    return Code(statements=tuple(kept), notes=tuple(notes), jupyter=jupyter)


def _is_deep(statement: Statement) -> bool:
    if len(statement.source) < MAX_NESTED // 2:
        return False  # a level takes a character, and what surrounds it a few
    level, depth = [statement.node], 0
    while level and depth <= MAX_NESTED:
        level, depth = [inner for node in level for inner in ast.iter_child_nodes(node)], depth + 1
    return bool(level)


def _without_jupyter(source: str) -> str:
    for pattern, instead in JUPYTER_ONLY:
        source = pattern.sub(lambda match, to=instead: _same_height(match, to), source)
    return source


def _same_height(match: re.Match[str], instead: str) -> str:
    """The replacement, with as many lines as what it replaces."""
    return match.expand(instead) + "\n" * match[0].count("\n")


def _one(mend: Callable[[str], str]) -> Callable[[str], Iterator[str]]:
    return lambda source: iter([mend(source)])


def _visible(source: str) -> str:
    return source.translate(INVISIBLE)


def _less_todo(source: str) -> list[str]:
    """Both sides of the merge conflicts, the one with fewer TODOs first, ours when alike."""
    return sorted(map(_without_jupyter, sides(source)), key=lambda side: side.count('("TODO'))


def _all_of_them(source: str) -> str:
    return textwrap.dedent(_without_jupyter(_visible(source)).expandtabs(4))


MENDS: tuple[tuple[Callable[[str], "Iterator[str] | list[str]"], str, bool], ...] = (
    (_one(_without_jupyter), "", True),
    (_one(textwrap.dedent), "", False),  # Jupyter does so too
    (_one(lambda source: textwrap.dedent(_without_jupyter(source))), "", True),
    (
        _one(lambda source: PROMPT.sub("", source)),
        "prompts in front of the lines were removed",
        False,
    ),
    (_less_todo, "a merge conflict was resolved, look which side was kept", False),
    (_one(_visible), "invisible characters were replaced by spaces", False),
    (_one(lambda source: source.expandtabs(4)), "tabs were replaced by spaces", False),
    (_one(lambda source: source.expandtabs(8)), "tabs were replaced by spaces", False),
    (
        _one(lambda source: source.translate(QUOTES)),
        "curly quotes were replaced by plain ones",
        False,
    ),
    (_one(_all_of_them), "tabs and invisible characters were replaced by spaces", True),
)


def _statements(tree: ast.Module, source: str, shift: int = 0) -> tuple[Statement, ...]:
    lines = source.split("\n")
    begun = Counter(node.lineno for node in tree.body)
    encoded: dict[int, bytes] = {}
    found = []

    def cut(number: int, begin: int, end: int | None) -> str:
        if number not in encoded:
            encoded[number] = lines[number - 1].encode()  # a column counts bytes
        return encoded[number][begin:end].decode()

    for node in tree.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        last = node.end_lineno or node.lineno
        kept = lines[first - 1 : last]
        if begun[last] > (node.lineno == last):  # another begins where this one ends
            kept[-1] = cut(last, 0, node.end_col_offset)
        if node.col_offset and first == node.lineno:
            kept[0] = cut(first, node.col_offset, node.end_col_offset if first == last else None)
        found.append(Statement(node=node, source="\n".join(kept), line=first + shift))
    return tuple(found)


def _statement_by_statement(source: str, effort: Effort) -> Code:
    """Every statement that parses by itself; a note names the lines of the others."""
    lines = _without_jupyter(source).split("\n")
    starts = [
        number
        for number, line in enumerate(lines)
        if line and not line[0].isspace() and line[0] != "#" and not CONTINUES.match(line)
    ]
    starts.append(len(lines))
    found: list[Statement] = []
    lost: list[int] = []
    left = EFFORT * len(source) + MAX_LINE
    index = 0
    while index < len(starts) - 1:
        tree, text, end = None, "", index + 1
        for end in range(index + 1, min(index + REACH, len(starts))):
            text = "\n".join(lines[starts[index] : starts[end]])
            left -= len(text)
            if left < 0 or (tree := parse(text, effort)):
                break
        if tree:
            found += _statements(tree, text, starts[index])
            index = end
        else:
            lost.append(starts[index] + 1)
            index += 1
    if not lost:
        return _code(found)
    what = f"line {lost[0]}" if len(lost) == 1 else f"lines {lost[0]} to {lost[-1]}"
    return _code(found, f"Python cannot read it at {what}: the statements around were kept")

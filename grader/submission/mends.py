"""What keeps Python from reading a cell, undone, with the line numbers kept.

Strings and comments stay as they are: what is not Python's is replaced around them. A string
between typographic quotes is one too, and keeps what stands between them.
"""

import re
import textwrap
from collections.abc import Iterator, Set
from dataclasses import dataclass

from grader.submission.decoding import sides

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
DOUBLE, SINGLE = "\u201c\u201d\u201e", "\u2018\u2019\u201a"  # as word processors write them
QUOTES = dict.fromkeys(map(ord, DOUBLE), '"') | dict.fromkeys(map(ord, SINGLE), "'")
SIGNS = {
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212"), "-"),  # hyphens, a dash, a minus
    **dict.fromkeys(map(ord, "\u00d7\u2217"), "*"),
    **{0x00F7: "/", 0x2026: "..."},
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # as wide as a Chinese sign
}
MARKS = re.compile("[\ue000\ue001]")  # ours, and no code
HIDDEN = re.compile("\ue000(\\d+)\ue001")
TOKEN = re.compile(  # from any place on, each kind fails once a line at most: time stays linear
    r"\\."
    r"|#[^\n]*"
    r'|"""(?:\\[\s\S]|[^\\])*?"""'
    r"|'''(?:\\[\s\S]|[^\\])*?'''"
    r'|"(?:\\[\s\S]|[^"\\\n])*"'
    r"|'(?:\\[\s\S]|[^'\\\n])*'"
    rf"|(?P<long>[{DOUBLE}]{{3}}(?P<text>[\s\S]*?)[{DOUBLE}]{{3}})"
    rf"|(?P<double>[{DOUBLE}](?P<words>[^{DOUBLE}\n]*)[{DOUBLE}])"
    rf"|(?P<single>(?<!\w)[{SINGLE}](?P<word>[^\n]{{0,200}}?)[{SINGLE}](?!\w))"
    r"|[\ue000\ue001]"
    rf"|(?P<invisible>[{''.join(map(chr, INVISIBLE))}]+)"
    rf"|(?P<quote>[{''.join(map(chr, QUOTES))}])"
    rf"|(?P<sign>[{''.join(map(chr, SIGNS))}])"
)
TOLD = {
    "prompts": "prompts in front of the lines were removed",
    "conflict": "a merge conflict was resolved, look which side was kept",
    "invisible": "invisible characters were replaced by spaces",
    "tabs": "tabs were replaced by spaces",
    "quotes": "curly quotes were replaced by plain ones",
    "signs": "signs that only look like Python's, as a long minus does, were replaced",
}
CAUSES = (
    ("prompts", PROMPT),
    ("dedent", re.compile(r"^\s", re.MULTILINE)),
    ("tabs", re.compile(r"\t")),
    *(("jupyter", pattern) for pattern, _ in JUPYTER_ONLY),
    *(
        (what, re.compile(f"[{''.join(map(chr, table))}]"))
        for what, table in (("invisible", INVISIBLE), ("quotes", QUOTES), ("signs", SIGNS))
    ),
)
ALL = frozenset({"invisible", "tabs", "quotes", "signs", "jupyter", "dedent"})


@dataclass(frozen=True, kw_only=True)
class Mended:
    """A cell's text, of as many lines as before, and what was done to it, in the words of `TOLD`.

    `jupyter` is among these words where lines fell that only Jupyter understands.
    """

    text: str
    done: frozenset[str] = frozenset()

    @property
    def note(self) -> str:
        """What the student is told."""
        return "; ".join(told for what, told in TOLD.items() if what in self.done)


def mends(source: str) -> Iterator[Mended]:
    """What a cell may have meant: one thing mended, or a conflict resolved, then all together."""
    yield mend(source, {"jupyter"})
    yield Mended(text=textwrap.dedent(source))  # Jupyter does so too
    yield mend(textwrap.dedent(source), {"jupyter"})
    yield mend(source, {"prompts"})
    for side in less_todo(source):
        yield mend(side, {"jupyter"}, done={"conflict"})
        yield from _together(side, {"conflict"})  # before the other side, which has more TODOs
    for what in ("invisible", "tabs", "quotes", "signs"):
        yield mend(source, {what})
    yield mend(source, {"tabs"}, tab=8)
    yield Mended(text=source.translate(QUOTES), done=frozenset({"quotes"}))
    yield from _together(source)


def _together(source: str, done: Set[str] = frozenset()) -> Iterator[Mended]:
    prompts = {"prompts"} & _causes(source)
    for what in (ALL, ALL | prompts)[: 1 + len(prompts)]:
        for tab in (4, 8)[: 1 + ("\t" in source)]:
            yield mend(source, what, tab=tab, done=done)


def _causes(source: str) -> set[str]:
    """What there may be to mend, at a glance."""
    return {what for what, cause in CAUSES if cause.search(source)}


def less_todo(source: str) -> list[str]:
    """Both sides of the merge conflicts, the one with fewer TODOs first, ours when alike."""
    return sorted(sides(source), key=lambda side: side.count('("TODO'))


def by_itself(source: str) -> Mended:
    """A cell of which single statements will be mended: so that each begins where a line does."""
    side = next(iter(less_todo(source)), source)
    done = {"conflict"} if side != source else set()
    if PROMPT.match(side.lstrip()):
        side, done = PROMPT.sub("", side), {*done, "prompts"}
    if not any(line[:1].strip() for line in side.split("\n")):
        return mend(side, {"invisible", "dedent"}, done=done)
    return Mended(text=side, done=frozenset(done))


def mend(source: str, what: Set[str], *, tab: int = 4, done: Set[str] = frozenset()) -> Mended:
    """The source with `what` undone of what `TOLD` names; `done` was done to it before."""
    made, what = set(done), what & _causes(source)
    if not what:
        return Mended(text=source, done=frozenset(made))
    if "prompts" in what:
        source = PROMPT.sub("", source)
        made.add("prompts")
    text, strings = _hidden(source, what, made)
    if "jupyter" in what and (left := _without_jupyter(text)) != text:
        text = left
        made.add("jupyter")
    if "tabs" in what and (wide := text.expandtabs(tab)) != text:
        text = wide
        made.add("tabs")
    if "dedent" in what:
        text = textwrap.dedent(text)
    shown = HIDDEN.sub(lambda match: strings[int(match[1])], text)
    return Mended(text=shown, done=frozenset(made))


def _hidden(source: str, what: Set[str], made: set[str]) -> tuple[str, list[str]]:
    """The source with a mark for each string, and the strings; `made` learns what was replaced."""
    strings: list[str] = []

    def hide(string: str) -> str:
        strings.append(string)
        return f"\ue000{len(strings) - 1}\ue001"

    def replace(match: re.Match[str]) -> str:
        kind, found = match.lastgroup, match[0]
        if kind in ("text", "words", "word", "long", "double", "single"):
            if "quotes" not in what:
                return hide(found)
            made.add("quotes")
            return hide(_quoted(match))
        for each, table in (("invisible", INVISIBLE), ("quote", QUOTES), ("sign", SIGNS)):
            group = each if each == "invisible" else f"{each}s"
            if kind == each and group in what:
                made.add(group)
                return found.translate(table)
        return hide(found) if found[0] in "\"'" else MARKS.sub("", found)

    return TOKEN.sub(replace, source), strings


def _quoted(match: re.Match[str]) -> str:
    """The string between plain quotes, of a kind that it does not hold."""
    if match["long"]:
        return f'"""{match["text"]}"""'
    inside = match["words"] if match["double"] else match["word"]
    quote = '"' if (match["double"] and '"' not in inside) or "'" in inside else "'"
    return quote + inside + quote


def _without_jupyter(source: str) -> str:
    for pattern, instead in JUPYTER_ONLY:
        source = pattern.sub(lambda match, to=instead: _same_height(match, to), source)
    return source


def _same_height(match: re.Match[str], instead: str) -> str:
    """The replacement, with as many lines as what it replaces."""
    return match.expand(instead) + "\n" * match[0].count("\n")

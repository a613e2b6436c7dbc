"""Characters that a PDF, a web page or a word processor puts in the place of Python's, put back.

Strings and comments stay as they are: what is not Python's is replaced around them. A string
between typographic quotes is one too, and keeps what is between them.
"""

import re

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
REPAIRED = "characters that only look like Python's (curly quotes, long dashes) were replaced"


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

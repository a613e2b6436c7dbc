"""Sanitize text from students for reports, tables, pages and terminals.

Names of files, folders and people and the output of submitted code may contain terminal escapes,
lone surrogates, or bytes that are not text.
"""

import codecs
import re
from collections.abc import Iterable

MOST_TEXT = 2_000  # characters of a message or a hint
UNPRINTABLE = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
BREAKS = re.compile("[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
HALF = re.compile("[\ud800-\udfff]")  # of a pair, or a byte as `os.fsdecode` has it
TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # the order in which text is read


def printable(text: str) -> str:
    """Remove control codes and broken Unicode; the result is valid in XML as well."""
    return UNPRINTABLE.sub("", text.replace("\r\n", "\n"))


def clean(text: str) -> str:
    """Bounded text without control codes and broken Unicode, for any report."""
    text = printable(text)
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 2] + " …"


def one_line(text: str) -> str:
    """Text that stays on its line and in its cell, in the order in which it is written.

    >>> one_line("done\\x1b[2J\\r\\ngraded 2 of 2.png")
    'done graded 2 of 2.png'
    """
    return TURNS.sub("", clean(BREAKS.sub(" ", text)))


def shown(name: str) -> str:
    """A name as one line, whatever bytes the disk has for it: those that are not text are replaced.

    >>> shown("m\\udcfcller") == "m\\N{REPLACEMENT CHARACTER}ller"
    True
    """
    return one_line(HALF.sub("\N{REPLACEMENT CHARACTER}", name))


MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MAX_NAME = 80  # characters of a name in a sentence
MAX_NAMES = 20  # in one sentence
MAX_SENTENCE = 600  # characters
MAX_NOTES = 20  # sentences about one thing: a file, all files, the definitions


def short(text: object, most: int = MAX_NAME) -> str:
    text = str(text)
    end = most // 3
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[-end:]}"


def listed(names: Iterable[str]) -> str:
    all_names = list(dict.fromkeys(names))
    shown = ", ".join(map(short, all_names[:MAX_NAMES]))
    more = len(all_names) - MAX_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def bounded(notes: Iterable[str]) -> list[str]:
    """Sentences for a student: each once, of bounded length, and of bounded number."""
    sentences = list(dict.fromkeys(notes))
    shown = [short(sentence, MAX_SENTENCE) for sentence in sentences[:MAX_NOTES]]
    more = len(sentences) - MAX_NOTES
    return [*shown, f"… and {more} more like these"] if more > 0 else shown


def decode(data: bytes) -> tuple[str, list[str]]:
    r"""Text with Unix newlines and without NUL, and what had to be repaired to get it.

    >>> decode("\ufeffa\r\nb".encode())
    ('a\nb', [])
    """
    mark, encoding = next((each for each in MARKS if data.startswith(each[0])), (b"", "utf-8"))
    body, notes = data[len(mark) :], []
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError:
        encoding = "cp1252" if encoding == "utf-8" else encoding
        text = body.decode(encoding, errors="replace")
    if encoding != "utf-8":
        name = {"cp1252": "Windows-1252"}.get(encoding, "UTF-16")
        notes.append(f"the file was read as {name}: save it as UTF-8")
    return plain(text.replace("\0", "")), notes


def plain(text: str) -> str:
    """`text` with Unix newlines and without lone surrogates, which Python refuses to parse."""
    return HALF.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))

"""Bytes to text, and sentences of a bounded length."""

import codecs
import re
from collections.abc import Iterable

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MAX_NAME = 80  # characters of a name in a sentence
MAX_NAMES = 20  # in one sentence
MAX_SENTENCE = 600  # characters
MAX_NOTES = 20  # sentences about one thing: a file, all files, the definitions
SURROGATE = re.compile("[\ud800-\udfff]")


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
    """What a student reads of all these sentences: each once, none endless, and not all of many."""
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
    """`text` with Unix newlines and without halves of characters, which Python refuses to parse."""
    return SURROGATE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))

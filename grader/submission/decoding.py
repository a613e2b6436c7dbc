"""Bytes to text, whatever wrote them; and the two sides of a merge conflict."""

import codecs
import re
from collections.abc import Iterable, Iterator

MARKS = (  # the longer first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
SAMPLE = 1000  # bytes to guess an unmarked encoding from
MAX_LINES = 1_000_000  # of a file in which merge conflicts are looked for
MAX_NAME = 80  # characters of a name in a sentence
MAX_NAMES = 20  # in one sentence
MAX_SENTENCE = 600  # characters
MAX_NOTES = 20  # sentences about one thing: a file, all files, the definitions
SURROGATE = re.compile("[\ud800-\udfff]")
MARK = re.compile(r"(<{7}|\|{7}|={7}|>{7})(?: .*)?")


def short(text: object, most: int = MAX_NAME) -> str:
    """Text of at most so many characters: of a longer one its start and its end."""
    text = str(text)
    end = most // 3
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[-end:]}"


def listed(names: Iterable[str]) -> str:
    """Names one after another, and how many more there are."""
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
    r"""Text with Unix newlines and without NUL, and what had to be mended to get it.

    >>> decode("\ufeffa\r\nb".encode())
    ('a\nb', [])
    """
    mark, encoding = next((each for each in MARKS if data.startswith(each[0])), (b"", ""))
    body = data[len(mark) :]
    notes = []
    if not encoding:
        encoding = _guess(body)
    if encoding != "utf-8":
        notes.append(f"the file was {encoding.upper()} and was read as such: save it as UTF-8")
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError:
        text = body.decode(encoding, errors="replace")
        notes.append("some bytes were no text and were replaced: save the file as UTF-8")
    if "\0" in text:
        text = text.replace("\0", "")
        notes.append("NUL bytes were removed")
    return plain(text), notes


def _guess(body: bytes) -> str:
    """UTF-16 without its mark shows as a NUL in every second byte of what is mostly ASCII."""
    sample = body[:SAMPLE]
    for encoding, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        half, other = sample[first::2], sample[1 - first :: 2]
        if len(half) > 3 and half.count(0) > 0.8 * len(half) and other.count(0) < 0.1 * len(half):
            return encoding
    return "utf-8"


def plain(text: str) -> str:
    """`text` with Unix newlines and without halves of characters, which Python refuses to parse."""
    return SURROGATE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def sides(text: str) -> Iterator[str]:
    """The text with every merge conflict resolved to our side, then to theirs; nothing without."""
    if "\n=======\n" not in text or "<<<<<<<" not in text or text.count("\n") > MAX_LINES:
        return
    kept: dict[str, list[str]] = {"<": [], "=": []}
    state = ""
    for line in text.split("\n"):
        mark = MARK.fullmatch(line)
        if mark:
            state = "" if line[0] == ">" else line[0]
            continue
        for side, lines in kept.items():
            if state in ("", side):
                lines.append(line)
    yield from ("\n".join(lines) for lines in kept.values())

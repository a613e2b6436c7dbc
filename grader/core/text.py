"""Text that somebody else chose, as it may stand in a report, a table, a page or on a terminal.

Names of files and folders, of people, and what submitted code prints: all of it may hold terminal
escapes, half a character, or bytes that are not text at all.
"""

import re

MOST_TEXT = 2_000  # characters of a message or a hint
UNPRINTABLE = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
BREAKS = re.compile("[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
HALF = re.compile("[\ud800-\udfff]")  # of a pair, or a byte as `os.fsdecode` has it
TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # the order in which text is read


def printable(text: str) -> str:
    """Text without control codes and broken Unicode; what is left is text for XML as well."""
    return UNPRINTABLE.sub("", text.replace("\r\n", "\n"))


def clean(text: str) -> str:
    """Text as it may stand in any report: no control codes, no broken Unicode, not endless."""
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

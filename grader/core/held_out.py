"""Recordings of people that students do not have, in $KWS_GRADER_DATA (`grader hold-out`)."""

import hashlib
from pathlib import Path

from kws.data.course_data import ABOUT, SPEAKERS, WORDS, of_people
from kws.data.listing import LIST_FILES
from kws.data.speaker_layout import METADATA

VARIABLE = "KWS_GRADER_DATA"
TABLES = {WORDS: LIST_FILES["testing"], SPEAKERS: METADATA}


def held_out(name: str) -> Path | None:
    """Folder of held-out words or speakers; UsageError if the variable names no folder."""
    return of_people(name, VARIABLE)


def fingerprint(number: str) -> str:
    """Hash of the held-out recordings, for the digest of an assignment's checks."""
    name = ABOUT.get(number)
    folder = held_out(name) if name else None
    if name is None or folder is None:
        return ""
    return hashlib.sha256((folder / TABLES[name]).read_bytes()).hexdigest()


def hidden(number: str, what: str) -> str:
    """How to name an assignment's test examples in text: hidden, or held-out ones of people."""
    return f"held-out {what} of people" if held_out(ABOUT[number]) else f"hidden {what}"

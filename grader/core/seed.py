"""The instructor's secrets: the seed of all hidden inputs, and recordings that no student has.

The seed is read from `KWS_GRADER_SEED` or the file `KWS_GRADER_SEED_FILE`. The default,
"development", is known to everyone who has this repository.

Each name has its own stream: `secret.generator("qkv")` gives the same numbers whatever ran before.
Recordings of people are in $KWS_GRADER_DATA (`grader hold-out`).
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch

from kws.data.course_data import ABOUT, SPEAKERS, WORDS, of_people
from kws.data.listing import LIST_FILES
from kws.data.speaker_layout import METADATA
from kws.errors import UsageError

VARIABLE, FILE_VARIABLE = "KWS_GRADER_SEED", "KWS_GRADER_SEED_FILE"
DEVELOPMENT = "development"
RECORDINGS = "KWS_GRADER_DATA"
TABLES = {WORDS: LIST_FILES["testing"], SPEAKERS: METADATA}


class Seed:
    def __init__(self, text: str = DEVELOPMENT):
        if not text.strip():
            raise UsageError(
                "the secret seed is empty: give it any text that students cannot guess"
            )
        self._key = text.strip().encode()

    def __repr__(self) -> str:
        return f"Seed(id={self.id!r})"

    @cached_property
    def id(self) -> str:
        """Identify the seed in a report; slow to compute, so that guessing takes long."""
        if self._key == DEVELOPMENT.encode():
            return DEVELOPMENT
        return hashlib.scrypt(self._key, salt=b"kws seed id", n=2**14, r=8, p=1, dklen=6).hex()

    def number(self, name: str) -> int:
        drawn = hmac.digest(self._key, name.encode(), "sha256")
        return int.from_bytes(drawn[:8], "big") >> 1

    def generator(self, name: str) -> torch.Generator:
        return torch.Generator().manual_seed(self.number(name))


def read_seed(environ: Mapping[str, str] = os.environ) -> Seed:
    """Read the seed from the environment; UsageError for two seeds or an unreadable file."""
    text = read_seed_text(environ)
    return Seed() if text is None else Seed(text)


def read_seed_text(environ: Mapping[str, str] = os.environ) -> str | None:
    """The seed as it is given, None without one; UsageError as in `read_seed`."""
    text, file = environ.get(VARIABLE), environ.get(FILE_VARIABLE)
    if text is not None and file is not None:
        empty = [name for name in (VARIABLE, FILE_VARIABLE) if not environ[name]]
        both = f"{' and '.join(empty)} is set, but empty: unset it" if empty else ""
        raise UsageError(both or f"{VARIABLE} and {FILE_VARIABLE} are both set: unset one of them")
    try:
        text = text if file is None else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{FILE_VARIABLE}={file} cannot be read as text: {error}") from None
    if text is not None:
        Seed(text)  # refuses an empty one
    return text


def held_out(name: str) -> Path | None:
    """Folder of held-out words or speakers; UsageError if the variable names no folder."""
    return of_people(name, RECORDINGS)


def held_out_digest(number: str) -> str:
    """Hash of the held-out recordings, for the digest of an assignment's checks."""
    name = ABOUT.get(number)
    folder = held_out(name) if name else None
    if name is None or folder is None:
        return ""
    return hashlib.sha256((folder / TABLES[name]).read_bytes()).hexdigest()


def hidden(number: str, what: str) -> str:
    """How to name an assignment's test examples in text: hidden, or held-out ones of people."""
    return f"held-out {what} of people" if held_out(ABOUT[number]) else f"hidden {what}"

"""The instructor's secrets: the seed of all hidden inputs, and recordings that no student has.

The seed is read from `KWS_GRADER_SEED` or the file `KWS_GRADER_SEED_FILE`. The default,
"development", is known to everyone who has this repository.

Each name has its own stream: `secret.generator("qkv")` gives the same numbers whatever ran before.
Recordings of people are in $KWS_GRADER_DATA (`grader hold-out`). What is made from a seed is made
once (`MadeOnce`): a forked process may make it and give it back.
"""

import hashlib
import hmac
import io
import os
from collections.abc import Callable, Mapping
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

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


P = ParamSpec("P")
T = TypeVar("T")

_functions: dict[str, "MadeOnce[..., Any]"] = {}


class MadeOnce(Generic[P, T]):
    """A cached function of positional numbers and texts."""

    def __init__(self, make: Callable[P, T]) -> None:
        self._make = make
        self.kept: dict[tuple[Any, ...], T] = {}
        self.cache_clear = self.kept.clear
        _functions[f"{make.__module__}.{make.__qualname__}"] = self
        update_wrapper(self, make)

    def __call__(self, *arguments: P.args, **options: P.kwargs) -> T:
        if arguments not in self.kept:
            self.kept[arguments] = self._make(*arguments, **options)
        return self.kept[arguments]


def names_kept() -> set[tuple[str, tuple[Any, ...]]]:
    return {(name, given) for name, one in _functions.items() for given in one.kept}


def dump_results(besides: set[tuple[str, tuple[Any, ...]]]) -> bytes:
    new = {each: _functions[each[0]].kept[each[1]] for each in names_kept() - besides}
    written = io.BytesIO()
    torch.save(new, written)  # views of one storage stay that
    return written.getvalue()


def add_results(data: bytes) -> None:
    new = torch.load(io.BytesIO(data), weights_only=False)
    for (name, given), value in new.items():
        _functions[name].kept[given] = value

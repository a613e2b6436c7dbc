"""What a corpus was made to: the record beside it, by which the same one is found again."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kws.errors import UsageError
from kws.files import atomic_folder, lock

WAIT = 0.1  # seconds between two checks for the end of another process


def is_made(out: Path, record: str, recipe: dict[str, Any]) -> bool:
    """Whether `out` was made to this very `recipe`; UsageError for something else in the way."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        made = json.loads((out / record).read_text())["recipe"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        raise UsageError(
            f"{out} exists and is not a finished corpus: choose a new folder, or remove it"
        ) from None
    if made == recipe:
        return True
    differing = ", ".join(key for key in recipe if made.get(key) != recipe[key])
    raise UsageError(
        f"{out} has another corpus (it differs in {differing}): choose a new folder, or remove it"
    )


@contextmanager
def corpus_folder(out: Path, record: str, recipe: dict[str, Any]) -> Iterator[Path | None]:
    """A folder to fill, which becomes `out`; None where that is made, by another process too."""
    if is_made(out, record, recipe):
        yield None
        return
    turn = out.with_name(f".{out.name[:100]}.lock")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = turn.open("ab")
    except OSError as error:
        error.filename = os.fspath(out)  # not a name that was made up here
        raise
    with file:
        while lock(file) is False:
            time.sleep(WAIT)
        try:
            if is_made(out, record, recipe):
                yield None
            else:
                with atomic_folder(out) as folder:
                    yield folder
        finally:
            turn.unlink(missing_ok=True)


def describe_seed(seed: int | str) -> int | str:
    """What may be written down about a seed: a number itself, of a text (a secret) a fingerprint.

    >>> describe_seed(0), describe_seed("not for students")
    (0, 'sha256:63a00736')
    """
    if isinstance(seed, int):
        return seed
    return "sha256:" + hashlib.sha256(f"fingerprint of {seed}".encode()).hexdigest()[:8]

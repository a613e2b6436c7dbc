"""What a corpus was made to: the record beside it, by which the same one is found again."""

import hashlib
import json
from pathlib import Path
from typing import Any

from kws.errors import UsageError


def is_made(out: Path, record: str, recipe: dict[str, Any]) -> bool:
    """True where `out` was made to this very `recipe`, as its file `record` says; False where `out`
    is free.

    Raises UsageError where something else is in the way.
    """
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
        f"{out} holds another corpus (it differs in {differing}): choose a new folder, or remove it"
    )


def recorded_seed(seed: int | str) -> int | str:
    """What may be written down about a seed: a number itself, of a text (a secret) a fingerprint.

    >>> recorded_seed(0), recorded_seed("not for students")
    (0, 'sha256:63a00736')
    """
    if isinstance(seed, int):
        return seed
    return "sha256:" + hashlib.sha256(f"fingerprint of {seed}".encode()).hexdigest()[:8]

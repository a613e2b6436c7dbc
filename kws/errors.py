"""The one exception that means: the input is at fault, and here is the cure."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """Bad input: one sentence that names the file or argument and what to do about it.

    The command line prints the sentence and exits with code 2; in a notebook it is a ValueError.
    """


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` is due to a lack of memory, on the CPU or on a GPU.

    torch raises a RuntimeError for most of these, recognized by its words.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shapes differ"))
    (True, False)
    """
    words = (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "calculation overflowed",
    )
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest of `known`, or the empty string.

    >>> did_you_mean("warmup_step", ["warmup_steps", "lr"])
    " (did you mean 'warmup_steps'?)"
    >>> did_you_mean("zebra", ["lr"])
    ''
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""

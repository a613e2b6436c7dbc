"""What the known mistakes of assignment 1 would say of clips: splits, labels, counts, covers.

`splits_of` and `pairs_of` read what a student's functions return. A mistake of one function is
hint -> value, for `suspects`; where it only shows for some inputs, its value is the right one for
the others.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from grader.grading.feedback import Failure, name_of
from kws.protocols import COMMANDS, SPLITS

LABELS = ("_silence_", "_unknown_", *COMMANDS)


def splits_of(student: Any, names: list[str]) -> list[str]:
    """What which_split says of each; Failure for anything but the name of a split."""
    found = [student.which_split(name) for name in names]
    for one in found:
        if not isinstance(one, str) or one not in SPLITS:
            hint = "is there a `return`?" if one is None else ""
            expected = " or ".join(map(repr, SPLITS))
            raise Failure(f"which_split gives {name_of(one)}, expected {expected}", hint)
    return found


def sha1_percent(text: str, modulus: int = 2**27) -> float:
    """Where a text falls by the split rule, or by one with another remainder."""
    number = int(hashlib.sha1(text.encode()).hexdigest(), 16)
    return number % modulus * 100 / (2**27 - 1)


def by_percent(percent: float, names: Sequence[str] = ("validation", "testing", "training")) -> str:
    """The split of a percentage; `names` are those below 10, below 20, and above."""
    return names[0] if percent < 10 else names[1] if percent < 20 else names[2]


def split_mistakes(name: str) -> dict[str, str]:
    """Of `which_split(name)`."""
    file = name.rpartition("/")[2]
    speaker = file.partition("_nohash_")[0]
    percent = sha1_percent(speaker)
    return {
        "is the recording's number still in what you hash? Only the speaker counts": by_percent(
            sha1_percent(file)
        ),
        "is the folder still in what you hash? only the speaker counts": by_percent(
            sha1_percent(name.partition("_nohash_")[0])
        ),
        "is the whole name still in what you hash? only the speaker counts": by_percent(
            sha1_percent(name)
        ),
        "validation is below 10, testing from there to 20": by_percent(
            percent, ("testing", "validation", "training")
        ),
        "the remainder is by 2 ** 27, the division by 2 ** 27 - 1": by_percent(
            sha1_percent(speaker, 2**27 - 1)
        ),
        "testing is from 10 to 20 percent: is it the rest here?": by_percent(
            percent, ("validation", "training", "testing")
        ),
        "is it in percent? the two bounds are": by_percent(percent / 100),
    }


def label_mistakes(words: Sequence[str]) -> dict[str, list[int]]:
    """Of the labels of these words, as `choose_clips` gives them."""
    orders = {
        "labels are places in LABELS: are these places in COMMANDS?": COMMANDS,
        "labels are places in LABELS: are the labels sorted here?": sorted(LABELS),
        "labels are places in LABELS: are the commands sorted here?": (
            *LABELS[:2],
            *sorted(COMMANDS),
        ),
        "labels are places in LABELS: silence and unknown come first": (*COMMANDS, *LABELS[:2]),
    }
    return {hint: [order.index(word) for word in words] for hint, order in orders.items()}


def pairs_of(student: Any, names: list[str], **options: Any) -> list[tuple[str | None, int]]:
    """What choose_clips returns, as pairs; Failure for anything else."""
    pairs = student.choose_clips(names, **options)
    what = "choose_clips(names)"
    if not isinstance(pairs, list | tuple):
        hint = "is there a `return`?" if pairs is None else ""
        raise Failure(f"{what} is {name_of(pairs)}, expected a list of pairs", hint)
    known = set(names)
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise Failure(f"{what} holds {name_of(pair)}, expected pairs (name or None, index)")
        if type(pair[1]) is not int or not 0 <= pair[1] < len(LABELS):
            hint = "the label is the place of a class in LABELS" if isinstance(pair[1], str) else ""
            raise Failure(f"{what} holds the label {name_of(pair[1])}, expected 0 to 11", hint)
        if pair[0] is not None and not (isinstance(pair[0], str) and pair[0] in known):
            hint = "nothing is recorded for silence: its name is None" if pair[1] == 0 else ""
            raise Failure(f"{what} holds {name_of(pair[0])}, which is no name in the list", hint)
    named = [name for name, _ in pairs if name is not None]
    if len(set(named)) < len(named):
        raise Failure(f"{what} holds a clip twice", "draw without putting back: shuffle")
    return [(name, label) for name, label in pairs]


def count_mistakes(commands: int, others: int) -> dict[str, tuple[int, int]]:
    """Of the numbers of silent and unknown clips beside so many of commands and other words."""
    extra, of_all, of_others = (-(-n // 10) for n in (commands, commands + others, others))
    return {
        "are other words cut down to 10 % of the commands?": (extra, others),
        "10 % of the clips of commands, not of all clips": (of_all, of_all),
        "10 % of the clips of commands, not of the other ones": (of_others, of_others),
        "is there silence?": (0, extra),
        "are there clips of other words?": (extra, 0),
        "as much silence as unknown: 10 % of the commands": (-(-(commands + extra) // 10), extra),
    }


def cover_mistakes(mel: Tensor) -> dict[str, Tensor]:
    """Of what `spec_augment(mel, ...)` covers cells with."""
    values = {
        "covered cells get the mean, not 0: in a log-mel, 0 is loud": torch.zeros_like(mel),
        "the mean of each example, not of the batch": mel.mean(),
        "the mean of the example, not of each band": mel.mean(1, keepdim=True),
        "the mean of the example, not of each frame": mel.mean(2, keepdim=True),
        "the mean, not the smallest value": mel.amin((1, 2), keepdim=True),
    }
    return {hint: value.expand_as(mel) for hint, value in values.items()}

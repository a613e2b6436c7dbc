"""Nonsense sentences of 6 to 12 words for speaker recognition; training and test words differ.

Those of "talk" also have small words and those of Speech Commands, like what people say in a room.
"""

import numpy as np

from kws.data.embedded.lists import read_list
from kws.data.protocols import V2_WORDS

SHORTEST, LONGEST = 6, 12  # words
WORDS = {split: read_list(split) for split in ("training", "testing")}
WORDS["talk"] = WORDS["training"] + V2_WORDS + 2 * read_list("small")


def draw_sentence(rng: np.random.Generator, split: str) -> str:
    """6 to 12 words of a `split`, or of "talk", perhaps with a comma, and a full stop."""
    words = list(rng.choice(WORDS[split], size=rng.integers(SHORTEST, LONGEST + 1)))
    if rng.random() < 0.5:
        words[len(words) // 2] += ","
    return " ".join(words) + "."

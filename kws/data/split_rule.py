"""The official split rule: a hash of the speaker decides, so that no voice is in two splits.

Source: TensorFlow's `speech_commands/input_data.py`, `which_set`; Warden 2018, "Speech Commands"
(https://arxiv.org/abs/1804.03209), section 7. Pure functions of names: no file is opened.
"""

import hashlib
import re
from pathlib import PurePosixPath

HASH_RANGE = 2**27  # hashes are folded into 0 … 2^27 - 1
VALIDATION_PERCENTAGE = 10
TESTING_PERCENTAGE = 10


def hash_percentage(filename: str) -> float:
    """Where a clip's speaker falls from 0 to 100: the SHA-1 of the name before `_nohash_`, folded.

    >>> f"{hash_percentage('yes/c2d15ea5_nohash_3.wav'):.6f}"
    '8.714154'
    """
    speaker = re.sub(r"_nohash_.*$", "", PurePosixPath(filename).name)
    folded = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % HASH_RANGE
    return folded * 100 / (HASH_RANGE - 1)


def which_split(filename: str) -> str:
    """The split of a clip by the official hash rule: all recordings of a speaker share one.

    >>> which_split("c2d15ea5_nohash_0.wav"), which_split("f9af823e_nohash_0.wav")
    ('validation', 'training')
    """
    percentage = hash_percentage(filename)
    if percentage < VALIDATION_PERCENTAGE:
        return "validation"
    if percentage < VALIDATION_PERCENTAGE + TESTING_PERCENTAGE:
        return "testing"
    return "training"

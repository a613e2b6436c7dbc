"""Training data of notebooks 3 to 5, and the accuracies that earn points, in two profiles.

    laptop   the embedded corpora, made on this machine: 120 voices say words, 100 say sentences
    people   human recordings in the folder $KWS_COURSE, made by `python -m grader hold-out`
               words/      Speech Commands v0.02, or clips in its layout
               speakers/   features in the layout of the speaker homework, with test_labels.csv

What is missing in $KWS_COURSE is taken from the embedded corpora. Both use the same notebooks.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from kws.data.embedded.corpus import make_corpus
from kws.data.embedded.speaker_corpus import make_speaker_corpus
from kws.errors import UsageError
from kws.files import cache_dir

VARIABLE = "KWS_COURSE"
WORDS, SPEAKERS = "words", "speakers"
ABOUT: Mapping[str, str] = MappingProxyType({"03": SPEAKERS, "04": SPEAKERS, "05": WORDS})
# (all points, none), published and not measured here. Speakers: the simple and the medium baseline
# of the homework of 2023 (0.66025, 0.81750), whole utterances of 600 speakers. Words: the best
# Transformer of the Speech Commands report, 12 classes (86.67 %). None: some times chance.
PUBLISHED: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"03": (0.66, 0.10), "04": (0.81, 0.10), "05": (0.86, 0.20)}
)


def course_words(*, progress: bool = True) -> tuple[Path, str]:
    """The folder with clips of words, and the name of its protocol, of twelve classes.

    Made on the first call on a laptop: half a minute on two cores. Raises UsageError if $KWS_COURSE
    has neither words/ nor speakers/.
    """
    if folder := of_people(WORDS):
        return folder, "v2-12"
    return embedded_words(progress=progress), "embedded-12"


def course_speakers(*, progress: bool = True) -> Path:
    """The folder with features of sentences, for `kws.data.speakers.load_speakers`.

    The first call on a laptop makes the embedded corpus: half a minute on two cores. Raises
    UsageError: $KWS_COURSE names no folder with words/ or speakers/.
    """
    if folder := of_people(SPEAKERS):
        return folder
    return embedded_speakers(progress=progress)


def embedded_words(*, progress: bool = True) -> Path:
    return make_corpus(cache_dir() / "course-words", size="mini", progress=progress)


def embedded_speakers(*, progress: bool = True) -> Path:
    return make_speaker_corpus(
        cache_dir() / "course-speakers", speakers=100, utterances=10, progress=progress
    )


def bounds(number: str, *, full: float, none: float, variable: str = VARIABLE) -> dict[str, float]:
    """The accuracies for all points and for none: these, or on recordings of people published ones.

    >>> bounds("05", full=0.87, none=0.40)
    {'full': 0.87, 'none': 0.4}
    """
    if number in ABOUT and of_people(ABOUT[number], variable):
        full, none = PUBLISHED[number]
    return {"full": full, "none": none}


def of_people(name: str, variable: str = VARIABLE) -> Path | None:
    """The folder `words` or `speakers` in the one that a variable names; UsageError for another."""
    if not (named := os.environ.get(variable)):
        return None
    if not any(Path(named, each).is_dir() for each in (WORDS, SPEAKERS)):
        raise UsageError(
            f"{variable}={named}: no folder with {WORDS}/ or {SPEAKERS}/: name one that "
            "python -m grader hold-out made, or unset the variable"
        )
    folder = Path(named, name)
    return folder if folder.is_dir() else None

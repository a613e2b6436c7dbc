"""The contract of each task: what is done with an answer, in the notebook and when it is graded.

Pure torch; no answer to a task is imported here, and no expected value is computed here.
"""

from kws.contracts import (
    attention,
    codes,
    conformer,
    features,
    image,
    keyword,
    recognizer,
    speakers,
    speaking,
)
from kws.contracts.trial import Trial, all_trials, find_trial

__all__ = [
    "Trial",
    "all_trials",
    "attention",
    "codes",
    "conformer",
    "features",
    "find_trial",
    "image",
    "keyword",
    "recognizer",
    "speakers",
    "speaking",
]

"""Where additions of an instructor lie: mistakes of a class, one file an assignment."""

import os
from pathlib import Path

from grader import ROOT

VARIABLE = "KWS_GRADER_MISTAKES"


def added_path(number: str) -> Path:
    own = next((ROOT / "grader" / "course").glob(f"a{number}_*"), ROOT / "grader" / "course")
    return Path(os.environ.get(VARIABLE) or own) / f"added_{number}.toml"

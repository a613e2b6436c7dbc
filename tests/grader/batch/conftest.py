"""A class to grade."""

from pathlib import Path

import pytest

from grader import ROOT

SOLUTION = ROOT / "solutions" / "02_attention.py"


@pytest.fixture
def hand_in(tmp_path):
    """`hand_in("alice", text)` puts an answer to assignment 2 into a class; returns the class."""

    def put(student: str, text: str | None = None, name: str = "02_attention.py") -> Path:
        folder = tmp_path / "class"
        (folder / student).mkdir(parents=True, exist_ok=True)
        source = SOLUTION.read_text(encoding="utf-8") if text is None else text
        (folder / student / name).write_text(source, encoding="utf-8")
        return folder

    return put

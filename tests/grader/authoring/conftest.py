"""A small course: two solutions with all that a solution may hold."""

from pathlib import Path

import pytest

from tests.grader.conftest import code_beside

CODE = code_beside(__file__)
ATTENTION = CODE["attention"]
SOUND, ANSWER = CODE["sound"], CODE["answer"]


@pytest.fixture
def course(tmp_path) -> Path:
    """A repository with two solutions."""
    folder = tmp_path / "course"
    (folder / "solutions").mkdir(parents=True)
    (folder / "solutions" / "01_sound.py").write_text(SOUND, encoding="utf-8")
    (folder / "solutions" / "02_attention.py").write_text(ATTENTION, encoding="utf-8")
    return folder

"""A class in which one student hands in each thing that ever lost one: nobody else notices."""

import csv
import io
import os
import shutil
from pathlib import Path

import pytest

from grader.batch.grade_class import Settings, grade_class
from grader.batch.grade_commands import summary
from grader.batch.workers import Workers
from tests.grader.batch.conftest import SOLUTION
from tests.grader.batch.made_up import nested

BLANK = "def attend(q, k, v, valid=None):\n    raise NotImplementedError('TODO 2.1')\n"
NAMES = [
    b"m\xfcller",
    b"m\xf6ller",
    "😀".encode() * 60,
    "😀".encode() * 61,
    "mallory\ufffe".encode(),
    "\x9b31m\u202e".encode(),
    b"\x1b[2J\x1b]0;owned\x07\r\ngraded 2 of 2",
    b"=cmd()",
]


@pytest.fixture
def inbox(tmp_path):
    """Three honest students, and the others."""
    folder = tmp_path / "class"
    for name in NAMES:
        _put(folder, name, b"02_attention.py", BLANK)
    _put(folder, b"no-answer", b"\x1b[2J\xdc\r\ngraded 2 of 2.png", "")
    _put(folder, b"future", b"02_attention.py", BLANK)
    os.utime(folder / "future" / "02_attention.py", (2.0**33, 2.0**33))
    _put(folder, b"locked", b"02_attention.py", BLANK)
    _put(folder, b"deep", b"02_attention.py", BLANK)
    _put(folder, b".", b"5_mallory.safetensors", "")
    _put(folder, b".", b"\x1b[2J\xdc\n.csv", "")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "right").mkdir()
    shutil.copyfile(SOLUTION, folder / "right" / "02_attention.py")
    shutil.copyfile(SOLUTION, folder / "flat_02_attention.py")
    _put(folder, b".", b"flat_02_attention.safetensors", "")
    _put(folder, b"blank", b"02_attention.py", BLANK)
    (folder / "locked").chmod(0)
    with nested(folder / "deep", 1_100, "d"):
        yield folder
    (folder / "locked").chmod(0o755)


def _put(folder: Path, student: bytes, name: bytes, text: str) -> None:
    path = Path(os.fsdecode(b"/".join([os.fsencode(folder), student, name])))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.slow
def test_no_hostile_student_costs_an_honest_one_a_point_or_the_class_a_table(inbox, tmp_path):
    out = tmp_path / "out"
    batch = grade_class(Settings(submissions=inbox, out=out), lambda: Workers(1), show=False)
    scores = {one.submission.student: one.report.score for one in batch.graded}
    most = max(one.report.max_score for one in batch.graded)
    assert (scores["right"], scores["flat"], scores["blank"]) == (most, most, 0)
    assert sum(scores.values()) == 2 * most
    students = {*scores, *(submission.student for submission, _ in batch.unread)}
    assert len(students) == len(NAMES) + 5 + 3  # each is one, and nobody two
    assert all(line.isprintable() for line in summary(batch))
    for name in ("gradebook.csv", "canvas.csv"):
        text = (out / name).read_text(encoding="utf-8")
        assert text.replace("\n", "").isprintable()
        rows = list(csv.reader(io.StringIO(text)))
        assert len({len(row) for row in rows}) == 1
        assert not [row for row in rows if row[0].startswith("=")]
        if name == "gradebook.csv":
            assert students <= {row[0].lstrip("'") for row in rows}
    assert "\x1b" not in (out / "class.html").read_text(encoding="utf-8")
    assert {path.stem for path in (out / "pages").iterdir()} == set(scores)

"""A class through `python -m grader`: nobody stops it, nothing is lost, the same bytes again."""

import csv
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from grader import ROOT
from grader.batch.grade_class import Settings, grade_class
from grader.batch.grade_commands import summary
from grader.batch.output import Store
from grader.batch.workers import Workers
from grader.core.outcomes import Report, Verdict
from kws.course.trial import all_trials
from tests.conftest import PATIENCE
from tests.grader.batch.conftest import SOLUTION
from tests.grader.batch.made_up import nested
from tests.grader.conftest import code_beside, until

BLANK = "def attend(q, k, v, valid=None):\n    raise NotImplementedError('TODO 2.1')\n"
BOMB = "def attend(q, k, v, valid=None):\n    import os\n    os._exit(0)\n"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "grader", *map(str, arguments)]


def grader(*arguments: object, **more) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, **more
    )


def digests(out: Path) -> dict[str, str]:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


DUE = datetime(2026, 3, 1, tzinfo=timezone.utc)


def reports(out: Path) -> list[Path]:
    return sorted(out.glob("reports/*/02.json"))


@pytest.fixture
def students(hand_in):
    """Six students of whom no two handed in the same."""
    for number in range(6):
        folder = hand_in(f"s{number}", BLANK + f"def split_heads(x, n):\n    return {number}\n")
    return folder


@pytest.mark.slow
def test_one_bad_submission_stops_nothing_and_costs_nobody_else(hand_in, tmp_path):
    hand_in("right")
    hand_in("bomb", BOMB)
    hand_in("garbage", '{"cells": [{', name="02_attention.ipynb")
    folder = hand_in("blank", BLANK)
    (folder / "empty").mkdir()
    out = tmp_path / "out"
    settings = Settings(submissions=folder, out=out, assignment="02")
    batch = grade_class(settings, lambda: Workers(2), show=False)
    scores = {one.submission.student: one.report.score for one in batch.graded}
    most = batch.graded[0].report.max_score
    assert scores == {"right": most, "bomb": 0, "garbage": 0, "blank": 0, "empty": 0}
    waiting = [one for one in batch.graded if one.report.verdict is Verdict.PERSON]
    assert [one.submission.student for one in waiting] == ["garbage"]  # it cannot be read
    first = digests(out)
    tables = {"remarks.json", "gradebook.csv", "canvas.csv", "class.json", ".lock"}
    of_each, pages = {"reports", "pages", "work"}, {"class.html", "similar.html"}
    assert {name.partition("/")[0] for name in first} == of_each | tables | pages
    other = Settings(submissions=folder, out=tmp_path / "again", assignment="02")
    grade_class(other, lambda: Workers(1), show=False)
    assert digests(tmp_path / "again") == first


@pytest.mark.slow
@pytest.mark.parametrize("attempts", ["last", "best"])
def test_of_several_hand_ins_of_a_group_the_last_counts_or_the_best_after_its_penalty(
    hand_in, tmp_path, attempts
):
    hand_in("ada-right")
    folder = hand_in("ada", BLANK)
    for hours, name in ((1, "ada-right"), (2, "ada")):
        when = (DUE + timedelta(hours=hours)).timestamp()
        os.utime(folder / name / "02_attention.py", (when, when))
    roster, course = tmp_path / "roster.csv", tmp_path / "course.toml"
    roster.write_text("student,folder,name\nada,ada-right,Ada\nbo,,Bo\n")
    course.write_text(
        f"attempts = '{attempts}'\nlate.per_day = 0.5\ngroups.red = ['ada', 'bo', 'bob']\n"
        f"assignments.02.deadline = {DUE.isoformat()}\n"
    )
    out = tmp_path / "out"
    settings = Settings(submissions=folder, out=out, assignment="02", roster=roster, course=course)
    batch = grade_class(settings, lambda: Workers(2), show=False)
    scores = {one.submission.student: one.report.score for one in batch.graded}
    expected = batch.graded[0].report.max_score if attempts == "best" else 0
    assert scores == {"ada": expected, "bo": expected, "bob": expected}
    late = "late by 1 h" if attempts == "best" else "late by 2 h"
    assert all(words[0].startswith(late) for words in batch.remarks.values())
    assert Store(out).about()["sources"].keys() == {"ada"}  # nobody's file is another's
    assert Store(out).about()["names"] == {"ada": "Ada", "bo": "Bo"}
    assert [note for note in batch.notes if "names bob, whom" in note]
    first = digests(out)
    grade_class(settings, lambda: Workers(1), show=False)
    assert digests(out) == first


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_from_what_it_has(students, tmp_path):
    out = tmp_path / "out"
    grading = command("grade", students, "--out", out, "--workers", 1)
    run = subprocess.Popen(grading, cwd=ROOT, stderr=subprocess.DEVNULL)
    until(lambda: len(reports(out)) >= 2)
    run.send_signal(signal.SIGKILL)
    run.wait()
    kept = reports(out)
    for path in kept:
        Report.from_json(path.read_text())  # whole
    assert 2 <= len(kept) < 6
    dates = {path: path.stat().st_mtime_ns for path in kept}
    settings = Settings(submissions=students, out=out, assignment="02")
    batch = grade_class(settings, lambda: Workers(1), show=False)
    assert len(batch.graded) == 6
    assert sum(one.kept for one in batch.graded) == len(kept)
    assert {path: path.stat().st_mtime_ns for path in kept} == dates


@pytest.mark.slow
def test_ctrl_c_says_what_is_kept_and_leaves_no_process(students, hand_in, tmp_path):
    hand_in("endless", "def attend(q, k, v, valid=None):\n    while True:\n        pass\n")
    out = tmp_path / "out"
    run = subprocess.Popen(
        command("grade", students, "--out", out, "--workers", 2),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    until(lambda: reports(out))
    below = Path(f"/proc/{run.pid}/task")
    evaluators = [p for task in below.iterdir() for p in (task / "children").read_text().split()]
    run.send_signal(signal.SIGINT)
    _, output = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130
    assert output.splitlines()[-1].startswith("grader: interrupted: ")
    assert "of 7 submissions are graded and kept in" in output
    assert evaluators
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in evaluators))


@pytest.mark.slow
def test_a_regrading_says_who_changed_although_it_was_interrupted(hand_in, tmp_path):
    folder, out = hand_in("alice", BLANK), tmp_path / "out"
    settings = Settings(submissions=folder, out=out, assignment="02")
    grade_class(settings, lambda: Workers(1), show=False)
    hand_in("alice")
    again = Settings(submissions=folder, out=out, assignment="02", again=True)
    grade_class(again, lambda: Workers(1), show=False)  # ends before it is told
    done = grader("regrade", folder, "--out", out, "--assignment", "02", "--diff", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "alice 02: 0 → 34 (+34): another submission" in done.stdout
    assert "2.1-attend-values: 0/3 → 3/3: no longer “" in done.stdout
    changes = (out / "changes.csv").read_text().splitlines()[1:]
    assert len(changes) == len(all_trials("02"))
    assert all("alice" in change for change in changes)
    assert not (out / "before").exists()


@pytest.mark.parametrize(("arguments", "words"), code_beside(__file__).items())
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, words, capsys, tmp_path, monkeypatch):
    from grader.__main__ import run

    (tmp_path / "alice").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run(arguments.split()) == 2
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    assert words.lower() in output.lower()
    assert [path.name for path in tmp_path.iterdir()] == ["alice"]


def test_the_command_line_starts_without_torch():
    code = "import sys, grader.__main__; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=PATIENCE)


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

"""Canvas and Moodle: their tables come back with grades, feedback lies in zips that they import.

`exports/canvas.csv` is written by hand after "How do I export grades in the Gradebook?"
(`canvas_names.csv` with its option for first and last names), and
`exports/moodle.csv` after Moodle's "Assignment settings: offline grading worksheet".
"""

import csv
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from grader.batch.grade_class import Settings, grade_class
from grader.batch.output import Store
from grader.batch.platforms import LANGUAGES, by_id, canvas_columns
from grader.batch.requests import answer_requests
from grader.batch.roster import read_roster
from grader.batch.student_folders import release_feedback
from grader.batch.workers import Workers
from kws.errors import UsageError
from tests.conftest import toml_of

COLUMN, EXPORTS = "Homework 2 (99123)", Path(__file__).with_name("exports")
TRANSLATED = toml_of(LANGUAGES)
CANVAS, MOODLE = ((EXPORTS / name).read_text() for name in ("canvas.csv", "moodle.csv"))


@pytest.fixture
def graded(tmp_path, report, open_report):
    """`graded(roster, **names)`: a class whose roster is a platform's table; its folder."""

    def make(text: str, ada: str, bob: str, source: str, columns: dict[str, str]) -> Store:
        path = tmp_path / "export.csv"
        path.write_text(text, encoding="utf-8")
        store = Store(tmp_path / "graded")
        store.keep_roster(path)
        for one, student in ((report, ada), (open_report, bob)):
            store.keep(replace(one, student=student).to_json())
        store.finish(names={ada: "Ada Lovelace"}, sources={ada: source}, columns=columns)
        return store

    return make


def rows(path):
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_an_export_of_canvas_comes_back_with_the_column_filled_and_all_that_identifies(graded):
    store = graded(CANVAS, "ada", "bob", "", {"02": COLUMN})
    given = list(csv.reader(io.StringIO(CANVAS)))
    head, possible, *students = rows(store.out / "canvas.csv")
    assert head == [*given[0][:5], COLUMN]
    assert (possible[0].strip(), possible[-1]) == ("Points Possible", "7")
    assert [row[:5] for row in students] == [row[:5] for row in given[3:]]
    # an open point, and who handed in nothing, leave the grade there as it is
    assert [row[5] for row in students] == ["4", "", ""]
    table = store.roster()
    assert table is not None
    notes = table.differing_points(by_id(store.grades(store.reports(), {})), {"02": COLUMN})
    assert len(notes) == 1
    assert "02 is out of 5 points, and of 7" in notes[0]


def test_names_in_two_columns_are_read_and_who_is_excused_stays_so(graded):
    store = graded((EXPORTS / "canvas_names.csv").read_text(), "ada", "bob", "", {"02": COLUMN})
    names = [one.name for one in read_roster(store.out / "roster.csv")]
    assert names == ["Lovelace, Ada", "O'Neil, Bob"]
    assert [row[-1] for row in rows(store.out / "canvas.csv")] == [COLUMN, "7", "4", "EX", ""]


def test_without_a_named_column_canvas_makes_one_with_the_points_possible(graded):
    store = graded(CANVAS, "ada", "bob", "", {})
    head, possible, first, *_ = rows(store.out / "canvas.csv")
    assert (head[-1], possible[-1], first[-1]) == ("02 Attention", "5", "4")


@pytest.mark.parametrize("language", ["en", *TRANSLATED])
def test_a_worksheet_of_moodle_comes_back_with_grades_and_nothing_else_changed(graded, language):
    local = {english: name for name, english in TRANSLATED.get(language, {}).items()}
    head, _, lines = MOODLE.partition("\n")
    text = ",".join(local.get(name.lower(), name) for name in head.split(",")) + "\n" + lines
    store = graded(text, "ada@example.org", "bob@example.org", "", {})
    given, found = list(csv.reader(io.StringIO(text))), rows(store.out / "moodle.csv")
    assert found[1][4] == "4"
    assert found[1][-1] == "4 of 5 points"
    found[1][4], found[1][-1] = "", ""
    assert found == given


@pytest.mark.parametrize(
    ("text", "ids"),
    [(CANVAS, ["ada", "bob"]), (MOODLE, ["ada@example.org", "bob@example.org", "eve@example.org"])],
)
def test_the_numbers_of_downloads_are_keys_of_the_roster(tmp_path, text, ids):
    path = tmp_path / "export.csv"
    path.write_text(text, encoding="utf-8")
    students = read_roster(path)
    assert [one.id for one in students] == ids
    assert {"4711", "815"} & {*students[0].keys}


@pytest.mark.parametrize(
    ("given", "number", "words"),
    [
        ("Homework 3 (99124)", "02", "no column 'Homework 3 .*did you mean 'Homework 2"),
        (COLUMN, None, f"names no assignment: give 02='{COLUMN[:8]}"),
    ],
)
def test_a_column_that_is_not_there_is_refused(graded, given, number, words):
    table = graded(CANVAS, "ada", "bob", "", {}).roster()
    assert canvas_columns([COLUMN], "02", table) == canvas_columns([f"02={COLUMN}"], None, table)
    with pytest.raises(UsageError, match=words):
        canvas_columns([given], number, table)


@pytest.mark.parametrize(("text", "ada", "source", "name", "inside"), [
    (CANVAS, "ada", "lovelaceada_LATE_4711_815_02_attention.ipynb", "canvas",
     "lovelaceada_LATE_4711_815_02_attention.html"),
    (MOODLE, "ada@example.org", "Ada Lovelace_815_assignsubmission_file_", "moodle",
     "Ada Lovelace_815_assignsubmission_file_/feedback.html"),
])  # fmt: skip
def test_feedback_is_a_folder_a_student_and_a_zip_that_the_platform_can_assign(
    graded, tmp_path, text, ada, source, name, inside
):
    store, out = graded(text, ada, "bob@x", source, {}), tmp_path / "feedback"
    with pytest.raises(UsageError, match=r"from 2999-01-01 .* on"):
        release_feedback(store.out, out, "2999-01-01T00:00+00:00")
    assert not out.exists()
    release_feedback(store.out, out, "2020-01-01")
    page = (out / "students" / ada / "feedback.html").read_bytes()
    assert b"<h1>Ada Lovelace" in page
    assert {path.name for path in out.iterdir()} == {"students", f"{name}.zip", f"{name}.csv"}
    with zipfile.ZipFile(out / f"{name}.zip") as archive:
        assert {one: archive.read(one) for one in archive.namelist()} == {inside: page}


def test_a_request_is_answered_with_what_changed_since_the_release(graded, tmp_path, report):
    store, folder = graded(CANVAS, "ada", "bob", "", {}), tmp_path / "requests"
    release_feedback(store.out, tmp_path / "feedback")
    text = (tmp_path / "feedback" / "students" / "ada" / "regrade.toml").read_text()
    folder.mkdir()
    (folder / "ada.toml").write_text(text)
    with pytest.raises(UsageError, match=r"ada\.toml: a request needs a task and a reason"):
        [*answer_requests(folder, store.out)]
    wanted = text.replace('task = ""', 'task = "2.1"').replace('reason = ""', 'reason = "<b>fine"')
    (folder / "ada.toml").write_text(wanted)
    _, *lines, _, _ = answer_requests(folder, store.out)
    assert lines == ["  points as before: 4", "  no answer yet"]
    better = replace(report.checks[0], earned=3, reason=None, message="")
    store.keep(replace(report, student="ada", checks=(better, report.checks[1])).to_json())
    (folder / "ada.toml").write_text(wanted + 'answer = "you are right"\n')
    (folder / "0.toml").write_text(wanted.replace("2.1", "7.1"))
    (folder / "1.toml").write_text("student = ")
    (folder / "2.toml").write_text(text.replace('"ada"', '"zoe"').replace('""', '"2.1"'))
    answering, lines = answer_requests(folder, store.out), []
    faults = r"no task '7\.1': .*; .*1\.toml is not TOML.*; .*2\.toml: no report of 'zoe'"
    with pytest.raises(UsageError, match=faults):
        lines.extend(answering)
    assert lines[1:4] == [
        "  points: 4 → 5",
        "  2.1-values: 2/3 → 3/3: no longer “off by 0.5”",
        "  answer: you are right",
    ]
    page = (folder / "answers" / "ada.html").read_text()
    assert "you are right" in page
    assert "<b>fine" not in page


@pytest.mark.slow
def test_a_download_of_canvas_is_graded_under_the_ids_of_its_export(hand_in, tmp_path):
    folder = hand_in("ada")
    (folder / "ada" / "02_attention.py").rename(folder / "lovelaceada_4711_815_02_attention.py")
    (folder / "ada").rmdir()
    roster = tmp_path / "export.csv"
    roster.write_text(CANVAS)
    options = {"assignment": "02", "roster": roster, "columns": (COLUMN,)}
    settings = Settings(submissions=folder, out=tmp_path / "out", **options)
    batch = grade_class(settings, lambda: Workers(1), show=False)
    most = batch.graded[0].report.max_score
    assert rows(tmp_path / "out" / "canvas.csv")[2][-1] == f"{most:g}"
    assert [one.id for one in batch.missing] == ["bob"]
    assert any("out of" in note for note in batch.notes)
    assert "Lovelace, Ada" in (tmp_path / "out" / "pages" / "ada.html").read_text()

"""Written answers: found wherever they stand, shown safely, marked by a CSV, never lost or 0."""

import base64
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from grader.authoring.build import build_notebook, written_questions
from grader.batch.marking import mark_written
from grader.batch.output import Store
from grader.core.outcomes import Reason, Verdict
from grader.core.seed import Seed
from grader.core.written import Mark, WrittenAnswer, with_written
from grader.course.mistakes.planted import solution
from grader.grading.marks import answer_code, marks_of, names_in, read_marks
from grader.reports.course_rules import Grade
from grader.reports.gradebook import canvas, gradebook
from grader.reports.gradescope import results
from grader.reports.page import page
from grader.reports.written_page import ShownAnswer, groups, render, written_page
from grader.submission.ipynb import find_answers
from kws.errors import UsageError
from tests.grader.batch.made_up import check
from tests.grader.conftest import code_beside

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\nanything").decode()
QUESTIONS = {each.id: each for number in ("03", "04", "05") for each in written_questions(number)}
(WANTED,) = written_questions("03")


@pytest.fixture(scope="module")
def released() -> str:
    return build_notebook(solution("03"))


def answered(released: str, text="", image: str | None = None, kind="image/png") -> dict:
    """The notebook with this in the cells for 3.A."""
    table = json.loads(released)
    for cell in table["cells"]:
        if cell["metadata"].get("kws", {}).get("written") == "3.A":
            if cell["cell_type"] == "markdown":
                cell["source"] = text
            elif image is not None:
                cell["outputs"] = [{"output_type": "display_data", "data": {kind: image}}]
    return table


def found(table: dict | str) -> WrittenAnswer:
    data = table if isinstance(table, str) else json.dumps(table)
    return find_answers(data.encode(), [WANTED])["3.A"]


def test_each_of_three_assignments_asks_for_words_and_ours_stay_with_the_staff(released):
    assert set(QUESTIONS) == {"3.A", "4.A", "5.A"}
    assert WANTED.prompt.splitlines()[-1] in released
    assert WANTED.answer.splitlines()[0] not in released
    assert "ANSWER" not in released


def test_text_and_pictures_are_the_answer_an_untouched_one_is_blank_and_half_a_file_none(released):
    answer = found(answered(released, "two *models*", PIXEL))
    assert (answer.text, answer.images) == ("two *models*", (f"data:image/png;base64,{PIXEL}",))
    assert found(released).blank
    assert found(released).found
    assert not found("def collate(): pass").found
    odd = [("no 64!", "image/png"), (PIXEL, "image/svg+xml"), ("aGVsbG8=", "image/png"), (3, "x")]
    for image, kind in odd:
        assert found(answered(released, "text", image, kind)).images == ()  # no picture
    text = json.dumps(answered(released, "why not"))
    assert found(text).text == "why not"
    assert not found(text[:-40]).found


def test_a_page_shows_all_answers_and_runs_nothing():
    evil = '<script>x()</script> [a](javascript:x) ![p](http://e/p.png) <img src=x onerror="x()">'
    picture = WrittenAnswer(text="b", images=(f"data:image/png;base64,{PIXEL}",))
    shown = [
        ShownAnswer(label="ada", answer=WrittenAnswer(text=f"**why** {evil}")),
        ShownAnswer(label="bob", answer=picture, mark=Mark(points=2, comment="good")),
        ShownAnswer(label="cy", answer=WrittenAnswer()),
        ShownAnswer(label="di", answer=WrittenAnswer(found=False)),
    ]
    made = written_page(WANTED, shown, ["eva"]).decode()
    assert "<strong>why</strong>" in made
    assert made.count("<img") == 1 == made.count('src="data:')
    assert made.count("<script") == 1  # ours
    assert "<a " not in made
    assert "img-src data:" in made
    for words in ("2 answers, 1 of them marked", "Nothing was written", "<p>cy</p>", "<p>di</p>"):
        assert words in made
    assert made.count('<li data-points="1">') == 4  # the points of 3.A
    assert len(render(">" * 2000 + "x")) < 20_000


def test_answers_that_are_nearly_the_same_are_one_group():
    text = "the small model, as it is within chance of the large one on 300 utterances of speech"
    nearly = [text.upper() + "!", text.replace("small", "smaller")]
    texts = [text, *nearly, "the large one", "no", "No."]
    shown = [ShownAnswer(label=f"s{n}", answer=WrittenAnswer(text=x)) for n, x in enumerate(texts)]
    shown.append(ShownAnswer(label="p", answer=WrittenAnswer(text="no", images=("data:,",))))
    found = [[one.label for one in group] for group in groups(shown)]
    assert found == [["s0", "s1"], ["s4", "s5"], ["s2"], ["s3"], ["p"]]


@pytest.mark.parametrize(
    ("answer", "mark", "earned", "verdict"),
    [
        (WrittenAnswer(text="a"), None, None, Verdict.UNMARKED),
        (None, None, None, Verdict.UNMARKED),
        (WrittenAnswer(), None, 0, Verdict.GRADED),
        (WrittenAnswer(found=False), None, None, Verdict.UNMARKED),
        (WrittenAnswer(text="a"), Mark(points=3), 3, Verdict.GRADED),
        (WrittenAnswer(), Mark(points=1), 1, Verdict.GRADED),
        (WrittenAnswer(text="b"), Mark(points=3, digest="of a"), None, Verdict.UNMARKED),
    ],
)
def test_an_answer_is_open_until_it_is_marked(report, open_report, answer, mark, earned, verdict):
    given = {"3.A": answer} if answer else {}, {"3.A": mark} if mark else {}
    whole = with_written(report, [WANTED], *given)
    assert whole.checks[-1].earned == earned
    assert whole.verdict is verdict
    assert whole.score == report.score + (earned or 0)
    assert whole.max_score == report.max_score + 4
    assert with_written(open_report, [WANTED], *given).verdict is Verdict.PERSON  # a fault of ours


def table(path, text: str | bytes):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


TABLES = code_beside(__file__)["refused"]
GOOD = "student,question,points,comment\nada,3.A,2.5,well argued\nbob,3.A,,\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "\ufeff" + GOOD.replace("\n", "\r\n"),
        GOOD.replace(",", ";").replace("2.5", "2,5"),
        GOOD.replace(",", "\t"),
        "Points,COMMENT,student , question,of\n2.5,well argued,ada,3.A,4\n",
    ],
)
def test_tables_of_any_spreadsheet_are_read(tmp_path, text):
    (row,) = read_marks(table(tmp_path / "m.csv", text), QUESTIONS, ["ada", "bob"])
    assert (row.student, row.question) == ("ada", "3.A")
    assert (row.points, row.comment) == (2.5, "well argued")


REFUSED = [(one["table"].replace("GOOD\n", GOOD), one["sentence"]) for one in TABLES]
REFUSED += [
    (GOOD.encode() + b"bob,3.A,1,sch\xf6n\n", "line 4 is not UTF-8: save it as CSV UTF-8"),
    (GOOD.encode("utf-16"), "line 1 is not UTF-8"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_a_wrong_table_gets_one_sentence_with_file_line_and_cure(tmp_path, text, sentence):
    path = table(tmp_path / "m.csv", text)
    with pytest.raises(UsageError) as error:
        read_marks(path, QUESTIONS, ["ada", "bob"], Seed())
    assert sentence in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_gradescope_tells_whose_marks_they_are(tmp_path):
    about = table(tmp_path / "m.json", '{"users": [{"email": "Ada@x.org", "name": "bob"}]}')
    marks = table(tmp_path / "m.csv", GOOD.replace("ada", "ada@x.org") + "bob,3.A,1,\n")
    assert marks_of(marks, QUESTIONS, names_in(about))["3.A"].points == 2.5
    with pytest.raises(UsageError, match="submission_metadata"):
        names_in(marks)


@pytest.fixture
def marked_class(tmp_path, released, report):
    """A class with reports; `=x;ada` is one of its students."""
    folder, store = tmp_path / "class", Store(tmp_path / "out")
    for student, text in (("ada", "a"), ("=bob", "b"), ("cy", "")):
        (folder / student).mkdir(parents=True)
        path = folder / student / "03_speakers.ipynb"
        path.write_text(json.dumps(answered(released, text)), encoding="utf-8")
        checks = (check("3.1-collate", 3, 2, "off"),)
        store.keep(replace(report, student=student, assignment="03", checks=checks).to_json())
    store.finish(names={"ada": "Ada L."}, missing={"zoe": "Zoe"})
    return folder, store


def fill(store: Store, **points: str) -> Path:
    """Write points and a comment into the table as it was made."""
    path = store.out / "written" / "marks.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    for row in rows:
        for start, value in points.items():
            if row.get("student", row.get("answer")).strip("'=") == start:
                row |= {"points": value, "comment": "=see me; -1"}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_marks_flow_into_every_result_and_survive_another_grading(marked_class):
    folder, store = marked_class
    sentence = "\n".join(mark_written(folder, store.out))
    assert "2 answers to mark" in sentence
    before = {r.student: r for r in store.whole(store.reports())}
    assert before["ada"].open_points == 4
    assert before["cy"].open_points == 0
    path = fill(store, ada="3", bob="4")
    assert "marks read: 2" in "\n".join(mark_written(folder, store.out, marks=path))
    reports = {r.student: r for r in store.whole(store.reports())}
    assert (reports["ada"].score, reports["=bob"].score, reports["cy"].score) == (5, 6, 2)
    assert reports["ada"].checks[-1].message == "=see me; -1"
    assert "3.A-written" in (store.out / "gradebook.csv").read_text()
    assert "Zoe" in (store.out / "gradebook.csv").read_text()
    assert '"5"' in (store.out / "canvas.csv").read_text()
    assert "=see me" in (store.out / "pages" / "ada.html").read_text()
    assert json.loads(results([reports["ada"]]))["tests"][-1]["score"] == 3
    store.keep(store.of("ada")["03"].to_json(), remember=True)  # as a regrade does
    store.finish(**store.about())
    assert {r.student: r.score for r in store.whole(store.reports())}["ada"] == 5
    assert "'=see me" in path.read_text()
    mark_written(folder, store.out, marks=path)  # what was written comes back as it was
    assert store.marks()["ada"]["3.A"].comment == "=see me; -1"


def test_a_changed_answer_is_open_again(marked_class, released):
    folder, store = marked_class
    mark_written(folder, store.out)
    mark_written(folder, store.out, marks=fill(store, ada="3"))
    path = folder / "ada" / "03_speakers.ipynb"
    path.write_text(json.dumps(answered(released, "another")), encoding="utf-8")
    assert "2 answers to mark" in "\n".join(mark_written(folder, store.out))
    assert {r.student: r.open_points for r in store.whole(store.reports())}["ada"] == 4


def test_what_is_filled_in_is_never_overwritten_and_a_wrong_table_or_another_run_changes_nothing(
    marked_class,
):
    folder, store = marked_class
    mark_written(folder, store.out)
    path = fill(store, ada="3")
    filled = path.read_bytes()
    assert "kept: " in "\n".join(mark_written(folder, store.out))
    assert path.read_bytes() == filled
    marks = fill(store, ada="3", bob="400")
    files = [path for path in store.out.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(UsageError, match="line 2: 400 points"):
        mark_written(folder, store.out, marks=marks)
    with store.locked(), pytest.raises(UsageError, match="another run"):
        mark_written(folder, store.out)
    assert {path: path.read_bytes() for path in files} == before
    table(store.out / "marks.json", "{")
    with pytest.raises(UsageError, match="take it from a backup"):
        store.marks()


def test_an_anonymous_page_names_nobody_and_its_marks_find_their_students(marked_class):
    folder, store = marked_class
    mark_written(folder, store.out, anonymous=True)
    page_text = (store.out / "written" / "3.A.html").read_text()
    assert "ada" not in page_text.replace("metadata", "")
    path = fill(store, **{answer_code(Seed(), "ada", "3.A"): "1"})
    mark_written(folder, store.out, anonymous=True, marks=path)
    assert store.marks()["ada"]["3.A"].points == 1


def test_open_answers_are_no_zero_in_the_tables(report):
    whole = with_written(report, [WANTED], {"3.A": WrittenAnswer(text="a")}, {})
    assert whole.checks[-1].reason is Reason.UNMARKED
    row = next(csv.DictReader(io.StringIO(gradebook([whole]).decode())))
    assert (row["score"], row["earned"], row["open"]) == ("", "4", "4")
    assert canvas({("bob", "03"): Grade.of(whole)}).endswith(b',""\n')
    assert "not marked yet" in page([whole]).decode()
    assert "score" not in json.loads(results([whole]))["tests"][-1]

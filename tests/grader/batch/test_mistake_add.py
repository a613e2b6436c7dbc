"""From a class to a question: a wrong answer that several share becomes a planted mistake."""

import json
from dataclasses import replace

import pytest

from grader.adapters import ASSIGNMENTS, VARIABLE, added_path
from grader.batch.add_mistake import candidate, keep
from grader.batch.output import Store
from grader.core.outcomes import Report
from grader.core.seed import Seed
from grader.course.goldens import golden_text
from grader.course.mistakes.added import AddedMistake, add_mistake, added_mistakes, as_planted
from grader.course.mistakes.planted import edited, planted, solution
from grader.grading.checks import _sources_digest, checks_digest
from grader.grading.in_process import grade_one
from grader.reports.shared_mistakes import shared_mistakes
from grader.submission import read_submissions
from kws.course.compare import Record
from kws.errors import UsageError
from tests.grader.batch.made_up import check, report_of
from tests.grader.conftest import code_beside

CODE = code_beside(__file__)
QUESTION = "sin and cos take radians: did you turn the angles into degrees?"


@pytest.fixture
def graded(tmp_path_factory, best):
    """`graded(student)`: the report on assignment 2."""

    def of(student: str) -> Report:
        path = tmp_path_factory.mktemp(student) / solution("02").name
        edits = [
            [text.replace("ANGLES", CODE["angles"]) for text in e] for e in CODE["edits"][student]
        ]
        path.write_bytes(edited("02", edits))
        (submission,) = read_submissions(path, "02")
        return grade_one(submission, sandbox=best, seed=Seed(), student=student)

    return of


@pytest.fixture(autouse=True)
def additions(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))


@pytest.mark.slow
def test_a_wrong_answer_that_two_share_is_shown_and_asked_about_afterwards(graded, best, tmp_path):
    store = Store(tmp_path / "class")
    for student in CODE["edits"]:
        store.keep(graded(student).to_json())
    (shared,) = shared_mistakes(store.reports())
    assert (shared.task, shared.students) == ("2.4", ("ada", "bob"))
    assert len(shared.programs) == 2
    store.finish()
    page = (store.out / "class.html").read_text(encoding="utf-8")
    assert "2 students share a wrong answer in 2.4 that has no question yet" in page
    assert "turned.sin()" in page
    before = checks_digest(ASSIGNMENTS["02"])

    wanted = {"question": QUESTION, "out": store.out}
    found = candidate("2.4", like="bob", sandbox=best, seed=Seed(), **wanted)
    assert not added_path("02").exists()  # nothing is kept before somebody has read it
    assert "written" in keep(found)[0]
    _sources_digest.cache_clear()
    assert checks_digest(ASSIGNMENTS["02"]) != before  # so that `regrade` grades again
    again = graded("ada")
    assert QUESTION in [check.hint for check in again.checks if check.task == "2.4"]
    assert shared_mistakes([again, graded("bob")]) == []
    with pytest.raises(UsageError, match="has a mistake called"):
        candidate("2.4", like="ada", **wanted)

    known = json.loads(golden_text("02"))  # what the release writes for the notebook
    assert QUESTION in [one["question"] for key in known for one in known[key]["mistakes"]]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"like": "cy"}, "cy has no wrong answer in 2.4 without a question"),
        ({"like": "adda"}, "did you mean 'ada'"),
        ({"task": "2.44"}, "there is no task '2.44'"),
        ({"question": " "}, "--question is empty"),
        ({"seed": Seed("another")}, "another secret seed"),
    ],
)
def test_what_cannot_be_added_is_told_in_a_sentence(tmp_path, arguments, sentence):
    store, wrong = Store(tmp_path), replace(check("2.4-values", 3, 0), code="x = 1")
    for student, one in (("ada", wrong), ("cy", check("2.4-values", 3, 3))):
        store.keep(report_of(one, student=student).to_json())
    usual = {"task": "2.4", "like": "ada", "question": "?", "out": store.out, "seed": Seed()}
    with pytest.raises(UsageError, match=sentence.replace("?", r"\?")):
        candidate(**{**usual, **arguments})


def test_a_damaged_file_is_named():
    added_path("02").write_text('[[mistake]]\ntask = "2.4"\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"added_02\.toml: mistake 1 .* name is missing"):
        planted("02")


def test_code_with_quotes_of_both_kinds_is_kept():
    code = "def attend(q, k, v, valid=None):\n    return '''a\"'''"
    for name in ("one", "another"):
        add_mistake("02", AddedMistake(task="2.1", name=name, question="?", code=code))
    added = [(one.name, one.code) for one in added_mistakes("02")]
    assert added == [("one", code), ("another", code)]


def test_added_code_replaces_every_definition_of_its_names():
    code = "def split_heads(x, num_heads):\n    return x\ndef merge_heads(x):\n    return x"
    add_mistake("02", AddedMistake(task="2.2", name="nothing", question="?", code=code))
    mistake = as_planted(added_mistakes("02")[0], solution("02"))
    text = edited("02", mistake.edits).decode()
    assert text.count("def merge_heads(") == text.count("def split_heads(") == 1


def test_records_are_alike_up_to_rounding_and_never_otherwise():
    import torch

    values = torch.linspace(-1, 1, 40)
    one = Record.of(values)
    assert one.is_like(Record.of(values * (1 + 1e-6)), 1e-4, 1e-5)
    for other in (values * 1.01, values.view(8, 5), values.long(), values.log(), 3.0, None, [1, 2]):
        assert not one.is_like(Record.of(other), 1e-4, 1e-5)
    assert Record.of(3).is_like(Record.of(3.0), 1e-4, 1e-5)
    assert not Record.of(3).is_like(Record.of(4), 1e-4, 1e-5)
    assert not Record.of("a").is_like(Record.of(["a"]), 1e-4, 1e-5)

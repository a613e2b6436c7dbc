"""The made-up class of `make demo` gets what it is said to expect."""

import pytest

from grader.adapters import ASSIGNMENTS
from grader.batch.grade_class import Settings, grade_class
from grader.batch.workers import Workers
from grader.core.outcomes import Report, Verdict
from grader.selftest.class_of_ten import make_class


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Student -> assignment -> report, of the class as it is without trained weights."""
    folder = tmp_path_factory.mktemp("class")
    messages = make_class(folder / "class", folder / "no weights")
    settings = Settings(submissions=folder / "class", out=folder / "out")
    grade_class(settings, lambda: Workers(2, None))
    found = {student: {} for student in messages}
    for path in sorted((folder / "out" / "reports").rglob("*.json")):
        report = Report.from_json(path.read_text(encoding="utf-8"))
        found[report.student][report.assignment] = report
    return found


def test_it_has_ten_students_of_whom_each_hands_something_in(tmp_path):
    messages = make_class(tmp_path, tmp_path)
    assert len(messages) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(messages)
    assert all(any((tmp_path / student).iterdir()) for student in messages)


@pytest.mark.slow
@pytest.mark.parametrize("student", ["ada", "ben", "ivo"])
def test_right_work_gets_all_points(reports, student):
    report = reports[student]["02"]
    assert report.score == report.max_score > 0


@pytest.mark.slow
def test_what_broke_off_waits_for_a_person_half_the_work_gets_half_and_blank_notebooks_nothing(
    reports,
):
    assert reports["hana"]["02"].verdict is Verdict.PERSON
    assert reports["hana"]["02"].settled == 0
    assert reports["jun"] == {}
    report = reports["chloe"]["02"]
    done = {check.task for check in report.checks if check.passed}
    assert done == {"2.1", "2.2", "2.3"}
    assert {c.reason.value for c in report.checks if not c.passed} == {"not started"}
    assert [*reports["finn"]] == [*ASSIGNMENTS]
    assert [report.score for report in reports["finn"].values()] == [0] * len(ASSIGNMENTS)
    checks = {check.id: check for check in reports["gus"]["02"].checks}
    assert not checks["2.1-attend-values"].passed
    assert all(check.passed for check in checks.values() if check.task != "2.1")


@pytest.mark.slow
@pytest.mark.parametrize(("student", "assignment"), [("dev", "02"), ("eva", "03")])
def test_a_mistake_in_every_task_costs_points_in_every_task(reports, student, assignment):
    report = reports[student][assignment]
    tasks = {check.task for check in report.checks}
    assert {check.task for check in report.checks if not check.passed} == tasks
    assert 0 < report.score < report.max_score

"""The rules of a term: what is lost by being late, what counts in the total, what is refused."""

from datetime import datetime, timedelta, timezone

import pytest

from grader.reports.course_rules import TEMPLATE, CourseRules, Grade, Late, read_rules
from grader.reports.gradebook import totals
from kws.errors import UsageError
from kws.settings import convert
from tests.grader.batch.made_up import check, report_of
from tests.grader.conftest import code_beside

DUE = datetime(2026, 3, 1, 22, 59, tzinfo=timezone.utc)
CODE = code_beside(__file__)
RULES = CODE["rules"]


@pytest.fixture
def write(tmp_path):
    def put(text: str):
        (tmp_path / "course.toml").write_text(text, encoding="utf-8")
        return tmp_path / "course.toml"

    return put


@pytest.mark.parametrize("one", CODE["late"], ids=str)
def test_what_is_lost_by_being_late_goes_by_days_begun_or_by_steps(one):
    share = convert(Late, one["rule"], "late").share(timedelta(hours=one["hours"]))
    assert share == pytest.approx(one["share"])


@pytest.mark.parametrize("one", CODE["grades"], ids=str)
def test_a_grade_is_raw_points_penalty_and_why(write, one):
    report = report_of(check("2.1-a", 5, 4), student=one["student"])
    grade = read_rules(write(RULES)).grade(report, DUE + timedelta(hours=one["hours"]))
    assert (grade.raw, grade.most, grade.why) == (80, 100, one["why"])
    assert grade.penalty == pytest.approx(one["penalty"])
    assert grade.final == pytest.approx(80 - one["penalty"])


def test_the_total_weighs_and_drops_the_lowest_and_counts_what_is_missing_as_0(write):
    text = "[assignments.01]\n[assignments.03]\n[excused]\nada = ['03']\nbob = ['01', '02']\n"
    rules = read_rules(write(RULES + text))
    given = {"title": "", "most": 10.0, "is_open": False}
    grades = {"01": Grade(raw=4, **given), "02": Grade(raw=8, **given)}
    assert rules.total(grades, ["01", "02"]) == (pytest.approx(0.8), ["01"])
    assert rules.total(grades, ["01", "02", "03"]) == (pytest.approx((0.4 + 3 * 0.8) / 4), ["03"])
    assert CourseRules().total(grades, ["01", "02"]) == (pytest.approx(0.6), [])
    handed_in = {("ada", number): grade for number, grade in grades.items()}
    table = totals(rules, handed_in, ["01", "02", "03"], {"bob": "", "eve": ""}).decode()
    rows = [line.split(",")[-2:] for line in table.splitlines()[1:]]
    assert rows == [['"01"', '"80.0"'], ['""', '"0.0"'], ['"01"', '"0.0"']]
    assert totals(rules, {}, ["01"], {"bob": ""}).endswith(b'"",""\n')  # of nothing that counts


def test_who_is_named_and_not_in_the_class_is_found_and_an_empty_extension_is_nobody(write):
    text = "groups.red = ['ada', 'bob']\n[extensions.ada]\n[extensions.eve]\n02 = "
    rules = read_rules(
        write(f"{text}{DUE.isoformat()}\n[extensions.red]\n02 = {DUE.isoformat()}\n")
    )
    assert rules.strangers(["bob"]) == ["ada", "eve"]
    assert read_rules(TEMPLATE).strangers([]) == []


def test_the_template_is_read_and_holds_every_key():
    rules = read_rules(TEMPLATE)
    assert rules.deadline("ada", "02") == DUE
    text = TEMPLATE.read_text(encoding="utf-8")
    keys = ("attempts", "drop_lowest", "grace_minutes", "per_day", "steps", "at_most", "similar")
    keys += ("deadline", "points", "weight", "[groups]", "[excused]", "[extensions.")
    assert [key for key in keys if key not in text] == []


@pytest.mark.parametrize("one", CODE["refused"], ids=lambda one: one["text"])
def test_what_does_not_fit_is_named_with_its_file_key_and_cure(write, one):
    with pytest.raises(UsageError, match=rf"course\.toml.*{one['words']}"):
        read_rules(write(one["text"]))

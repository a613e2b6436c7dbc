"""The selftest finds a grader that is not fit; the class of ten; what interrupts `make demo`."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.batch.grade_class import Settings, grade_class
from grader.batch.workers import Workers
from grader.core.outcomes import Report, Verdict
from grader.course.mistakes.planted import Mistake
from grader.selftest import demo
from grader.selftest.class_of_ten import make_class
from grader.selftest.selftest import everything, gained, named, nothing
from kws.errors import UsageError
from tests.grader.batch.made_up import check

MISTAKE = Mistake(task="2.1", name="no root", question="off by", find="a", put="b")


@pytest.fixture
def full(report):
    return replace(report, checks=tuple(check(c.id, c.points, c.points) for c in report.checks))


@pytest.fixture
def zero(report):
    return replace(report, checks=tuple(check(c.id, c.points, 0) for c in report.checks))


def test_a_reference_has_to_earn_everything_and_a_blank_nothing(report, full, open_report, zero):
    assert everything()(full) == []
    assert "2.1-values earned 2 of 3" in everything()(report)[0]
    assert everything()(open_report)
    assert everything(["2.1-values"])(report) == []
    assert nothing(zero) == []
    assert len(nothing(report)) == 2
    assert nothing(open_report)


def test_a_mistake_has_to_be_caught_by_its_check_in_its_words(report, full):
    assert named([MISTAKE])(report) == []
    assert named([MISTAKE])(full) == ["“no root” is not caught in 2.1"]
    assert "nothing asks “a root”" in named([replace(MISTAKE, question="a root")])(report)[0]
    assert named([replace(MISTAKE, check="2.1-gone")])(report)


def test_an_attack_must_neither_gain_nor_cost_nor_write_nor_read(report, zero, full, tmp_path):
    honest = check("2.2-heads", 2, 2)
    fine = replace(zero, checks=(*zero.checks, honest))
    target = tmp_path / "written"
    judge = gained(target)
    assert judge(fine) == []
    assert judge(replace(full, checks=(*full.checks, honest))) == ["2.1-values passed"]
    assert judge(replace(fine, checks=(*zero.checks, check("2.2-heads", 2, 1))))
    assert judge(replace(fine, repairs=("c0ffee-the-hidden-seed",)))
    target.write_text("")
    assert judge(fine)


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


def notebook(*cells: str) -> dict:
    code = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    made = [{**code, "id": f"c{at}", "source": text} for at, text in enumerate(cells)]
    return {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("1 / 0", "02_attention: cell 2: ZeroDivisionError: division by zero"),
        ("import os; os._exit(9)", "02_attention: cell 2: its process ended"),
    ],
)
def test_a_cell_that_fails_is_one_sentence_and_is_run_again(monkeypatch, tmp_path, cell, words):
    monkeypatch.setattr(demo, "as_notebook", lambda _: notebook("x = 1", cell))
    with pytest.raises(UsageError, match=words) as caught:
        asyncio.run(demo.run_notebook(ASSIGNMENTS["02"], tmp_path))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_says_what_is_kept_in_one_sentence(tmp_path):
    command = [sys.executable, "-u", "-m", "grader", "demo", str(tmp_path), "--only", "02"]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=pipe, stderr=pipe, text=True)
    with process:
        assert "run and graded" in process.stdout.readline()
        shown = ""
        while "02_attention" not in shown:  # the kernel is being started
            shown += process.stderr.read(1)
        process.send_signal(signal.SIGTERM)  # as Ctrl-C, which Python itself makes an exception
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.strip().endswith(f"what is done is kept in {tmp_path}; the same command continues")
    assert "Traceback" not in err

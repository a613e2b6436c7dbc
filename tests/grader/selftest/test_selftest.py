"""The selftest finds a grader that is not fit: each judge falls short where it must."""

from dataclasses import replace

import pytest

from grader.course.mistakes.planted import Mistake
from grader.selftest.selftest import everything, gained, named, nothing
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

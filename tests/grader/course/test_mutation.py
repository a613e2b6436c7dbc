"""The measure of the checks: it finds what they miss, and does not trust itself blindly."""

import pytest

from grader.adapters import ASSIGNMENTS
from grader.authoring.mutants import mutants_of
from grader.course import mutation
from grader.course.mutation import equivalent_mutants, mutation_report
from kws.course.trial import all_trials
from kws.errors import UsageError

SOURCE = """def f(x, valid=None):
    y = x @ x.mT / 2
    if valid is not None:
        y = y.masked_fill(~valid, -1.0)
    return g(y, dim=-1)
"""


def test_every_kind_of_change_is_made_once():
    changes = [one.change for one in mutants_of(SOURCE, "2.1", range(2, 6))]
    assert len(changes) == len(set(changes))
    for part in ("x @ x.mT * 2", "x.mT  →  x", "2  →  3", "~valid  →  valid", "g(y)", "→  nothing"):
        assert any(part in change for change in changes), part
    assert any("if False" in change for change in changes)
    assert any("is None" in change for change in changes)
    assert {one.line for one in mutants_of(SOURCE, "2.1", range(2, 3))} == {2}


def test_a_check_that_is_taken_away_leaves_survivors(monkeypatch):
    kept = [trial for trial in all_trials("02") if trial.id != "2.7-count-values"]
    few = [trial for trial in kept if trial.task == "2.2"]
    monkeypatch.setattr(mutation, "all_trials", lambda number: few)
    report = mutation_report("02", workers=1)
    assert (report.survivors, report.killed) == ((), 1.0)
    assert report.equivalent == 2
    assert "2.7" in report.without_trial
    monkeypatch.setattr(mutation, "_agrees", lambda trial, answers, visible: True)
    blind = mutation_report("02", workers=1)
    assert blind.killed == 0.0
    assert len(blind.survivors) == blind.tested - blind.equivalent


def test_a_reference_that_fails_its_own_checks_is_no_measure(monkeypatch):
    monkeypatch.setattr(mutation, "_agrees", lambda trial, answers, visible: False)
    with pytest.raises(UsageError, match="our own answer fails"):
        mutation_report("02", workers=1)


@pytest.mark.parametrize("number", list(ASSIGNMENTS))
def test_an_equivalent_mutant_has_a_reason(number):
    assert all(len(reason) > 10 for reason in equivalent_mutants(number).values())


@pytest.mark.slow
@pytest.mark.parametrize("visible", [False, True])
@pytest.mark.parametrize("number", list(ASSIGNMENTS))
def test_the_checks_notice_every_mutant(number, visible):
    assert mutation_report(number, visible=visible).survivors == ()

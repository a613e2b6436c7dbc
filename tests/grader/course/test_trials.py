"""A trial's results beside ours, what is foreseen of them, and the changes that checks notice."""

import pytest
import torch

from benchmarks.typed_results import most_frequent
from grader.adapters import ASSIGNMENTS
from grader.authoring.mutants import mutants_of
from grader.core.outcomes import Reason, Stopped
from grader.course import mutation
from grader.course.mistakes.planted import planted
from grader.course.mutation import equivalent_mutants, mutation_report
from grader.course.overview import hidden_checks
from grader.course.trials import (
    expect_as_ours,
    mistaken_answers,
    our_answers,
    with_question,
)
from grader.grading.feedback import Failure
from grader.sandbox.student_errors import explain
from kws.course.checking import check_values
from kws.course.trial import all_trials, find_trial
from kws.errors import UsageError


@pytest.mark.parametrize(
    "large", [torch.zeros(2, 3, 50_000, dtype=torch.int16), [[0] * 10] * 5_000, {"a": "b" * 99_999}]
)
def test_a_result_far_larger_than_ours_is_refused_before_anything_is_measured(large):
    trial, seed = find_trial("6.5-structured-values"), 3
    results = [*trial.results(our_answers("06"), seed=seed, hidden=True)]
    expect_as_ours(trial, results, seed)
    what = results[0][0]
    with pytest.raises(Failure, match="is far larger than what is asked for") as failure:
        expect_as_ours(trial, [(what, large), *results[1:]], seed)
    assert failure.value.message.startswith(what)


@pytest.mark.parametrize(
    ("check", "name", "raises"),
    [
        ("7.2-subsampling-padding", "rounded down", "size mismatch"),
        ("8.2-regulate-values", "no clamp", "index 7 is out of bounds"),
    ],
)
def test_a_hidden_check_asks_after_an_exception_what_the_visible_one_asks(check, name, raises):
    trial = find_trial(check)
    mistakes = [(one.task, one.name) for one in planted(trial.number).mistakes]
    position = mistakes.index((trial.task, name))
    question = planted(trial.number).mistakes[position].question
    answers = mistaken_answers(trial.number, position)
    with pytest.raises(RuntimeError, match=raises) as error:
        expect_as_ours(trial, [*trial.results(answers, seed=3, hidden=True)], 3)
    stopped = Stopped(Reason.ERROR, explain(error.value, check, frozenset()).message)
    with pytest.raises(RuntimeError) as visible:
        check_values(check, *(answers[name] for name in trial.answers))
    hidden = with_question(trial, stopped, 3)
    assert hidden.hint == visible.value.kws_hint == question


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_what_is_foreseen_are_hidden_checks_and_an_equivalent_mutant_has_a_reason(number):
    checks = {check.id for check in hidden_checks(number)}
    assert checks.issuperset(ASSIGNMENTS[number].foreseen)
    assert all(len(reason) > 10 for reason in equivalent_mutants(number).values())


@pytest.mark.slow  # runs each trial twice
@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_every_trial_with_the_same_results_for_any_seed_is_listed(number):
    same = {trial.id: most_frequent(trial, 2) == 2 for trial in all_trials(number)}
    assert same == {trial: trial in ASSIGNMENTS[number].foreseen for trial in same}


@pytest.mark.slow  # as above
@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_right_results_do_not_depend_on_what_an_answer_draws_itself(number, monkeypatch):
    for _ in range(2):
        for trial in all_trials(number):
            results = [*trial.results(our_answers(number), seed=21, hidden=True)]
            expect_as_ours(trial, results, 21)  # made once, before the change
        monkeypatch.setattr("kws.course.trial._hashed", lambda seed: seed + 1)


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


@pytest.mark.slow
@pytest.mark.parametrize("visible", [False, True])
@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_the_checks_notice_every_mutant(number, visible):
    assert mutation_report(number, visible=visible).survivors == ()

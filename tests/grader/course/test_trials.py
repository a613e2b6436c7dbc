"""A trial's results beside ours; what can be known of right ones before the secret seed is."""

import pytest
import torch

from grader.adapters import ASSIGNMENTS
from grader.course.foreseen import foreseen, measured
from grader.course.overview import hidden_checks
from grader.course.trials import expect_as_ours, our_answers
from grader.grading.feedback import Failure
from kws.course.trial import all_trials, find_trial


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


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_what_is_listed_are_hidden_checks(number):
    checks = {check.id for check in hidden_checks(number)}
    assert foreseen(number) <= checks


@pytest.mark.slow  # runs each trial twice
@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_every_trial_with_the_same_results_for_any_seed_is_listed(number):
    trials = {trial.id for trial in all_trials(number)}
    assert foreseen(number) & trials == set(measured(number))

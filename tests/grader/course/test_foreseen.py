"""What can be known of right results before the secret seed is: listed, and nothing forgotten."""

import pytest

from grader.adapters import ASSIGNMENTS
from grader.course.foreseen import foreseen, measured
from grader.course.overview import hidden_checks
from kws.course.trial import all_trials


@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_what_is_listed_are_hidden_checks(number):
    checks = {check.id for check in hidden_checks(number)}
    assert foreseen(number) <= checks


@pytest.mark.slow  # runs each trial twice
@pytest.mark.parametrize("number", ASSIGNMENTS)
def test_every_trial_with_the_same_results_for_any_seed_is_listed(number):
    trials = {trial.id for trial in all_trials(number)}
    assert foreseen(number) & trials == set(measured(number))

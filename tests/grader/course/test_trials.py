"""A trial's results beside ours: what is compared has bounds of its own."""

import pytest
import torch

from grader.course.trials import expect_as_ours, our_answers
from grader.grading.feedback import Failure
from kws.course.trial import find_trial


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

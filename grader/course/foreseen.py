"""Checks with the same right results for every secret seed, which can be typed or forged.

A trial runs beside a student's code and only its results come back. If they depend on secret
numbers, forging them means computing them. If not (parameter counts, booleans, tables of sizes in
the kit), they can be typed without an answer, visibly so in the notebook.
"""

from grader.adapters import ASSIGNMENTS
from grader.authoring.reference import try_trial
from grader.core.seed import Seed
from grader.course.trials import hidden_seed, our_answers
from kws.course.compare import difference
from kws.course.trial import Trial, all_trials


def foreseen(number: str) -> frozenset[str]:
    return frozenset(ASSIGNMENTS[number].foreseen)


def measured(number: str) -> list[str]:
    """Trials of an assignment for which our answers give the same with two secret seeds."""
    return [trial.id for trial in all_trials(number) if _is_same(trial)]


def _is_same(trial: Trial) -> bool:
    one, other = (
        try_trial(trial, our_answers(trial.number), hidden_seed(trial, Seed(text)), hidden=True)
        for text in ("one", "another")
    )
    return len(one) == len(other) and all(
        difference(value, same, trial.rtol, trial.atol) is None
        for (_, value), (_, same) in zip(one, other, strict=True)
    )

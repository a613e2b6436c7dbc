"""What could be typed in place of an answer: how often a hidden check's right result comes again.

    python benchmarks/typed_results.py --seeds 30

Our answers run through every hidden trial with so many secret seeds. Printed are the checks whose
most frequent result comes more than once, with the number of seeds that give it: all of them where
it can be read in the notebook (`foreseen` in assignment.toml), a part where it can be guessed. A
trial runs beside a student's code and only its results come back: those that depend on secret
numbers can only be computed, the others can be typed without an answer.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the grader is not installed
from grader.adapters import ASSIGNMENTS
from grader.authoring.reference import try_trial
from grader.core.seed import Seed
from grader.course.trials import hidden_seed, our_answers
from kws.course.compare import difference
from kws.course.trial import Trial, all_trials

Results = list[tuple[str, Any]]


def main() -> None:
    """Print a line for each check, and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", default=[*ASSIGNMENTS], help="the assignments, 06 07")
    parser.add_argument("--seeds", type=int, default=30)
    options = parser.parse_args()
    seeds = options.seeds
    torch.set_num_threads(1)
    most = {
        trial.id: most_frequent(trial, seeds)
        for number in options.numbers
        for trial in all_trials(number)
    }
    for name, times in most.items():
        if times > 1:
            print(f"{name}: one result for {times} of {seeds} seeds")
    always = sum(times == seeds for times in most.values())
    guessed = {name: times for name, times in most.items() if 1 < times < seeds}
    print(json.dumps({"trials": len(most), "seeds": seeds, "always": always, "guessed": guessed}))


def most_frequent(trial: Trial, seeds: int) -> int:
    """How many of the seeds give the result that most of them give."""
    kinds: list[tuple[Results, int]] = []
    for n in range(seeds):
        seed = hidden_seed(trial, Seed(f"typed {n}"))
        found = try_trial(trial, our_answers(trial.number), seed, hidden=True)
        for at, (kind, times) in enumerate(kinds):
            if is_same(kind, found, trial):
                kinds[at] = kind, times + 1
                break
        else:
            kinds.append((found, 1))
    return max(times for _, times in kinds)


def is_same(one: Results, other: Results, trial: Trial) -> bool:
    return len(one) == len(other) and all(
        difference(value, same, trial.rtol, trial.atol) is None
        for (_, value), (_, same) in zip(one, other, strict=True)
    )


if __name__ == "__main__":
    main()

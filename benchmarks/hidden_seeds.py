"""What do hidden checks notice that visible ones do not, and what only for some seeds?

    python benchmarks/hidden_seeds.py 09 --seeds 60 [--mutants]

Every planted mistake (all are noticed visibly) and, with --mutants, every single-change mutant that
the visible checks let pass runs through the hidden trials of its task with so many seeds. What only
some seeds notice is a lottery for the student.
"""

import argparse
import ast
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from grader.authoring.reference import exported_cells, load_answers, try_trial
from grader.course.mistakes.added import defined
from grader.course.mistakes.planted import planted, solution
from grader.course.mutation import mutation_report
from grader.course.trials import expected_results, mistaken_answers
from kws.course.compare import difference
from kws.course.trial import Trial, all_trials


def main() -> None:
    """Print a line for each case that not all seeds notice, and how many cases there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", help="the assignment, 09")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--mutants", action="store_true", help="single-change mutants, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tried = 0
    for task, name, unseen, answers in cases(options.number, options.mutants):
        tried += 1
        trials = [trial for trial in all_trials(options.number) if trial.task == task]
        seen = sum(any(differs(one, answers, n) for one in trials) for n in range(options.seeds))
        if seen and (unseen or seen < options.seeds):
            where = "not by the visible checks, " if unseen else ""
            print(
                f"{task}, {name}: noticed {where}by {seen} of {options.seeds} hidden seeds",
                flush=True,
            )
    print(f"{options.number}: {tried} cases, {options.seeds} seeds each")


def cases(number: str, mutants: bool) -> Iterator[tuple[str, str, bool, Mapping[str, Any]]]:
    """(task, name, whether the visible checks pass, answers)."""
    tasks = {trial.task for trial in all_trials(number)}
    for position, mistake in enumerate(planted(number).mistakes):
        if mistake.task in tasks:
            yield mistake.task, mistake.name, False, mistaken_answers(number, position)
    if not mutants:
        return
    for mutant in mutation_report(number, visible=True).survivors:
        cells = exported_cells(solution(number))
        names = defined(ast.parse(mutant.source).body)
        (at,) = (n for n, cell in enumerate(cells) if defined(ast.parse(cell).body) == names)
        cells[at] = mutant.source
        yield mutant.task, mutant.change, True, load_answers(cells, f"mutant of {mutant.task}")


def differs(trial: Trial, answers: Mapping[str, Any], seed: int) -> bool:
    """Whether a hidden trial with this seed gives something else than our answers do."""
    ours = expected_results(trial, seed)
    theirs = try_trial(trial, answers, seed, hidden=True)
    if len(ours) != len(theirs) or isinstance(theirs[-1][1], BaseException):
        return True
    pairs = zip(theirs, ours, strict=True)
    return any(difference(a, b, trial.rtol, trial.atol) is not None for (_, a), (_, b) in pairs)


if __name__ == "__main__":
    main()

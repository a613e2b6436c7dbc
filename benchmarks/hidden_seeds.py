"""What do hidden checks notice that visible ones do not, and what only for some seeds?

    nice -n 19 python benchmarks/hidden_seeds.py 09 --seeds 60 --state build/seeds.jsonl

Every planted mistake (all are noticed visibly) and, with --mutants, every single-change mutant that
the visible checks let pass runs through the hidden trials of its task with so many seeds. What only
some seeds notice is a lottery for the student. With --state, a line a case is kept, and the next
run goes on where this one ended; --minutes of processor time end it early, and n is printed.

Run with 60 seeds for all planted mistakes of 01 to 09 (277, 129, 145, 180, 147, 132, 178, 173 and
162): every one is noticed by every seed, but one of 7.8 by 59; since a hidden size of it has
changed, by 200 of 200. Three were added since: 60 of 60.
"""

import argparse
import ast
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the grader is not installed
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
    parser.add_argument("numbers", nargs="+", help="the assignments, 06 07")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--mutants", action="store_true", help="single-change mutants, too")
    parser.add_argument("--state", type=Path, help="a file of lines of JSON that is added to")
    parser.add_argument("--minutes", type=float, default=60.0, help="of processor time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = {}
    if options.state and options.state.is_file():
        lines = options.state.read_text(encoding="utf-8").splitlines()
        known = {tuple(row["case"]): row for row in map(json.loads, lines)}
    end = time.process_time() + 60 * options.minutes
    for number in options.numbers:
        tried = seeds = 0
        for task, name, unseen, answers in cases(number, options.mutants):
            if time.process_time() > end:
                break
            row = known.get((task, name))
            if row is None or row["of"] < options.seeds:
                row = {"case": (task, name), **seen_by(task, answers, options.seeds)}
                if options.state:
                    with options.state.open("a", encoding="utf-8") as state:
                        state.write(json.dumps(row) + "\n")
            tried, seeds = tried + 1, seeds + row["of"]
            if row["seen"] and (unseen or row["seen"] < row["of"]):
                where = "not by the visible checks, " if unseen else ""
                print(
                    f"{task}, {name}: noticed {where}by {row['seen']} of {row['of']} hidden seeds",
                    flush=True,
                )
        print(f"{number}: {tried} cases, {seeds} trials of a case with a seed", flush=True)


def seen_by(task: str, answers: Mapping[str, Any], seeds: int) -> dict[str, int]:
    """How many of so many seeds notice these answers; the trial that did last is asked first."""
    trials, seen = [one for one in all_trials(task.split(".")[0].zfill(2)) if one.task == task], 0
    for seed in range(seeds):
        for trial in trials:
            if differs(trial, answers, seed):
                seen += 1
                trials.remove(trial)
                trials.insert(0, trial)
                break
    return {"seen": seen, "of": seeds}


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
    ours = [value for _, value in expected_results(trial, seed)]
    if trial.measure is not None:
        theirs = iter(try_trial(trial, answers, seed, hidden=True))
    else:
        theirs = trial.results(answers, seed=seed, hidden=True)
    try:
        return any(
            difference(value, other, trial.rtol, trial.atol) is not None
            for (_, value), other in zip(theirs, ours, strict=True)
        )
    except Exception:  # raised by the answer, or another number of results
        return True


if __name__ == "__main__":
    main()

"""Mutation testing of the checks: single-change mutants of our answers, and which survive.

    python -m grader mutants 02 [--visible]

A mutant survives if all trials of its task (`kws.course`) give the results that our own answer
gives. The visible checks compare with the released goldens, the hidden ones with our answers on
hidden sizes. equivalent_mutants.toml lists, with reasons, those that no input can distinguish.

With --named: how many planted mistakes get their own question when applied to other code (the
alternatives, where the edits fit) and, by the hidden checks, at other sizes and seeds.
"""

import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from types import FrameType
from typing import Any

from grader.adapters import ASSIGNMENTS, COURSE, get_assignment
from grader.authoring.build import read_solution
from grader.authoring.mutants import Mutant, mutants_of
from grader.authoring.reference import exported_cells, load_answers, try_trial
from grader.core.outcomes import Reason, Stopped
from grader.core.seed import Seed
from grader.core.tables import parse_toml, read_entries
from grader.course.mistakes.mistake import Edit, Mistake
from grader.course.mistakes.planted import edited, mistaken, planted, solution
from grader.course.trials import expect_as_ours, expected_results, our_answers, with_question
from grader.grading.feedback import Failure
from grader.sandbox.student_errors import explain
from kws.course.checking import check_values, forget_checks, lines_go_to
from kws.course.compare import difference
from kws.course.source import parse
from kws.course.trial import PUBLIC_SEED, Trial, all_trials, goldens
from kws.errors import UsageError
from kws.parallel import Pool

EQUIVALENT = "equivalent_mutants.toml"  # in an assignment's folder
VISIBLE_BAR = 0.95  # of the mutants; the hidden checks notice all
NAMED_BAR = 0.9  # of the planted mistakes, in other code
SECONDS = 20  # seconds for the trials of one mutant: some never end


@dataclass(frozen=True, kw_only=True)
class EquivalentMutant:
    """A change of our answer to a task that no input can distinguish from the original."""

    task: str
    change: str
    reason: str


@dataclass(frozen=True)
class MutationReport:
    tested: int
    survivors: tuple[Mutant, ...]
    equivalent: int
    without_trial: tuple[str, ...]  # tasks that are judged otherwise

    @property
    def killed(self) -> float:
        """The share of the non-equivalent mutants that a check noticed."""
        relevant = self.tested - self.equivalent
        return 1 - len(self.survivors) / relevant if relevant else 1.0


def main(number: str, *, visible: bool = False) -> int:
    """Print the survivors and the share killed; return 1 below the threshold."""
    get_assignment(number)
    report = mutation_report(number, visible=visible)
    for mutant in report.survivors:
        print(f"survives: {mutant.task}, line {mutant.line} of its cell: {mutant.change}")
    for task in report.without_trial:
        print(f"not tried: {task} has no trial in kws/course")
    kind = "visible" if visible else "hidden"
    print(
        f"{number}: the {kind} checks notice {report.killed:.1%} of {report.tested} mutants, "
        f"{report.equivalent} equivalent ones left out"
    )
    return int(report.killed < (VISIBLE_BAR if visible else 1))


def main_named(number: str) -> int:
    """Print how many planted mistakes are named in other code; return 1 below the threshold."""
    trials = {trial.task for trial in all_trials(number)}
    mistakes = [one for one in planted(number).mistakes if one.task in trials]
    with Pool(None, processes=True) as pool:
        named = [*pool.map(partial(_named, number), mistakes)]
    for mistake, each in zip(mistakes, named, strict=True):
        for kind in ("visible", "hidden"):
            if each.get(kind) is False:
                print(f"not named by a {kind} check: {mistake.task}, {mistake.name}")
    shares = []
    for kind in ("visible", "hidden"):
        answered = [each[kind] for each in named if kind in each]
        shares.append(sum(answered) / len(answered))
        print(f"{number}: {shares[-1]:.1%} of {len(answered)} mistakes are named by {kind} checks")
    return int(min(shares) < NAMED_BAR)


def _named(number: str, mistake: Mistake) -> dict[str, bool]:
    """Kind of check -> whether it asks the question; no entry where it notices nothing."""
    text, chosen = mistaken(number, [mistake]).decode(), ()
    for edits in planted(number).alternatives.values():
        fitting = tuple(edit for edit in edits if text.count(edit.find) == 1)
        if fitting and _is_right(number, mistake.task, (*chosen, *fitting)):
            changed = text
            for edit in fitting:
                changed = changed.replace(*edit)
            with suppress(SyntaxError):  # an edit that cuts through the mistake is left out
                parse(changed)
                text, chosen = changed, (*chosen, *fitting)
    answers = load_answers(exported_cells(solution(number), text), f"{mistake.name} in other code")
    questions: dict[str, set[str]] = {"visible": set(), "hidden": set()}
    for trial in (one for one in all_trials(number) if one.task == mistake.task):
        forget_checks()
        try:
            with lines_go_to(lambda *_: None):
                check_values(trial.id, *(answers[name] for name in trial.answers))
        except Exception as error:
            questions["visible"].add(getattr(error, "hint", getattr(error, "kws_hint", "")))
        seed = Seed("other code").number(trial.id) % 2**32
        try:
            expect_as_ours(trial, [*trial.results(answers, seed=seed, hidden=True)], seed)
        except Failure as failure:
            questions["hidden"].add(failure.hint)
        except Exception as error:
            stopped = Stopped(Reason.ERROR, explain(error, trial.id, frozenset()).message)
            questions["hidden"].add(with_question(trial, stopped, seed).hint)
    return {kind: mistake.question in each for kind, each in questions.items() if each}


@cache
def _is_right(number: str, task: str, edits: tuple[Edit, ...]) -> bool:
    """Whether our answers are right after these edits, so a mistake may be added."""
    try:
        cells = exported_cells(solution(number), edited(number, edits).decode())
        answers = load_answers(cells, f"{task} in other code")
    except Exception:
        return False
    return all(_agrees(one, answers, True) for one in all_trials(number) if one.task == task)


def mutation_report(
    number: str, *, visible: bool = False, workers: int | None = None
) -> MutationReport:
    for trial in all_trials(number):
        if not _agrees(trial, our_answers(number), visible):
            raise UsageError(f"{trial.id}: our own answer fails: run `python -m grader release`")
    tried = {trial.task for trial in all_trials(number)}
    mutants = [one for one in _mutants(number) if one[1].task in tried]
    with Pool(workers, processes=True) as pool:
        found = pool.map(partial(_survives, number, visible), mutants)
        alive = [mutant for (_, mutant), alive in zip(mutants, found, strict=True) if alive]
    known = equivalent_mutants(number)
    unused = sorted(set(known) - {(one.task, one.change) for one in alive})
    if unused and not visible:
        raise UsageError(
            f"{EQUIVALENT}: {unused[0][0]}: {unused[0][1]!r} is noticed or absent: remove it"
        )
    return MutationReport(
        tested=len(mutants),
        survivors=tuple(one for one in alive if (one.task, one.change) not in known),
        equivalent=sum((one.task, one.change) in known for one in alive),
        without_trial=tuple(t.id for t in ASSIGNMENTS[number].tasks if t.id not in tried),
    )


@cache
def equivalent_mutants(number: str) -> dict[tuple[str, str], str]:
    """(task, change) -> why no input distinguishes it from the original."""
    path = COURSE / get_assignment(number).folder / EQUIVALENT
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    rows = read_entries(EquivalentMutant, parse_toml(text, path).get("mutant", ()), EQUIVALENT)
    return {(one.task, one.change): one.reason for one in rows}


def _mutants(number: str) -> Iterator[tuple[int, Mutant]]:
    exported = [cell for cell in read_solution(solution(number)) if "export" in cell.tags]
    for position, cell in enumerate(exported):
        if cell.task:
            for mutant in mutants_of(cell.source, cell.task, _answer_lines(cell.source)):
                yield position, mutant


def _answer_lines(source: str) -> set[int]:
    lines, inside = set(), False
    for number, line in enumerate(source.splitlines(), start=1):
        if "# BEGIN SOLUTION" in line:
            inside = True
        elif "# END SOLUTION" in line:
            inside = False
        elif inside:
            lines.add(number)
    return lines


def _survives(number: str, visible: bool, placed: tuple[int, Mutant]) -> bool:
    position, mutant = placed
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    try:
        cells = exported_cells(solution(number))
        cells[position] = mutant.source
        answers = load_answers(cells, f"mutant of {mutant.task}")
        trials = [trial for trial in all_trials(number) if trial.task == mutant.task]
        return all(_agrees(trial, answers, visible) for trial in trials)
    except (Exception, SystemExit, TimeoutError):
        return False
    finally:
        signal.alarm(0)


def _agrees(trial: Trial, answers: Mapping[str, Any], visible: bool) -> bool:
    seed = PUBLIC_SEED if visible else Seed("mutants").number(trial.id) % 2**32
    found = [value for _, value in try_trial(trial, answers, seed, hidden=not visible)]
    if any(isinstance(value, BaseException) for value in found):
        return False
    if visible:
        expected = goldens(trial.number)[trial.id].expected
        return len(found) == len(expected) and all(
            record.agrees(value, trial.rtol, trial.atol)
            for value, (_, record) in zip(found, expected, strict=True)
        )
    ours = [value for _, value in expected_results(trial, seed)]
    return len(found) == len(ours) and all(
        difference(value, other, trial.rtol, trial.atol) is None
        for value, other in zip(found, ours, strict=True)
    )


def _too_long(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError

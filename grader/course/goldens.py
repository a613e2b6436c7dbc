"""Write the reference results of the visible checks: ours, and those of every known mistake.

kws/course/aNN_slug/goldens.json is generated from the solution, the planted mistakes and the
contract by `grader release`; `--check` reports a stale one. It has numbers and questions alone.
"""

import json
import math
import sys
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import solution_scripts
from grader.authoring.reference import Results, exported_cells, load_answers, try_trial
from grader.course.by_hand import compare_by_hand
from grader.course.mistakes.mistake import Mistake
from grader.course.mistakes.planted import edited, planted, solution
from grader.course.trials import mistaken_answers, our_answers
from kws.course.compare import COUNTED, Record
from kws.course.notebooks import COURSE, task_of
from kws.course.trial import ATOL, FILE, PUBLIC_SEED, RTOL, Trial, all_trials, raised
from kws.errors import UsageError
from kws.files import write_text

# What is finite beside NaN or infinity may be logarithms of rounding errors, which another
# processor rounds otherwise: such records only have to be of this relative nearness.
NOISE = 0.02


def golden_path(number: str) -> Path:
    return COURSE / ASSIGNMENTS[number].folder / FILE


def write_goldens(*, check: bool = False, only: Collection[str] | None = None) -> list[str]:
    """Write the stale files, all or `only` some; with `check` only name them."""
    refuse_incomplete()
    stale = []
    for number in only or ASSIGNMENTS:
        print(f"{number}: running every mistake", file=sys.stderr)
        path, text = golden_path(number), golden_text(number)
        if not path.is_file() or not is_current(path.read_text(encoding="utf-8"), text):
            stale.append(path.relative_to(ROOT).as_posix())
            if not check:
                write_text(path, text)
    return stale


def refuse_incomplete(root: Path = ROOT) -> None:
    """UsageError for an assignment that has one of its files and lacks another."""
    stems = {path.stem for path in solution_scripts(root)}
    for pattern in ("kws/course/a[0-9][0-9]_*/contract.py", "grader/course/a[0-9][0-9]_*/*.toml"):
        stems |= {path.parent.name[1:] for path in root.glob(pattern)}
    for stem in sorted(stems):
        for name in (
            f"solutions/{stem}.py",
            f"kws/course/a{stem}/contract.py",
            f"grader/course/a{stem}/assignment.toml",
            f"grader/course/a{stem}/test_checks.py",
        ):
            if not (root / name).is_file():
                raise UsageError(
                    f"{name} is missing: write it as in another assignment, or remove the other "
                    f"files of {stem}"
                )


def golden_text(number: str) -> str:
    """The expected content; UsageError for a mistake that changes no result."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of several threads differ in their last digits
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a planted mistake may do what torch warns of
            tables = _tables(number)
    finally:
        torch.set_num_threads(threads)
    lines = [f"{json.dumps(key)}: {_lines(table)}" for key, table in tables.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def is_current(text: str, wanted: str) -> bool:
    """Whether two such files agree up to the rounding of another processor."""
    return _is_close(json.loads(text), json.loads(wanted), RTOL)


def _is_close(a: Any, b: Any, rtol: float) -> bool:
    """Compare two files of records, key order included; stricter than `compare`."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.get("kind") == "integer":
            rtol = 10.0 ** (1 - COUNTED)
        elif "odd" in a:
            rtol = NOISE
        return list(a) == list(b) and all(_is_close(a[key], b[key], rtol) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(
            _is_close(one, other, rtol) for one, other in zip(a, b, strict=True)
        )
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=rtol, abs_tol=min(ATOL, rtol))
    return a == b


def _tables(number: str) -> dict[str, dict[str, Any]]:
    reference, trials = our_answers(number), all_trials(number)
    expected = {trial.id: _expected(trial, reference) for trial in trials}
    for check, results in compare_by_hand(number, reference).items():
        if results and not isinstance(results[-1][1], BaseException):
            expected[check] = [(what, Record.of(value)) for what, value in results]
    tables: dict[str, dict[str, Any]] = {
        check: {
            "after": ASSIGNMENTS[number].task(task_of(check)).after,
            "forbidden": ASSIGNMENTS[number].task(task_of(check)).forbidden,
            "expected": [[what, record.to_json()] for what, record in records],
            "mistakes": [],
        }
        for check, records in expected.items()
    }
    for position, mistake in enumerate(planted(number).mistakes):
        answers = mistaken_answers(number, position)
        own = [trial for trial in trials if trial.task == mistake.task]
        found = {trial.id: _differing(trial, expected[trial.id], answers) for trial in own}
        if own and not any(found.values()):
            raise UsageError(
                f"{mistake.task}, {mistake.name!r}: no result of the task differs from ours: "
                f"add an input to kws/course that shows it"
            )
        for check, results in compare_by_hand(number, answers, mistake.task).items():
            if check in expected:
                found[check] = _otherwise(results, expected[check], RTOL, ATOL)
        for check, differing in found.items():
            if differing:
                row = {"question": mistake.question, "results": differing}
                tables[check]["mistakes"].append(row)
    return tables


def shown_by(number: str, mistake: Mistake) -> list[str]:
    """The trials of the notebook whose results a mistake changes. It runs here: ours, or read."""
    text = edited(number, mistake.edits).decode()
    answers = load_answers(exported_cells(solution(number), text), f"mistake in {mistake.task}")
    return [
        trial.id
        for trial in all_trials(number)
        if trial.task == mistake.task
        and _differing(trial, _expected(trial, our_answers(number)), answers)
    ]


def _expected(trial: Trial, reference: Mapping[str, Any]) -> list[tuple[str, Record]]:
    results = try_trial(trial, reference, PUBLIC_SEED)
    for _, value in results:
        if isinstance(value, BaseException):
            raise value
    return [(what, Record.of(value, axes=True)) for what, value in results]


def _differing(
    trial: Trial, expected: list[tuple[str, Record]], answers: Mapping[str, Any]
) -> dict[str, Any]:
    results = try_trial(trial, answers, PUBLIC_SEED)
    return _otherwise(results, expected, trial.rtol, trial.atol)


def _otherwise(
    results: Results, expected: list[tuple[str, Record]], rtol: float, atol: float
) -> dict[str, Any]:
    differing = {}
    for position, (_, value) in enumerate(results):
        if isinstance(value, BaseException):
            differing[str(position)] = raised(value).to_json()
        elif not expected[position][1].agrees(value, rtol, atol):
            differing[str(position)] = Record.of(value).to_json()
    return differing


def _lines(table: Mapping[str, Any]) -> str:
    parts = []
    for key, rows in table.items():
        inner = ",\n    ".join(json.dumps(row, ensure_ascii=False) for row in rows)
        parts.append(
            f"  {json.dumps(key)}: [\n    {inner}\n  ]" if rows else f"  {json.dumps(key)}: []"
        )
    return "{\n" + ",\n".join(parts) + "\n}"

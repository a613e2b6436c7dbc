"""Every planted mistake, through the real grader: named by its check, and paid for once.

One mistake of each task goes into the same submission: what a task loses is then its own doing,
since later tasks are graded on our answers to earlier ones.
"""

import importlib.util
import itertools
from pathlib import Path

import pytest

from grader.adapters import ASSIGNMENTS
from grader.authoring.build import ROOT
from grader.grade import grade_one
from grader.hidden import Seed
from grader.isolation import Sandbox
from grader.salvage import read_submissions

HERE = Path(__file__).parent
NUMBERS = tuple(n for n in ASSIGNMENTS if (HERE / f"mistakes_{n}.py").exists())


def planted(number: str):
    """The module `mistakes_NN.py`."""
    path = HERE / f"mistakes_{number}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rounds(number: str) -> list[list[tuple]]:
    """The first mistake of each task, then the second of each, and so on."""
    by_task = itertools.groupby(planted(number).MISTAKES, key=lambda mistake: mistake[0])
    columns = itertools.zip_longest(*(list(group) for _, group in by_task))
    return [[mistake for mistake in column if mistake] for column in columns]


ROUNDS = [
    pytest.param(n, i, marks=[pytest.mark.slow] * (i > 0))  # one round for each makes a fast suite
    for n in NUMBERS
    for i in range(len(rounds(n)))
]
OTHERS = [(n, name) for n in NUMBERS for name in planted(n).ALTERNATIVES]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def grade(sandbox, tmp_path):
    """The report on our solution of an assignment after some edits."""

    def graded(number: str, edits: list[tuple[str, str]]):
        stem = ASSIGNMENTS[number].stem
        text = (ROOT / "solutions" / f"{stem}.py").read_text(encoding="utf-8")
        for old, new in edits:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / f"{stem}.py").write_text(text, encoding="utf-8")
        (submission,) = read_submissions(tmp_path, number)
        return grade_one(submission, sandbox=sandbox, seed=Seed("planted mistakes"))

    return graded


def without_weights(number: str, report) -> list:
    """The checks that need no trained weights: those are graded elsewhere."""
    ours = getattr(planted(number), "NEED_WEIGHTS", ())
    return [check for check in report.checks if check.id not in ours]


def shown(check) -> str:
    return f"{check.id}: {check.reason} {check.message} / {check.hint} {dict(check.facts)}"


@pytest.mark.parametrize(("number", "index"), ROUNDS)
def test_planted_mistakes_are_named_and_cost_once(number, index, grade):
    mistakes = rounds(number)[index]
    edits = [edit for _, _, old, new, _, _, *more in mistakes for edit in [(old, new), *more]]
    report = grade(number, edits)
    results = {check.id: check for check in report.checks}
    for _, name, _, _, check_id, words, *_ in mistakes:
        check = results[check_id]
        assert check.earned is not None, f"{name}: {shown(check)}"
        assert check.earned < check.points, f"{name} was not caught"
        assert words in f"{check.message}\n{check.hint}", f"{name}: {shown(check)}"
    mistaken = {task for task, *_ in mistakes}
    others = [c for c in without_weights(number, report) if c.task not in mistaken]
    assert [shown(check) for check in others if not check.passed] == []
    assert [shown(check) for check in report.checks if check.earned is None] == []


@pytest.mark.parametrize(("number", "name"), OTHERS)
def test_another_right_answer_earns_all_points(number, name, grade):
    report = grade(number, planted(number).ALTERNATIVES[name])
    wrong = [check for check in without_weights(number, report) if not check.passed]
    assert [shown(check) for check in wrong] == []


@pytest.mark.parametrize("number", NUMBERS)
def test_our_answer_earns_all_points(number, grade):
    wrong = [check for check in without_weights(number, grade(number, [])) if not check.passed]
    assert [shown(check) for check in wrong] == []

"""What is known of the course without its sources: tasks, steps, questions; where notebooks lie."""

import ast
import json
import re

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from grader.authoring.leaks import find_leaks, secrets_of_solution
from grader.authoring.markers import regions_of
from kws.course.notebooks import assignment_folders, stem_of
from kws.errors import UsageError
from kws.student.released import (
    checks_released,
    find_notebook,
    notebooks_in,
    parse_target,
    released,
    tasks_of,
    weights_name,
)
from kws.student.spoken import spoken
from tests.grader.conftest import code_beside

NUMBERS = sorted(released())
TASKS = [(number, task) for number in NUMBERS for task in tasks_of(number)]


def test_every_solution_is_released_and_every_question_to_think_about_has_its_answer():
    stems = sorted(path.stem for path in (ROOT / "solutions").glob("[0-9]*.py"))
    assert [stem_of(number) for number in released()] == stems
    for number in NUMBERS:
        text = released()[number].read_text(encoding="utf-8")
        count = len(re.findall(r"\*\*(?:Think|Before you go on):", text))
        assert sum(len(each.thoughts) for each in tasks_of(number).values()) == count > 0


@pytest.mark.parametrize(("number", "task"), TASKS)
def test_every_task_has_a_title_a_check_and_something_to_say_on_each_level(number, task):
    wanted = tasks_of(number)[task]
    assert wanted.title
    assert wanted.checks
    assert wanted.steps
    # a new assignment begins without hints.md: `kws hint` prints its steps
    hinted = (assignment_folders()[number] / "hints.md").is_file()
    assert list(wanted.hints) == (["idea", "example", "shapes"] if hinted else [])
    for text in wanted.hints.values():
        assert len(text) > 20
        assert not re.search(r"[$`]|\\[a-z]", text), "a terminal shows no formulas"
    for question, answer in wanted.thoughts:
        for text in (spoken(question), spoken(answer)):
            assert text
            assert not re.search(r"[$\\]|\*\*|</", text), text


@pytest.mark.parametrize("number", NUMBERS)
def test_the_steps_are_those_of_the_solution_and_no_hint_holds_an_answer(number):
    path = ROOT / "solutions" / f"{stem_of(number)}.py"
    solution = read_solution(path)
    for task, wanted in tasks_of(number).items():
        steps = [
            f"{n}. {text}"
            for cell in solution
            if cell.task == task
            for region in regions_of(cell.source, line=cell.line)
            for n, text in enumerate(region.steps, start=1)
        ]
        assert wanted.steps == steps
    tasks = tasks_of(number).values()
    output = [line for one in tasks for line in (*one.steps, *one.hints.values(), *one.questions)]
    assert find_leaks({"hints": "\n".join(output).encode()}, secrets_of_solution(path)) == []
    named = f"{path.stem}.safetensors" if ASSIGNMENTS[number].weights else None
    assert weights_name(number) == named


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def expressions_of(source: str) -> set[str]:
    """What its statements compute, whole, and longer parts of it, without spaces."""
    kinds = (ast.BinOp, ast.Call, ast.Compare, ast.Subscript)
    nodes = list(ast.walk(ast.parse(source)))
    whole = {node.value for node in nodes if isinstance(node, ast.Assign | ast.Return | ast.Expr)}
    texts = {
        node: squeezed(ast.get_source_segment(source, node) or "")
        for node in nodes
        if isinstance(node, kinds)
    }
    return {text for node, text in texts.items() if len(text) >= (8 if node in whole else 15)}


@pytest.mark.parametrize(("number", "task"), TASKS)
def test_no_hint_contains_a_line_of_the_answer_that_the_notebook_lacks(number, task):
    wanted = tasks_of(number)[task]
    hints = squeezed("\n".join([*wanted.hints.values(), *wanted.questions]))
    known = squeezed("\n".join([wanted.section, *(cell.source for cell in wanted.cells)]))
    cells = read_solution(ROOT / "solutions" / f"{stem_of(number)}.py")
    answer = set[str]().union(*(expressions_of(c.source) for c in cells if c.task == task))
    assert [text for text in answer if text in hints and text not in known] == []


def test_questions_are_those_of_all_checks_and_sections_end_at_the_next():
    questions = tasks_of("02")["2.1"].questions
    assert "are the scores divided by the root of K?" in questions
    assert "is valid used at all?" in questions  # of a planted mistake
    assert len(questions) == len(set(questions))
    output = tasks_of("03")["3.1"].section
    assert "padding" in output
    assert "The speaker is the same in all frames" not in output


@pytest.mark.parametrize("text", ["2.1", "02.1", "2.1-attend-by-hand"])
def test_a_task_covers_its_checks_and_no_others(text):
    target = parse_target(text)
    covered = [check for check in checks_released("02") if target.covers(check)]
    assert covered == [c for c in checks_released("02") if c.startswith(text.removeprefix("0"))]


@pytest.mark.parametrize(("text", "says"), code_beside(__file__)["refused"].items())
def test_what_the_course_does_not_hold_is_one_sentence(text, says):
    with pytest.raises(UsageError, match=says):
        parse_target(text)


def test_a_notebook_is_found_from_the_course_from_its_own_folder_and_by_another_name(
    folder, monkeypatch
):
    assert find_notebook("02").resolve() == folder["02"]
    monkeypatch.chdir(folder.path / "assignments")
    assert find_notebook("02").resolve() == folder["02"]
    assert list(notebooks_in()) == NUMBERS
    copy = folder["02"].with_name("02 mine (1).ipynb")
    copy.write_bytes(folder["02"].read_bytes())
    assert find_notebook("02").resolve() == folder["02"]
    folder["02"].unlink()
    assert find_notebook("02").resolve() == copy


def test_two_notebooks_or_none_are_one_sentence(folder):
    (folder.path / folder["02"].name).write_text(json.dumps({"cells": []}))
    with pytest.raises(UsageError, match="several notebooks for assignment 02"):
        find_notebook("02")
    folder["03"].unlink()
    with pytest.raises(UsageError, match="neither in assignments/ nor here"):
        find_notebook("03")

"""Every assignment keeps what the course promises: before anything is graded, by reading alone."""

import ast
import re

import pytest

from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from grader.course import overview
from grader.course.mistakes.planted import edited, planted, solution
from kws.course.trial import all_trials
from tests.grader.conftest import code_beside

NUMBERS = tuple(ASSIGNMENTS)
MOST_LINES = 20  # of a code cell


def cells(number: str):
    return read_solution(solution(number))


def words(number: str) -> str:
    return "\n".join(cell.source for cell in cells(number) if cell.kind == "markdown")


def visible_checks(number: str) -> dict[str, str]:
    """Ids and titles in the notebook's check cells."""
    text = "\n".join(cell.source for cell in cells(number) if "check" in cell.tags)
    return dict(re.findall(r'check\(\s*"([^"]+)",\s*"([^"]+)"', text))


def hidden_checks(number: str) -> dict[str, str]:
    """Id -> title of every hidden check that exists without --retrain."""
    return {one.id: one.title for one in overview.hidden_checks(number) if not one.retrain}


CONTRACTED = [number for number in NUMBERS if all_trials(number)]


@pytest.mark.parametrize("number", CONTRACTED)
def test_the_notebook_checks_every_trial_of_the_contract_and_the_grader_too(number):
    text = "\n".join(cell.source for cell in cells(number) if "check" in cell.tags)
    trials = {trial.id: trial for trial in all_trials(number)}
    assert set(re.findall(r'check_values\(\s*"([^"]+)"', text)) == set(trials)
    hidden = hidden_checks(number)
    for one, trial in trials.items():
        assert hidden.get(one) == f"{trial.title}."
    assert words(number).count("**Contract.**") == len(ASSIGNMENTS[number].tasks)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_assignment_has_two_to_nine_tasks_and_twenty_to_forty_points(number):
    assert 2 <= len(ASSIGNMENTS[number].tasks) <= 9  # `python -m grader new` begins with two
    usual = (check.points for check in overview.hidden_checks(number) if not check.retrain)
    assert 20 <= sum(usual) <= 40


@pytest.mark.parametrize("number", sorted({*NUMBERS} - {*CONTRACTED}))
def test_every_task_has_a_visible_check_and_two_more_hidden_ones(number):
    visible, hidden = visible_checks(number), hidden_checks(number)
    for task in ASSIGNMENTS[number].tasks:
        mine = {one for one in hidden if one.startswith(f"{task.id}-")}
        assert mine & set(visible), task.id
        assert len(mine - set(visible)) >= 2, task.id
    for one, title in visible.items():
        assert hidden[one].rstrip(".") == title


@pytest.mark.parametrize("number", NUMBERS)
def test_every_task_has_three_planted_mistakes_the_notebook_two_other_answers_and_all_edits_fit(
    number,
):
    data = planted(number)
    for task in ASSIGNMENTS[number].tasks:
        names = [mistake.name for mistake in data.mistakes if mistake.task == task.id]
        assert len(set(names)) >= 3, task.id
    assert len(data.alternatives) >= 2
    ours, data = edited(number), planted(number)
    for edits in (*(mistake.edits for mistake in data.mistakes), *data.alternatives.values()):
        for edit in edits:
            assert edited(number, [edit]) != ours, edit


@pytest.mark.parametrize("number", NUMBERS)
def test_cells_are_short_headings_are_titles_and_questions_are_followed_by_their_folded_answers(
    number,
):
    for cell in cells(number):
        if cell.kind == "code" and cell.task is None:
            assert len(cell.source.splitlines()) <= MOST_LINES, cell.source
    headings = re.findall(r"^## (\d+\.\d) (.+)$", words(number), re.MULTILINE)
    assert headings == [(task.id, task.title) for task in ASSIGNMENTS[number].tasks]
    for output in ("**You will build**", "**You need**", "**Time**"):
        assert output in cells(number)[0].source
    asked = "|".join(map(re.escape, overview.QUESTIONS))
    # without an empty line below the summary, Markdown and formulas inside are not rendered
    folded = r"<details><summary>An answer</summary>\n\n(?!\n).+?\n\n</details>"
    for cell in cells(number):
        text = cell.source if cell.kind == "markdown" else ""
        for question in re.finditer(rf"^(?:{asked}).*?(?:\n\n|\Z)", text, re.DOTALL | re.MULTILINE):
            assert re.compile(folded, re.DOTALL).match(text, question.end()), question[0]


@pytest.mark.parametrize("number", NUMBERS)
def test_an_answer_is_called_inside_its_check_so_that_a_todo_makes_no_traceback(number):
    asked = {name for task in ASSIGNMENTS[number].tasks for name in task.names}
    for cell in cells(number):
        if "check" not in cell.tags:
            continue
        for node in ast.parse(cell.source).body:
            given = ast.unparse(node).startswith("check_values(")  # it tells a TODO by itself
            if not given and not isinstance(node, ast.With | ast.FunctionDef | ast.ClassDef):
                used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
                assert not used & asked, ast.unparse(node)


FINDINGS = code_beside(__file__)


@pytest.mark.parametrize("finding", FINDINGS)
def test_what_went_wrong_in_the_sources_is_told_and_tried(finding):
    number, says, runs = FINDINGS[finding].values()
    assert says in " ".join(words(number).split())
    assert any(runs in cell.source for cell in cells(number) if cell.kind == "code")

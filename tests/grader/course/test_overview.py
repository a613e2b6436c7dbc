"""The instructor's page: what it counts is counted, and the mistakes that it names are planted."""

import math
import re

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from grader.course.mistakes.planted import planted, solution
from grader.course.overview import brought_up_to_date, hidden_checks, hours, minutes
from kws.errors import UsageError
from kws.student.released import tasks_of

PAGE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBERS = tuple(ASSIGNMENTS)


def test_the_page_is_counted_anew_and_hidden_checks_are_all_read_with_their_points():
    """If not: python -m grader overview docs/teaching.md."""
    assert brought_up_to_date(PAGE) == PAGE
    with pytest.raises(
        UsageError, match="<!-- guesses --> is not a block: use one of numbers, mist"
    ):
        brought_up_to_date("<!-- guesses -->\n<!-- end -->")
    checks = list(hidden_checks("02"))
    assert {check.task for check in checks} == {task.id for task in ASSIGNMENTS["02"].tasks}
    assert sum(check.points for check in checks) == 34
    assert sum(task.points for task in tasks_of("02").values()) == 34  # read from the headings
    assert not any(check.retrain for check in checks)


def test_mistakes_to_speak_of_in_class_are_planted_in_those_tasks():
    messages = re.findall(r"^- (.+?) \(([\d., ]+)\)", PAGE, re.MULTILINE)
    assert len(messages) >= 5
    for output, tasks in messages:
        for task in tasks.split(", "):
            found = planted(task[0].zfill(2)).mistakes
            known = [mistake.name for mistake in found if mistake.task == task]
            assert set(re.findall(r'"([^"]+)"', output)) & set(known), (output, task)


@pytest.mark.parametrize("number", NUMBERS)
def test_notebook_and_readme_announce_the_estimate_in_whole_hours(number):
    words = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}
    whole = math.ceil(hours(number))
    first = read_solution(solution(number))[0].source
    assert f"**Time** about {words[whole]} hour" in first
    assert re.search(rf"^\| {number} .*\| {whole} h \|", README, re.MULTILINE)


def test_text_answers_and_questions_all_take_time():
    def cell(kind: str, source: str, task: str | None = None):
        return type(cells[0])(**{**vars(cells[0]), "kind": kind, "source": source, "task": task})

    cells = read_solution(solution("02"))
    assert minutes([cell("markdown", "word " * 120)]) == pytest.approx(1)
    assert minutes([cell("markdown", "**Think:** why?")]) == pytest.approx(3 + 2 / 120)
    folded = "**Think:** why?\n\n<details><summary>An answer</summary>\n\nSo.\n\n</details>"
    assert minutes([cell("markdown", folded)]) == pytest.approx(3 + 2 / 120)
    assert minutes([cell("code", "x = 1\n\n" * 15)]) == pytest.approx(1)
    answer = "def f():\n    # BEGIN SOLUTION 2.1\n    #: Step.\n    return 1\n    # END SOLUTION"
    assert minutes([cell("code", answer, "2.1")]) == pytest.approx(2 + 3)

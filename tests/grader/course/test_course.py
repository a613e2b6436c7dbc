"""An assignment keeps what the course promises; counts and bounds are those that are published."""

import ast
import math
import re
from types import SimpleNamespace

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from grader.course import overview, targets
from grader.course.mistakes.planted import edited, planted, solution
from grader.course.overview import brought_up_to_date, hours, minutes
from grader.course.targets import MEASURES
from kws.course.trial import all_trials
from kws.errors import UsageError
from kws.student.released import tasks_of
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
def test_an_assignment_has_two_to_nine_tasks_twenty_to_forty_points_three_mistakes_a_task_that_fit(
    number,
):
    assert 2 <= len(ASSIGNMENTS[number].tasks) <= 9  # `python -m grader new` begins with two
    usual = (check.points for check in overview.hidden_checks(number) if not check.retrain)
    assert 20 <= sum(usual) <= 40
    data = planted(number)
    for task in ASSIGNMENTS[number].tasks:
        names = [mistake.name for mistake in data.mistakes if mistake.task == task.id]
        assert len(set(names)) >= 3, task.id
    assert len(data.alternatives) >= 2
    ours, data = edited(number), planted(number)
    for edits in (*(mistake.edits for mistake in data.mistakes), *data.alternatives.values()):
        for edit in edits:
            assert edited(number, [edit]) != ours, edit


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
    wanted = "|".join(map(re.escape, overview.QUESTIONS))
    # without an empty line below the summary, Markdown and formulas inside are not rendered
    folded = r"<details><summary>An answer</summary>\n\n(?!\n).+?\n\n</details>"
    for cell in cells(number):
        text = cell.source if cell.kind == "markdown" else ""
        for question in re.finditer(rf"^(?:{wanted}).*?(?:\n\n|\Z)", text, re.S | re.M):
            assert re.compile(folded, re.DOTALL).match(text, question.end()), question[0]


@pytest.mark.parametrize("number", NUMBERS)
def test_an_answer_is_called_inside_its_check_so_that_a_todo_makes_no_traceback(number):
    wanted = {name for task in ASSIGNMENTS[number].tasks for name in task.names}
    for cell in cells(number):
        if "check" not in cell.tags:
            continue
        for node in ast.parse(cell.source).body:
            given = ast.unparse(node).startswith("check_values(")  # it tells a TODO by itself
            if not given and not isinstance(node, ast.With | ast.FunctionDef | ast.ClassDef):
                used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
                assert not used & wanted, ast.unparse(node)


FINDINGS = code_beside(__file__)


@pytest.mark.parametrize("finding", FINDINGS)
def test_what_went_wrong_in_the_sources_is_told_and_tried(finding):
    number, says, runs = FINDINGS[finding].values()
    assert says in " ".join(words(number).split())
    assert any(runs in cell.source for cell in cells(number) if cell.kind == "code")


PAGE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_page_is_counted_anew_and_hidden_checks_are_all_read_with_their_points():
    """If not: python -m grader overview docs/teaching.md."""
    assert brought_up_to_date(PAGE) == PAGE
    with pytest.raises(
        UsageError, match="<!-- guesses --> is not a block: use one of numbers, mist"
    ):
        brought_up_to_date("<!-- guesses -->\n<!-- end -->")
    checks = list(overview.hidden_checks("02"))
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


REACHED = {number: one.reached for number, one in ASSIGNMENTS.items() if one.reached}
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
ROW = r"\| {} .*\| (?P<seeds>\d+) × (?P<n>[\d–]+) \| (?P<mean>[\d.]+) ± (?P<deviation>[\d.]+) % "
ROW += r"\| (?P<full>\d+) % \| (?P<none>\d+) % \|"


def graded(number: str) -> tuple[float, float]:
    """The bounds that a hidden check grades by: all points, and none."""
    path = ROOT / "grader" / "course" / ASSIGNMENTS[number].folder / "test_checks.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("(FULL, "):
            full, none = ast.literal_eval(node.value)
            return full, none
    raise AssertionError(f"{path.name} has no FULL")


def test_every_assignment_that_trains_has_a_record_of_five_seeds_or_more():
    trained = {number for number, one in ASSIGNMENTS.items() if one.weights}
    assert set(REACHED) == set(MEASURES) == trained
    assert all(len(reached.right) >= 5 for reached in REACHED.values())


@pytest.mark.parametrize("number", sorted(REACHED))
def test_the_bounds_that_are_graded_are_far_below_the_mean_and_on_the_page_of_results(number):
    reached, (full, none) = REACHED[number], graded(number)
    assert full == reached.full
    assert (full + none) / 2 < reached.mean - 10 * reached.deviation
    rows = (re.match(ROW.format(number), line) for line in RESULTS.splitlines())
    (row,) = filter(None, rows)
    assert (int(row["seeds"]), row["n"]) == (len(reached.right), reached.examples)
    assert row["mean"] == f"{100 * reached.mean:.1f}"
    assert row["deviation"] == f"{100 * reached.deviation:.1f}"
    assert (int(row["full"]), int(row["none"])) == (round(100 * full), round(100 * none))


OWN_RUN = r"when we ran|\b[Ii]n (?:one of )?our runs?\b|\bin one run"  # beside a typed number
RECIPE = r"recipe reaches about ([\d.]+) %"


@pytest.mark.parametrize("number", sorted(REACHED))
def test_a_notebook_types_no_number_of_its_run_but_what_our_recipe_reached(number):
    """Cells print what a run gives; words of it in Markdown are not tied to any."""
    cells = read_solution(ROOT / "solutions" / f"{ASSIGNMENTS[number].stem}.py")
    text = " ".join(" ".join(c.source.split()) for c in cells if c.kind == "markdown")
    stated = [float(value) for value in re.findall(RECIPE, text)]
    assert all(abs(value - 100 * REACHED[number].mean) <= 0.5 for value in stated)
    assert re.findall(OWN_RUN, text) == []


def test_definitions_are_those_of_the_solution_without_its_trainings(monkeypatch):
    def cell(source, kind="code", tags=()):
        return SimpleNamespace(kind=kind, source=source, tags=tags)

    ran = []
    monkeypatch.setattr(
        targets,
        "read_solution",
        lambda path: [
            ran.append(path) or cell("not python", kind="markdown"),
            cell("answer = 42"),
            cell("plt.plot(answer)"),
            cell("history = fit(answer)"),
            cell("recipe = 43", tags=("export",)),
            cell("curves = fit(recipe)"),
        ],
    )
    names = targets.definitions("03")
    assert ran[0].name == "03_speakers.py"
    assert (names["answer"], names["recipe"]) == (42, 43)
    assert not {"history", "curves"} & set(names)

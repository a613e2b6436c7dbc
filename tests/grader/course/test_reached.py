"""The bounds of accuracies: reached by our answers, graded and published, they are equal."""

import ast
import re
from types import SimpleNamespace

import pytest

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import read_solution
from grader.course import targets
from grader.course.targets import MEASURES

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

"""Generated tables of the instructor's page.

    python -m grader overview docs/teaching.md

rewrites the known blocks `<!-- NAME -->` … `<!-- end -->` of a page. The hours are an estimate by a
formula of ours: no class has been timed.
"""

import importlib
import re
from collections.abc import Iterable
from pathlib import Path

from grader.adapters import ASSIGNMENTS
from grader.authoring.build import SolutionCell, read_solution, written_questions
from grader.authoring.markers import BEGIN_ANSWER, regions_of
from grader.course.mistakes.planted import planted, solution
from grader.grading.checks import Check, read_check
from kws.errors import UsageError
from kws.files import write_text
from kws.student.released import FOLDED

WORDS, CODE = 120, 15  # words of text and lines of given code that are read in a minute
ANSWER, QUESTION, TASK = 2, 3, 3  # minutes: a line of an answer, a question, a task's surroundings
WRITTEN = 20  # minutes for an answer in words, without the trainings that it asks for
MOST = 5  # mistakes shown of a task
ASIDE = re.compile(f"{FOLDED.pattern}|^{BEGIN_ANSWER}$.*", re.DOTALL | re.MULTILINE)
QUESTIONS = ("**Think", "**Before you go on")
BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def hidden_checks(number: str) -> list[Check]:
    """The checks of an assignment, with those of `--retrain`, in file order."""
    found = []
    module = importlib.import_module(f"grader.course.{ASSIGNMENTS[number].folder}.test_checks")
    for name, function in vars(module).items():
        for mark in getattr(function, "pytestmark", ()):
            if name.startswith("test_") and mark.name == "check":
                arguments = (mark.args, mark.kwargs)
                found.append(read_check(ASSIGNMENTS[number], function, name, *arguments))
    return found


def minutes(cells: list[SolutionCell]) -> float:
    """Estimated minutes to read, answer and think about a notebook, without debugging."""
    text = [ASIDE.sub("", cell.source) for cell in cells if cell.kind == "markdown"]
    given = [cell.source for cell in cells if cell.kind != "markdown" and not cell.task]
    tasks = {cell.task for cell in cells if cell.task}
    answers = [
        line
        for cell in cells
        if cell.task
        for region in regions_of(cell.source, line=cell.line)
        for line in region.code
        if line.strip() and not line.strip().startswith("#")
    ]
    words = sum(len(source.split()) for source in text)
    lines = sum(bool(line.strip()) for source in given for line in source.splitlines())
    folded = sum(source.count(question) for source in text for question in QUESTIONS)
    reading = words / WORDS + lines / CODE
    written = sum("written" in cell.tags and cell.kind == "markdown" for cell in cells)
    return (
        reading + ANSWER * len(answers) + QUESTION * folded + TASK * len(tasks) + WRITTEN * written
    )


def hours(number: str) -> float:
    return round(minutes(read_solution(solution(number))) / 30) / 2


def numbers() -> str:
    """A table of the contents and the estimated time of each assignment."""
    rows = [
        "| | tasks | points | hidden checks | recognized mistakes | estimate |",
        "|---|---|---|---|---|---|",
    ]
    for number, one in ASSIGNMENTS.items():
        checks = hidden_checks(number)
        usual = sum(check.points for check in checks if not check.retrain)
        more = sum(check.points for check in checks if check.retrain)
        words = sum(question.points for question in written_questions(number))
        points = f"{usual:g}" + (f" + {words:g} written" if words else "")
        points += f" (+ {more:g} with `--retrain`)" if more else ""
        counts = f"{len(one.tasks)} | {points} | {len(checks)} | {len(planted(number).mistakes)}"
        rows.append(f"| {number} {one.title} | {counts} | {hours(number):g} h |")
    return "\n".join(rows) + "\n"


def mistakes() -> str:
    """A table: for each task its title and its first planted mistakes."""
    rows = ["| | | |", "|---|---|---|"]
    for number, one in ASSIGNMENTS.items():
        found = planted(number).mistakes
        for task in one.tasks:
            names = [mistake.name for mistake in found if mistake.task == task.id]
            more = f"; {len(names) - MOST} more" if len(names) > MOST else ""
            rows.append(f"| {task.id} | {task.title} | {'; '.join(names[:MOST])}{more} |")
    return "\n".join(rows) + "\n"


def open_points() -> str:
    """A table: the points of checks whose right results are the same for every secret seed."""
    cells = []
    for number in ASSIGNMENTS:
        checks = [check for check in hidden_checks(number) if not check.retrain]
        known = sum(one.points for one in checks if one.id in ASSIGNMENTS[number].foreseen)
        cells.append(f"{known:g} of {sum(check.points for check in checks):g}")
    lines = (list(ASSIGNMENTS), ["---"] * len(cells), cells)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


BLOCKS = {"numbers": numbers, "mistakes": mistakes, "foreseen": open_points}


def brought_up_to_date(text: str) -> str:
    """The page with its blocks generated again; UsageError for an unknown block."""

    def block(found: re.Match[str]) -> str:
        if found[2] not in BLOCKS:
            raise UsageError(f"<!-- {found[2]} --> is not a block: use one of {', '.join(BLOCKS)}")
        return f"{found[1]}{BLOCKS[found[2]]()}{found[3]}"

    return BLOCK.sub(block, text)


def main(pages: Iterable[Path]) -> None:
    for page in pages:
        write_text(page, brought_up_to_date(page.read_text(encoding="utf-8")))

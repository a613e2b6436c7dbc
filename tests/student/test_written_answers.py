"""Whether a written answer is there is seen as the grader sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.authoring.written_questions import written_questions
from grader.submission.written_cells import find_answers
from kws.course.folders import stem_of
from kws.student.released import released
from kws.student.written_answers import empty_answers, questions_of

PNG = "iVBORw0KGgo="
ASKED = [number for number in released() if questions_of(number)]


def replace(cells: list[Any], at: int) -> None:
    cells[at + 1]["source"] = ["Three layers, because\n", "two were worse."]


def add_a_cell(cells: list[Any], at: int) -> None:
    cells.insert(at + 1, {"cell_type": "markdown", "metadata": {}, "source": "Three layers."})


def below_the_question(cells: list[Any], at: int) -> None:
    cells[at]["source"] = "".join(cells[at]["source"]) + "\n\nThree layers."


def below_the_placeholder(cells: list[Any], at: int) -> None:
    cells[at + 1]["source"] = "".join(cells[at + 1]["source"]) + "\n\nThree layers."


def without_metadata(cells: list[Any], at: int) -> None:
    replace(cells, at)
    for cell in cells:
        cell["metadata"] = {}


def attach_a_picture(cells: list[Any], at: int) -> None:
    cells[at + 1]["attachments"] = {"a.png": {"image/png": PNG}}


def draw_a_figure(cells: list[Any], at: int) -> None:
    cells[at + 2]["outputs"] = [{"output_type": "display_data", "data": {"image/png": PNG}}]


def nothing(cells: list[Any], at: int) -> None:
    pass


def only_blanks(cells: list[Any], at: int) -> None:
    cells[at + 1]["source"] = " \n"


def elsewhere(cells: list[Any], at: int) -> None:
    cells.insert(0, {"cell_type": "markdown", "metadata": {}, "source": "Three layers."})


WRITTEN = (replace, add_a_cell, below_the_question, below_the_placeholder)
WRITTEN += (without_metadata, attach_a_picture, draw_a_figure)


def edited(number: str, edit: Callable, folder: Path) -> Path:
    """The blank notebook with this edit at the place of its first written question."""
    table = json.loads(released()[number].read_text(encoding="utf-8"))
    cells = table["cells"]
    at = next(n for n, cell in enumerate(cells) if "Written answer" in "".join(cell["source"]))
    edit(cells, at)
    path = folder / f"{stem_of(number)}.ipynb"
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


@pytest.mark.parametrize("number", ASKED)
@pytest.mark.parametrize("edit", [*WRITTEN, nothing, only_blanks, elsewhere])
def test_an_answer_is_there_if_the_grader_finds_one(number, edit, tmp_path):
    path = edited(number, edit, tmp_path)
    [(question, found)] = find_answers(path.read_bytes(), written_questions(number)).items()
    assert (empty_answers(number, path) == [question]) == (edit not in WRITTEN)
    assert bool(found.text or found.images) == (edit in WRITTEN)


@pytest.mark.parametrize("number", released())
def test_questions_are_those_that_the_grader_asks(number):
    assert list(questions_of(number)) == [each.id for each in written_questions(number)]

"""Whether a written answer is there is seen as the grader sees it."""

import json
from typing import Any

import pytest

from grader.authoring.build import written_questions
from grader.submission.written_cells import find_answers
from kws.course.folders import stem_of
from kws.student.released import released
from kws.student.written_answers import empty_answers, questions_of

PNG = "iVBORw0KGgo="
PICTURE = {"a.png": {"image/png": PNG}}
ASKED = [number for number in released() if questions_of(number)]


LAYERS = "Three layers, because\n two were worse."


def markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def and_more(cell: dict[str, Any]) -> dict[str, Any]:
    return {**cell, "source": f"{''.join(cell['source'])}\n\n{LAYERS}"}


def figure(cell: dict[str, Any]) -> dict[str, Any]:
    output = {"output_type": "display_data", "data": {"image/png": PNG}}
    return {**cell, "outputs": [output]}


# what becomes of the cell of the question, of the one for the answer, and of the next
WRITTEN = {
    "replaced": lambda asked, blank, after: [asked, {**blank, "source": [LAYERS]}, after],
    "in a new cell": lambda asked, blank, after: [asked, markdown(LAYERS), blank, after],
    "in its place": lambda asked, _, after: [asked, markdown(LAYERS), after],
    "below the question": lambda asked, blank, after: [and_more(asked), blank, after],
    "in the question": lambda asked, _, after: [and_more(asked), markdown(""), after],
    "below the placeholder": lambda asked, blank, after: [asked, and_more(blank), after],
    "without metadata": lambda asked, blank, after: [asked, {**blank, "source": LAYERS}, after],
    "picture": lambda asked, blank, after: [asked, {**blank, "attachments": PICTURE}, after],
    "figure": lambda asked, blank, after: [asked, blank, figure(after)],
}
BLANK = {
    "nothing": lambda *cells: [*cells],
    "spaces": lambda asked, blank, after: [asked, {**blank, "source": " \n"}, after],
    "elsewhere": lambda *cells: [markdown(LAYERS), *cells],
}


@pytest.mark.parametrize("number", ASKED)
@pytest.mark.parametrize("edit", WRITTEN | BLANK)
def test_an_answer_is_there_if_the_grader_finds_one(number, edit, tmp_path):
    table = json.loads(released()[number].read_text(encoding="utf-8"))
    cells = table["cells"]
    at = next(n for n, cell in enumerate(cells) if "Written answer" in "".join(cell["source"]))
    cells[at : at + 3] = (WRITTEN | BLANK)[edit](*cells[at : at + 3])
    if edit == "elsewhere":
        cells.insert(0, cells.pop(at))
    if edit == "without metadata":
        cells[:] = [{**cell, "metadata": {}} for cell in cells]
    path = tmp_path / f"{stem_of(number)}.ipynb"
    path.write_text(json.dumps(table), encoding="utf-8")
    [(question, found)] = find_answers(path.read_bytes(), written_questions(number)).items()
    assert (empty_answers(number, path) == [question]) == (edit in BLANK)
    assert bool(found.text or found.images) == (edit in WRITTEN)


@pytest.mark.parametrize("number", released())
def test_questions_are_those_that_the_grader_asks(number):
    assert list(questions_of(number)) == [each.id for each in written_questions(number)]

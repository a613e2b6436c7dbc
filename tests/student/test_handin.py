"""Notebook, weights, manifest and written answers are handed in as the grader reads them."""

import hashlib
import json
import zipfile
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from grader.authoring.build import written_questions
from grader.submission import read_submissions
from grader.submission.written_cells import find_answers
from kws.course.folders import stem_of
from kws.errors import UsageError
from kws.student.handin import MOST, hand_in
from kws.student.released import released
from kws.student.visible_checks import CheckOutcome
from kws.student.written_answers import empty_answers, questions_of

OUTCOMES = [CheckOutcome(check="3.1-collate-by-hand", state="pass", text="")]


def test_the_grader_reads_it_with_its_weights(folder):
    folder.fill("03")
    save_file({"w": torch.ones(3)}, folder["03"].with_suffix(".safetensors"))
    written = hand_in("03", folder["03"], OUTCOMES, folder.path / "03_speakers.zip")
    assert written.missing is None
    [submission] = read_submissions(written.path)
    [direct] = read_submissions(folder["03"])
    assert submission.assignment == "03"
    assert submission.pieces == direct.pieces
    assert submission.weights == direct.weights is not None
    assert not submission.repairs


def test_it_holds_three_files_and_a_manifest_of_the_others(folder):
    for name in ("notes.txt", "04_conformer.safetensors", "03_speakers.before-reset-1.ipynb"):
        (folder.path / "assignments" / name).write_text("mine")
    save_file({"w": torch.ones(3)}, folder["03"].with_suffix(".safetensors"))
    written = hand_in("03", folder["03"], OUTCOMES, folder.path / "out.zip")
    with zipfile.ZipFile(written.path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert list(held) == ["03_speakers.ipynb", "03_speakers.safetensors", "manifest.json"]
    manifest = json.loads(held.pop("manifest.json"))
    assert manifest["files"] == {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in held.items()
    }
    assert (manifest["assignment"], manifest["checks"]) == ("03", {OUTCOMES[0].check: "pass"})
    assert held["03_speakers.ipynb"] == folder["03"].read_bytes()


def test_the_same_files_give_the_same_bytes_under_the_names_of_the_course(folder):
    mine = folder["02"].with_name("mine.ipynb")
    mine.write_bytes(folder["02"].read_bytes())
    one = hand_in("02", mine, OUTCOMES, folder.path / "1.zip")
    two = hand_in("02", folder["02"], OUTCOMES, folder.path / "2.zip")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.files == ("02_attention.ipynb", "manifest.json")


def test_missing_weights_are_named_and_what_the_grader_would_not_read_is_not_written(folder):
    written = hand_in("03", folder["03"], OUTCOMES, folder.path / "small.zip")
    assert written.missing == "03_speakers.safetensors"
    with folder["03"].open("r+b") as file:
        file.truncate(MOST + 1)
    with pytest.raises(UsageError, match="clear its outputs"):
        hand_in("03", folder["03"], OUTCOMES, folder.path / "out.zip")
    assert not (folder.path / "out.zip").exists()


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

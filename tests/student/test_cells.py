"""A saved notebook: lines of a kernel, broken files, TODOs as released, what is handed in of it."""

import hashlib
import json
import zipfile
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from grader.authoring.build import written_questions
from grader.submission import read_submissions
from grader.submission.ipynb import find_answers
from kws.course.notebooks import cells_of, checks_in, read_cells, stem_of
from kws.course.source import as_python
from kws.errors import UsageError
from kws.student.handin import MOST, hand_in
from kws.student.released import notebooks_in, parse_target, released
from kws.student.restore import reset
from kws.student.visible_checks import CheckOutcome
from kws.student.written_answers import empty_answers, questions_of
from tests.grader.conftest import code_beside

CELLS = code_beside(__file__)["cells"]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell["source"])
def test_what_a_kernel_accepts_beyond_python_is_taken_out(cell):
    assert as_python(cell["source"]) == cell["python"]


def test_a_broken_cell_still_says_which_checks_it_holds_and_malformed_ones_hold_nothing():
    source = 'with check("2.1-a", "title"):\n    pass\nwith check(\n    "2.1-b", "b"\n):\n    pass'
    assert checks_in(source) == {"2.1-a": "title", "2.1-b": "b"}
    assert list(checks_in(source + "\nx = (")) == ["2.1-a", "2.1-b"]
    cells = cells_of({"cells": [None, {"cell_type": 3, "metadata": 5, "source": None}, {}]})
    found = [(cell.number, cell.kind, cell.tags) for cell in cells]
    assert found == [(2, "raw", ()), (3, "raw", ())]


@pytest.mark.parametrize("data", [b"", b'{"cells": [', b"[]", b"\xff\xfe\x00", b'{"cells": 3}'])
def test_a_file_that_is_no_notebook_is_one_sentence(tmp_path, data):
    path = tmp_path / "02_attention.ipynb"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="is not a whole notebook"):
        read_cells(path)


def sources(path) -> list[str]:
    return [cell.source for cell in read_cells(path)]


def test_a_task_gets_its_todo_back_and_the_rest_stays(folder):
    path = folder.fill("02")["02"]
    filled = sources(path)
    number, answer = folder.source("02", "def attend")
    kept, names = reset(path, parse_target("2.1"))
    assert names == ["cell `def attend`"]
    blank = sources(released()["02"])
    assert sources(path)[number - 1] == blank[number - 1] != filled[number - 1]
    filled[number - 1] = blank[number - 1]
    assert sources(path) == filled
    filled[number - 1] = answer
    assert kept is not None
    assert sources(kept) == filled


def test_outputs_of_other_cells_and_unknown_metadata_stay(folder):
    path, at = folder["02"], folder.source("02", "def attend")[0] - 1
    table = json.loads(path.read_text())
    table["metadata"]["mine"] = {"a": 1}
    other = next(each for each in table["cells"] if each["cell_type"] == "code")
    other["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    table["cells"][at]["source"] = "spoilt"
    path.write_text(json.dumps(table))
    reset(path, parse_target("2.1"))
    after = json.loads(path.read_text())
    table["cells"][at] = json.loads(released()["02"].read_text())["cells"][at]
    assert after == table


def test_a_deleted_cell_comes_back_and_one_without_its_id_is_found_by_what_it_defines(folder):
    path = folder["02"]
    before = sources(path)
    table = json.loads(path.read_text())
    del table["cells"][folder.source("02", "def attend")[0] - 1]
    path.write_text(json.dumps(table))
    assert reset(path, parse_target("2.1"))[1] == ["cell `def attend`"]
    assert sources(path) == before
    path = folder.fill("02")["02"]
    table = json.loads(path.read_text())
    for raw in table["cells"]:
        raw["metadata"] = {}
        raw.pop("id")
    path.write_text(json.dumps(table))
    count = len(table["cells"])
    assert reset(path, parse_target("2.1"))[1] == ["cell `def attend`"]
    assert len(sources(path)) == count


def test_a_whole_notebook_comes_back_even_when_it_is_no_json(folder):
    path = folder["02"]
    path.write_text("<<<<<<< mine")
    kept, _ = reset(path, parse_target("02"))
    assert path.read_bytes() == released()["02"].read_bytes()
    assert kept is not None
    assert kept.read_text() == "<<<<<<< mine"


def test_every_copy_is_kept_and_nothing_to_put_back_writes_nothing(folder):
    before = folder["02"].read_bytes()
    assert reset(folder["02"], parse_target("2.1")) == (None, [])
    assert reset(folder["02"], parse_target("02")) == (None, [])
    assert folder["02"].read_bytes() == before
    assert len(list(folder["02"].parent.glob("02*"))) == 1
    kept = [reset(folder.fill("02")["02"], parse_target("2.1"))[0] for _ in range(2)]
    assert len(set(kept)) == 2
    folder["02"].unlink()
    assert "02" not in notebooks_in()


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
WANTED = [number for number in released() if questions_of(number)]


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
    "replaced": lambda wanted, blank, after: [wanted, {**blank, "source": [LAYERS]}, after],
    "in a new cell": lambda wanted, blank, after: [wanted, markdown(LAYERS), blank, after],
    "in its place": lambda wanted, _, after: [wanted, markdown(LAYERS), after],
    "below the question": lambda wanted, blank, after: [and_more(wanted), blank, after],
    "in the question": lambda wanted, _, after: [and_more(wanted), markdown(""), after],
    "below the placeholder": lambda wanted, blank, after: [wanted, and_more(blank), after],
    "without metadata": lambda wanted, blank, after: [wanted, {**blank, "source": LAYERS}, after],
    "picture": lambda wanted, blank, after: [wanted, {**blank, "attachments": PICTURE}, after],
    "figure": lambda wanted, blank, after: [wanted, blank, figure(after)],
}
BLANK = {
    "nothing": lambda *cells: [*cells],
    "spaces": lambda wanted, blank, after: [wanted, {**blank, "source": " \n"}, after],
    "elsewhere": lambda *cells: [markdown(LAYERS), *cells],
}


@pytest.mark.parametrize("number", WANTED)
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

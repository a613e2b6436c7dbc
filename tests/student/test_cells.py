"""A saved notebook: lines of a kernel, broken files, and TODOs that come back as released."""

import json

import pytest

from kws.course.magics import as_python
from kws.errors import UsageError
from kws.student.cells import cells_of, checks_in, read_cells
from kws.student.released import notebooks_in, parse_target, released
from kws.student.restore import reset
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

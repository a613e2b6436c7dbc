"""A kernel's own lines are taken out, text stays; a broken file is named."""

import pytest

from kws.course.magics import as_python
from kws.errors import UsageError
from kws.student.cells import cells_of, checks_in, read_cells
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

"""Our reader of py:percent scripts equals jupytext's, which is the reference."""

import jupytext
import pytest

from grader import ROOT
from grader.authoring.build import solution_scripts
from grader.authoring.markers import read_percent
from tests.grader.authoring.conftest import ATTENTION, SOUND
from tests.grader.conftest import code_beside

PERCENT = {"extension": ".py", "format_name": "percent", "comment_magics": False}
ODD = code_beside(__file__)["odd"]


def texts() -> dict[str, str]:
    found = {path.name: path.read_text(encoding="utf-8") for path in solution_scripts(ROOT)}
    return {**found, "attention": ATTENTION, "sound": SOUND, "odd": ODD, "empty": "", "plain": "1"}


@pytest.mark.parametrize("name", texts())
def test_cells_are_those_of_jupytext(name):
    text = texts()[name]
    expected = jupytext.reads(text, fmt=PERCENT).cells
    ours = read_percent(text)
    assert [(c.cell_type, c.source, list(c.tags)) for c in ours] == [
        (c.cell_type, c.source, c.metadata.get("tags", [])) for c in expected
    ]


@pytest.mark.parametrize("name", ["attention", "odd", "02_attention.py"])
def test_a_cell_begins_on_its_line(name):
    text = texts()[name]
    lines = text.split("\n")
    for cell in read_percent(text):
        if cell.source:
            first = cell.source.split("\n")[0]
            assert lines[cell.line - 1].endswith(first)


def test_tags_that_are_no_list_of_words_are_a_tag_that_nobody_knows():
    assert read_percent("# %% tags=[export]\n1")[0].tags == ("[export]",)

"""A solution is read as jupytext reads it; a region becomes its TODO, or is refused by line."""

import jupytext
import pytest

from grader import ROOT
from grader.authoring.build import solution_scripts
from grader.authoring.markers import MarkerError, read_percent, regions_of, strip_solutions
from tests.grader.authoring.conftest import ATTENTION, SOUND
from tests.grader.conftest import code_beside

CODE = code_beside(__file__)
REGION = CODE["region"]


def test_a_region_becomes_its_numbered_steps_and_an_error_and_other_cells_stay():
    assert strip_solutions(REGION).splitlines() == [
        "def f(x):",
        "    # TODO 1.2",
        "    #   1. Double it, but not twice.",
        "    #   2. Give it back.",
        '    raise NotImplementedError("TODO 1.2")',
        "",
        "z = 1",
    ]
    source = "#: a comment of the author's\nx = 1\n\n# the SOLUTION begins on page 3"
    assert strip_solutions(source) == source
    twice = REGION.replace("z = 1", REGION.replace("f(x)", "g(x)"))
    assert strip_solutions(twice).count('raise NotImplementedError("TODO 1.2")') == 2


def test_a_region_knows_its_answer_and_its_line():
    (region,) = regions_of(REGION, line=10)
    assert (region.task, region.line) == ("1.2", 11)
    assert [line.strip() for line in region.code] == ["y = 2 * x", "return y"]


@pytest.mark.parametrize("one", CODE["refused"], ids=lambda one: one["code"])
def test_a_malformed_region_is_refused_with_file_and_line(one):
    with pytest.raises(MarkerError, match=rf"^solutions/01_x\.py:{one['line']}: .*{one['word']}"):
        strip_solutions(one["code"], where="solutions/01_x.py", line=5)


PERCENT = {"extension": ".py", "format_name": "percent", "comment_magics": False}
ODD = CODE["odd"]


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

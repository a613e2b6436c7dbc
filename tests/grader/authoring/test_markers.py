"""A region becomes its TODO, whole; a region that cannot is refused with file and line."""

import pytest

from grader.authoring.markers import MarkerError, regions_of, strip_solutions
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

"""A region becomes its TODO, whole; a region that cannot is refused with file and line."""

import pytest

from grader.authoring.markers import MarkerError, regions_of, strip_solutions

REGION = """def f(x):
    # BEGIN SOLUTION 1.2
    #: Double it,
    #: but not twice.
    y = 2 * x
    #: Give it back.
    return y
    # END SOLUTION

z = 1"""


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


@pytest.mark.parametrize(
    ("broken", "line", "word"),
    [
        ("# BEGIN SOLUTION 1.1\n#: a\nx = 1", 5, "not ended"),
        ("x = 1\n# END SOLUTION", 6, "without a BEGIN"),
        ("# BEGIN SOLUTION 1.1\n#: a\n# BEGIN SOLUTION 1.2\nx = 1\n# END SOLUTION", 7, "inside"),
        ("# BEGIN SOLUTION 1.1\n#: a\n# END SOLUTION", 7, "no code"),
        ("# BEGIN SOLUTION 1.1\n#: a\n\n# but\n# END SOLUTION", 9, "no code"),
        ("# BEGIN SOLUTION 1.1\nx = 1\n# END SOLUTION", 7, "no step"),
        ("# BEGIN SOLUTION 1.1\n#:\nx = 1\n# END SOLUTION", 6, "without words"),
        ("if 1:\n    # BEGIN SOLUTION 1.1\n    #: a\n    x = 1\n# END SOLUTION", 9, "indented"),
        ("#BEGIN SOLUTION 1.1\n#: a\nx = 1\n# END SOLUTION", 5, "malformed"),
        ("# BEGIN SOLUTION\n#: a\nx = 1\n# END SOLUTION", 5, "malformed"),
        ("# BEGIN SOLUTION 1.1 \n#: a\nx = 1\n# END SOLUTION", 5, "malformed"),
        ("# begin solution 1.1\n#: a\nx = 1\n# END SOLUTION", 5, "malformed"),
        ("# BEGIN SOLUTION 1.1\n#: a\nx = 1\n# END SOLUTION 1.1", 8, "malformed"),
        ("# BEGIN SOLUTION 1.1\n#: a\nx = 1  # END SOLUTION", 7, "malformed"),
        ("\t# BEGIN SOLUTION 1.1\n#: a\nx = 1\n# END SOLUTION", 5, "malformed"),
        ("#: BEGIN SOLUTION 1.1\n#: a\nx = 1\n# END SOLUTION", 5, "malformed"),
        ("# BEGIN_SOLUTION 1.1\n#: a\nx = 1\n# END SOLUTION", 5, "malformed"),
    ],
)
def test_a_malformed_region_is_refused_with_file_and_line(broken, line, word):
    with pytest.raises(MarkerError, match=rf"^solutions/01_x\.py:{line}: .*{word}"):
        strip_solutions(broken, where="solutions/01_x.py", line=5)

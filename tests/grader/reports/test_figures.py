"""SVG: well-formed, told in words, with axes and units, whatever the numbers are."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from grader.core.outcomes import Figure
from grader.reports.html import nice_ticks, svg
from tests.grader.reports.conftest import CONFUSION, CURVE

BARS = Figure(
    kind="bars",
    title="Points",
    data={"labels": ["0", "1"], "counts": [3, 4], "x_label": "share (%)", "y_label": "students"},
)


def curve(x, y):
    data = {"x": x, "y": y, "x_label": "step", "y_label": "loss (nats)"}
    return Figure(kind="curve", title="t", data=data)


@pytest.mark.parametrize("figure", [CONFUSION, CURVE, BARS], ids=["confusion", "curve", "bars"])
def test_a_figure_is_xml_with_a_title_a_description_and_labels_of_axes(figure):
    drawn = svg(figure)
    root = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == figure.title
    assert len(root.findtext(f"{space}desc") or "") > 5
    for label in ("x_label", "y_label"):
        assert figure is CONFUSION or f">{figure.data[label]}<" in drawn


def test_a_confusion_matrix_shows_which_side_is_true_and_a_curve_leaves_out_a_missing_value():
    drawn = svg(CONFUSION)
    for shown in (">yes<", ">no<", "&lt;b&gt;up", ">8<", ">7<", ">true<", ">predicted<"):
        assert shown in drawn
    assert "24 of 27 right" in drawn
    assert svg(CURVE).count("<circle") == 3
    assert "nan" not in svg(CURVE)


CURVES = [
    ([], []),
    ([1], [1]),
    ([0, 1], [5, 5]),
    ([0, 1], [1e9, -1e9]),
    ([0, 1e-12], [0, 1e-12]),
    *(([0, 1], [a, b]) for a in (1.7e308, 1e20) for b in (a, -a)),
    ([0, 1], [-1e300, -1e300]),
    ([0, 1], [10**400, -(10**400)]),
    ([0, 1], [5e-324, 0]),
    ([1e308, -1e308], ["a", math.nan]),
]


@pytest.mark.parametrize(("x", "y"), CURVES)
def test_any_curve_can_be_drawn(x, y):
    drawn = svg(curve(x, y))
    assert ElementTree.fromstring(drawn) is not None
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_every_point_lies_inside_and_any_number_of_classes_can_be_drawn_but_no_unknown_kind():
    points = re.search(r'points="([^"]+)"', svg(curve([0, 3, 7], [-2, 9, 4])))
    assert points is not None
    places = [tuple(map(float, one.split(","))) for one in points.group(1).split()]
    assert all(0 <= x <= 480 and 0 <= y <= 300 for x, y in places)
    assert places[1][1] < places[2][1] < places[0][1]  # a larger value is higher up
    for size in (1, 2, 35, 80):
        data = {"labels": [f"word {i}" for i in range(size)], "counts": [[0] * size] * size}
        drawn = svg(Figure(kind="confusion", title="t", data=data))
        assert ElementTree.fromstring(drawn) is not None
    with pytest.raises(ValueError, match="no figure of kind 'pie'"):
        svg(Figure(kind="pie", title="t", data={}))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 17), (0.001, 0.0012), (0, 1e6)])
def test_ticks_are_few_round_and_inside(low, high):
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    steps = [b - a for a, b in pairwise(ticks)]
    assert all(math.isclose(step, steps[0], rel_tol=1e-6) for step in steps)

"""Diagrams: readable on a phone, each in its own notebook, and the tables in them are right."""

import itertools
import re

import pytest

from grader import ROOT
from kws.course.diagrams import diagram, tables
from kws.course.notebooks import assignment_folders
from kws.course.picture import POINTS

SHOWN = re.compile(r'^diagram\("(\w+)"\)', re.MULTILINE)


@pytest.mark.parametrize("name", sorted(tables()))
def test_texts_are_large_enough_lie_in_the_picture_and_do_not_overlap(name):
    figure = diagram(name)
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    boxes = {text.get_text(): text.get_window_extent() for text in texts}
    assert figure.get_size_inches()[0] * 96 < 391
    assert min(text.get_fontsize() for text in texts) >= POINTS == 10
    left, right = (min(box.x0 for box in boxes.values()), max(box.x1 for box in boxes.values()))
    assert 0 <= left < right <= figure.bbox.width
    pairs = itertools.combinations(boxes.items(), 2)
    assert [(a, b) for (a, x), (b, y) in pairs if x.overlaps(y)] == []


@pytest.mark.parametrize(
    "number", [n for n, path in assignment_folders().items() if (path / "diagrams.toml").is_file()]
)
def test_a_notebook_shows_the_diagrams_of_its_folder_and_one_at_its_head(number):
    folder = assignment_folders()[number]
    own = re.findall(r"^\[(\w+)\]", (folder / "diagrams.toml").read_text("utf-8"), re.MULTILINE)
    notebook = (ROOT / "solutions" / f"{folder.name[1:]}.py").read_text("utf-8")
    assert sorted(SHOWN.findall(notebook)) == sorted(own)
    assert SHOWN.search(notebook.partition(f"# ## {int(number)}.1 ")[0])


def test_the_edit_table_and_the_trellis_follow_their_recursions():
    tables_of = [
        tables()[name]["rows"].strip().splitlines() for name in ("edit_table", "ctc_trellis")
    ]
    edits, paths = ([[c.strip().lstrip("_*") for c in r.split("|")] for r in t] for t in tables_of)
    for i, j in itertools.product(range(1, 5), range(1, 6)):
        ways = [(0, 0)] * (i == j == 1)
        for a, b in ((i - 1, j - 1), (i - 1, j), (i, j - 1)):
            if a >= 1 and b >= 1:
                cost, gaps = map(int, edits[a][b].split(","))
                gap = (a, b) != (i - 1, j - 1)
                ways.append((cost + (gap or edits[i][0] != edits[0][j]), gaps + gap))
        assert edits[i][j] == "{}, {}".format(*min(ways))
    for t, s in itertools.product(range(2, 5), range(1, 6)):
        before = [s] + [s - 1] * (s > 1) + [s - 2] * (s == 4)
        assert int(paths[s][t] or 0) == sum(int(paths[p][t - 1] or 0) for p in before)

"""Tables in TOML: what is wrong in one is named with its file, its entry and the cure."""

from pathlib import Path

import pytest

from grader.adapters import ASSIGNMENTS, COURSE, FILE, read_assignment
from grader.core.tables import parse_toml, read_entries
from grader.course.mistakes.mistake import Mistake
from kws.errors import UsageError
from tests.grader.conftest import code_beside

ROW = {"task": "2.1", "name": "no scale", "question": "?", "find": "a", "put": "b"}
EDIT = {"find": "c", "put": "d"}


def read(row):
    return read_entries(Mistake, [ROW, row], "a02_attention/assignment.toml: mistake")


def test_an_entry_becomes_an_object_with_its_edits_in_order():
    (_, one) = read({**ROW, "also": [EDIT]})
    assert one.edits == (("a", "b"), ("c", "d"))


@pytest.mark.parametrize("one", code_beside(__file__)["wrong"], ids=lambda one: one["output"])
def test_a_wrong_entry_is_named_with_the_cure(one):
    row = {**ROW, **one.get("entry", {})}
    if "missing" in one:
        del row["question"]
    place = r"^a02_attention/assignment.toml: mistake 2 \(no scale\): "
    with pytest.raises(UsageError, match=place + one["output"]):
        read(row)


def test_what_is_not_toml_is_named_with_its_line():
    with pytest.raises(UsageError, match=r"a\.toml is not TOML: .*line 2"):
        parse_toml("a = 1\nb = ]", Path("a.toml"))


def test_the_table_of_contents_is_read_without_our_answers_and_a_group_stands_for_its_names(
    tmp_path,
):
    """The process that forks for students' code has read it."""
    path = tmp_path / "a02_attention" / FILE
    path.parent.mkdir()
    head = (COURSE / ASSIGNMENTS["02"].folder / FILE).read_text(encoding="utf-8")
    path.write_text(head + "\nthis = is not read", encoding="utf-8")
    assert read_assignment(path) == ASSIGNMENTS["02"]
    assert all("put = " not in text for text in map(repr, ASSIGNMENTS.values()))
    path = tmp_path / "a10_energy" / FILE
    path.parent.mkdir()
    task = '[[task]]\nid = "10.1"\ntitle = "T"\nnames = ["f"]\nforbidden = ["two", "torch.sum"]\n'
    path.write_text(f'title = "Energy"\n[groups]\ntwo = ["torch.a", "torch.b"]\n{task}')
    (only,) = read_assignment(path).tasks
    assert only.forbidden == ("torch.a", "torch.b", "torch.sum")

"""The ground of the grader: reports, texts of others, the secret seed, tables in TOML."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from grader.adapters import ASSIGNMENTS, COURSE, FILE, read_assignment
from grader.core.outcomes import Figure, Reason, Report, Stopped, Verdict
from grader.core.seed import Seed, read_seed
from grader.core.tables import parse_toml, read_entries
from grader.core.text import one_line, printable, shown
from grader.course.mistakes.mistake import Mistake
from kws.errors import UsageError
from tests.grader.batch.made_up import check, report_of
from tests.grader.conftest import code_beside


def a_report(*earned: float | None) -> Report:
    figure = Figure(kind="curve", title="t", data={"x": [1], "y": [None]})
    more = {"message": "ünï", "facts": {"n": 3}, "figures": (figure,)}
    checks = (replace(check(f"2.1-{i}", 2, one), **more) for i, one in enumerate(earned))
    return report_of(*checks, weaknesses=("w",), repairs=("r",))


def test_a_report_survives_being_text_and_its_points_add_up():
    report = a_report(2, 0.5, None)
    assert Report.from_json(report.to_json()) == report
    assert report.to_json() == Report.from_json(report.to_json()).to_json()
    assert (report.score, report.max_score) == (2.5, 6)
    assert [check.passed for check in report.checks] == [True, False, False]
    assert a_report(2, None).verdict is Verdict.PERSON
    assert a_report(2, 0).verdict is Verdict.REPAIRED
    assert str(Stopped(Reason.TIMEOUT, "it took too long", "a loop?")) == "it took too long"


EVIL = ["\x1b[2J\x1b]0;owned\x07", "\r\ngraded 2 of 2", "\x9b31m", "\x85next", "\u2028line"]
EVIL += ["\u202eturned", "\udcff\udcfe", "\ud83d", "\ufffe\uffff", "\x00\x7f"]


@pytest.mark.parametrize("evil", EVIL)
def test_a_name_is_shown_on_one_line_that_no_terminal_obeys_and_is_text_for_xml(evil):
    output = shown(f"a{evil}b")
    assert output.splitlines() == [output]
    assert output.startswith("a")
    assert output.endswith("b")
    assert not [
        c for c in output if ord(c) < 32 or 127 <= ord(c) < 160 or 0x2028 <= ord(c) <= 0x202E
    ]
    output.encode()
    assert ElementTree.fromstring(f"<a>{printable(evil)}</a>") is not None


@pytest.mark.parametrize("name", ["Zoé Ünal", "李雷", "علی", "👩‍💻", "a b.ipynb"])
def test_an_honest_name_stays_as_it_is(name):
    assert shown(name) == one_line(name) == name
    assert shown("m\udcfcller") == "m\ufffdller"


def test_the_seed_comes_from_the_variable_or_the_file_or_is_the_documented_one(tmp_path):
    file = tmp_path / "seed"
    file.write_text("s\n")
    for environ in ({"KWS_GRADER_SEED": "s"}, {"KWS_GRADER_SEED_FILE": str(file)}):
        assert read_seed(environ).number("x") == Seed("s").number("x")
    assert read_seed({}).id == "development"
    assert read_seed({}).number("x") == Seed("development").number("x")


@pytest.mark.parametrize(
    "environ",
    [
        {"KWS_GRADER_SEED": "s", "KWS_GRADER_SEED_FILE": "f"},
        {"KWS_GRADER_SEED": "", "KWS_GRADER_SEED_FILE": "f"},
        {"KWS_GRADER_SEED_FILE": "/there/is/none"},
        *({"KWS_GRADER_SEED": nothing} for nothing in ("", " ")),
    ],
)
def test_a_seed_that_cannot_be_meant_is_an_error(environ, tmp_path):
    with pytest.raises(UsageError, match=r"(?i)seed"):
        read_seed(environ)
    with pytest.raises(UsageError, match="SEED_FILE is set, but empty: unset it"):
        read_seed({"KWS_GRADER_SEED": "s", "KWS_GRADER_SEED_FILE": ""})
    (tmp_path / "seed").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read as text"):
        read_seed({"KWS_GRADER_SEED_FILE": str(tmp_path / "seed")})


def test_numbers_and_generators_depend_on_seed_and_name_alone_and_the_id_does_not_show_it():
    assert Seed("a").number("x") == Seed("a").number("x")
    assert len({Seed(s).number(n) for s in "abc" for n in ("x", "y", "xy")}) == 9
    assert all(0 <= Seed("a").number(str(i)) < 2**63 for i in range(100))
    first = torch.rand(3, generator=Seed("a").generator("x"))
    assert torch.equal(first, torch.rand(3, generator=Seed("a").generator("x")))
    assert not torch.equal(first, torch.rand(3, generator=Seed("a").generator("y")))
    assert Seed("secret").id != Seed("Secret").id
    assert "secret" not in Seed("secret").id + repr(Seed("secret"))
    assert Seed("secret").id == Seed("secret\n").id


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

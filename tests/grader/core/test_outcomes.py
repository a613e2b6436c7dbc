"""Reports come back as the same; what may act or break in texts of others is gone."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from grader.core.outcomes import Figure, Reason, Report, Stopped, Verdict
from grader.core.text import one_line, printable, shown
from tests.grader.batch.made_up import check, report_of


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

"""Text of others: what may act or break is gone, what may be read is left."""

from xml.etree import ElementTree

import pytest

from grader.core.text import one_line, printable, shown

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

"""Pages on the library: what notebooks use of it, signatures and docstrings, and no code."""

import pytest

from grader.book.api import markdown, names_used, page, pages
from tests.grader.conftest import code_beside

MODULE = code_beside(__file__)["module"]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "kws").mkdir()
    (tmp_path / "kws" / "sounds.py").write_text(MODULE)
    return tmp_path


NOTEBOOK = """
import math
from kws.sounds import RATE, louder
from kws import sounds
from torch import nn
print(sounds.Meter(3).level(louder([math.pi])), nn.Linear)
"""


def test_names_are_those_imported_and_a_page_has_their_signatures_and_docstrings_and_no_code(root):
    assert names_used([NOTEBOOK], root) == {"kws.sounds": {"RATE", "louder", "Meter"}}
    (text,) = pages({"01": NOTEBOOK}, root).values()
    assert text.startswith("# kws.sounds\n")
    assert "{py:data} RATE\n:value: 16000" in text
    assert "{py:function} louder(wave, *, by=2.0)\n\nMultiply `wave` (N)." in text
    assert "{py:class} Meter(window)\n\nHow loud it is." in text
    assert "{py:method} level(wave)\n\nIn dB." in text
    for absent in ("secret", "not_used", "_inner", "self"):
        assert absent not in text


def test_sections_become_lists_and_doctests_code(root):
    text = page("kws.sounds", ["louder"], root)
    assert "**Args**\n\n- `wave`: samples,\n  of any length.\n- `by`: the factor.\n" in text
    assert "**Raises**\n\n- `ValueError`: it is negative." in text
    assert "```python\n>>> louder([1.0], by=3)\n[3.0]\n```" in text
    assert markdown(None) == ""

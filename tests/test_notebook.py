"""A notebook is told by its kernel, not by what is installed or loaded."""

import sys
from types import SimpleNamespace

import pytest

from kws.notebook import in_notebook


@pytest.mark.parametrize(
    ("shell", "expected"),
    [(None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=1), True)],
    ids=["none", "a terminal's", "a notebook's"],
)
def test_a_shell_with_a_kernel_is_a_notebook(monkeypatch, shell, expected):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook() is expected

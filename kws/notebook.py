"""Whether this Python is a notebook's: there, bars and colors show without a terminal."""

import sys


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process; that its package is loaded is not enough.

    >>> in_notebook()
    False
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")

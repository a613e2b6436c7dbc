"""A small course: two solutions with all that a solution may hold."""

from pathlib import Path

import pytest

ATTENTION = '''# %% [markdown]
# # 2. Attention
#
# *ẞcores*: $QK^\\top$

# %% tags=["export"]
import math

import torch

WIDTH = 5


def given(x):
    """A helper that students get."""
    return x * WIDTH


# %% [markdown]
# ## 2.1 Weighted averages


# %% tags=["export"]
def attend(q, k, v, valid=None):
    """Average `v` over key frames."""
    # BEGIN SOLUTION 2.1
    #: Score every query against every key, scaled by 1/sqrt(K).
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    #: Where `valid` is given, hide padded keys.
    if valid is not None:
        scores = scores.masked_fill(~valid[:, None, None, :], -math.inf)
    #: Average the values.
    return scores.softmax(dim=-1) @ v
    # END SOLUTION


# %% tags=["check"]
q = torch.ones(2, 3, 7, 5)
assert attend(q, q, q).shape == (2, 3, 7, 5)

# %% [markdown] tags=["staff"]
# Staff only: a forgotten scale is the mistake to expect.

# %% tags=["staff"]
secret = "staff code"

# %% tags=["export"]
class Heads(torch.nn.Module):
    """Attention with heads."""

    def __init__(self, d_model):
        super().__init__()
        # BEGIN SOLUTION 2.2
        #: Make the projection.
        self.projection = torch.nn.Linear(given(d_model), d_model)
        # END SOLUTION

    def forward(self, x):
        """Attend to itself."""
        # BEGIN SOLUTION 2.2
        #: Project, then attend.
        x = self.projection(x)
        return attend(x, x, x)
        # END SOLUTION


# %%
print("a stray plot")
'''
SOUND = """# %% [markdown]
# # 1. Sound

# %% tags=["export"]
def double(x):
    # BEGIN SOLUTION 1.1
    #: Double it.
    return x.repeat_interleave(2, dim=-1).reshape(*x.shape[:-1], -1)
    # END SOLUTION
"""


@pytest.fixture
def course(tmp_path) -> Path:
    """A repository with two solutions."""
    folder = tmp_path / "course"
    (folder / "solutions").mkdir(parents=True)
    (folder / "solutions" / "01_sound.py").write_text(SOUND, encoding="utf-8")
    (folder / "solutions" / "02_attention.py").write_text(ATTENTION, encoding="utf-8")
    return folder

"""The process of a run in these tests: that of experiments, with recipes of a folder of their own.

    small.py FOLDER WORDS…

`FOLDER` holds the recipes. Where it also holds the file `slow`, each step takes half a second more.
"""

import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

import kws.training.recipe
from experiments import runs

FOLDER = Path(sys.argv[1])


def slow_down() -> None:
    """Patch the training as the file in the folder says."""
    real = torch.nn.utils.clip_grad_norm_

    def clip(*arguments, **options):
        if (FOLDER / "slow").exists():
            time.sleep(0.5)
        return real(*arguments, **options)

    torch.nn.utils.clip_grad_norm_ = clip


if __name__ == "__main__":
    kws.training.recipe.RECIPES = FOLDER
    slow_down()
    runs.main()

"""The process of a run in these tests: that of experiments, with recipes of a folder of their own.

    small.py FOLDER WORDS…

`FOLDER` holds the recipes. Where it also holds the file `die`, it removes it and kills
itself with SIGKILL in the middle of its third optimizer step; where it holds `slow`, each step
takes half a second more.
"""

import os
import signal
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

import kws.training.recipe
from experiments import runs

FOLDER = Path(sys.argv[1])


def spoil(steps: int = 0) -> None:
    """Patch the training as the files in the folder say."""
    real = torch.nn.utils.clip_grad_norm_

    def clip(*arguments, **options):
        nonlocal steps
        steps += 1
        if (FOLDER / "slow").exists():
            time.sleep(0.5)
        if steps == 3 and (FOLDER / "die").exists():
            (FOLDER / "die").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    torch.nn.utils.clip_grad_norm_ = clip


if __name__ == "__main__":
    kws.training.recipe.RECIPES = FOLDER
    spoil()
    runs.main()

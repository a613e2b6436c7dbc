"""Audio Transformers from the ground up: keyword spotting and speaker recognition.

Importing this package prints nothing, starts nothing and imports no torch: `kws.audio.recordings`,
`kws.audio.features`, `kws.models`, `kws.data` and `kws.training.loop` are where the work is.
"""

import importlib
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


def load(run_or_file: str | Path = "keywords") -> Any:
    """The `Trained` model of a run or checkpoint, or "keywords", which comes with the package.

    `model.logits(model.features(waveforms))` are (B, C) logits of clips (B, 16000) at 16 kHz, a
    float32 tensor of samples in -1 … 1, in the order of `model.labels`; without gradients, which
    `model.model` has. UsageError where there is no such model.
    """
    return importlib.import_module("kws.training.checkpoint").load_model(run_or_file)

"""Models that are trained once on a machine, and kept in the cache under what they follow from."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kws.data.embedded.provenance import corpus_folder
from kws.files import cache_dir

BEST = "best.pt"  # of a run


def train_once(kind: str, about: Mapping[str, Any], train: Callable[[Path], object]) -> Path:
    """The checkpoint of the model that `about` describes; `train(run)` makes it if need be.

    Of the run folder best.pt is kept. Another process that trains the same is waited for. Raises
    OSError where the folder cannot be made, UsageError where something else is there.
    """
    recipe = dict(about)
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    out, record = cache_dir() / f"{kind}-{digest[:16]}", f"{kind}.json"
    with corpus_folder(out, record, recipe) as folder:
        if folder is not None:
            run = folder / "run"
            train(run)
            (run / BEST).rename(folder / BEST)
            shutil.rmtree(run)
            (folder / record).write_text(json.dumps({"recipe": recipe}, indent=1) + "\n")
    return out / BEST

"""Begin a training with the weights of another: of a run, a checkpoint, a pretrained model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kws.errors import UsageError
from kws.models.pretrained import Pretrained
from kws.training.checkpoint import checkpoint_of, new_model, read_checkpoint, restore_model
from kws.training.other_words import without_parts
from kws.training.recipe import Recipe, changed_keys


def initialize(model: nn.Module, init: str | Path, recipe: Recipe, labels: Sequence[str]) -> None:
    """Begin with weights of a run or of a pretrained model; UsageError where none fit."""
    path = Path(init)
    ours = path.is_file() or (path / "best.pt").is_file()
    if isinstance(model, Pretrained) and not ours:
        model.load_pretrained(path.as_posix())
    else:
        path = checkpoint_of(path)
        initialize_from(model, read_checkpoint(path), path, recipe, labels)


def initialize_from(
    model: nn.Module, state: Mapping[str, Any], path: Path, recipe: Recipe, labels: Sequence[str]
) -> None:
    """Copy a checkpoint's weights into `model`, which `recipe` builds for `labels`.

    With other labels the classifier (tensors whose shape depends on the number of classes) keeps
    its fresh weights. UsageError: the checkpoint is of another model, or of other features.
    """
    source, before = restore_model(state, path)
    for key, old, new in changed_keys(before, recipe):
        if key.startswith(("model.", "features.")) and key != "features.normalize":
            there, here = ("not set" if value is None else value for value in (old, new))
            raise UsageError(
                f"{path}: {key} is {there} there and {here} in the recipe: change one of them, "
                "weights only fit the same model on the same features"
            )
    weights, fresh = without_parts(source).state_dict(), without_parts(model).state_dict()
    separate = before.data.other_words != recipe.data.other_words
    if list(labels) != state["labels"] or separate:
        with torch.device("meta"):  # shapes only
            one, two = (without_parts(new_model(recipe, n)).state_dict() for n in (2, 3))
        weights = {name: w for name, w in weights.items() if one[name].shape == two[name].shape}
    without_parts(model).load_state_dict({**fresh, **weights})

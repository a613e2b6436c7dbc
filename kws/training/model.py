"""The model of a recipe: with fresh weights, as a checkpoint holds it, or begun from another's."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kws.data.protocols import get_protocol
from kws.errors import UsageError
from kws.models.pretrained import Pretrained
from kws.models.registry import PRETRAINED, build_model
from kws.training.checkpoint import checkpoint_of, read_checkpoint, weights_of
from kws.training.other_words import OtherWordsApart, unknown_of, without_parts
from kws.training.recipe import Recipe, changed_keys, parse_recipe


def new_model(recipe: Recipe, num_classes: int) -> nn.Module:
    """The recipe's model with fresh weights from torch's global generator.

    `num_classes` are those that count; a model that learns other words apart has more in training.

    UsageError if the model cannot be built, or reads waveforms where the features are none, or
    features where they are waveforms.
    """
    name, features = recipe.model.name, recipe.features
    if (features.kind == "waveform") != (name in PRETRAINED):
        wanted = "waveform" if name in PRETRAINED else "log_mel"
        raise UsageError(
            f"features.kind={features.kind!r} is not what {name} reads: set features.kind={wanted}"
        )
    build = partial(build_model, name, num_features=features.num_features, **recipe.model.options)
    separate = recipe.data.other_words == "apart"
    if not separate or not (named := get_protocol(recipe.data.protocol).unknown_words):
        return build(num_classes=num_classes)
    unknown = unknown_of(get_protocol(recipe.data.protocol))
    parts = num_classes - 1 + len(named)
    return OtherWordsApart(build(num_classes=parts), num_classes, unknown)


def restore_model(state: Mapping[str, Any], path: Path) -> tuple[nn.Module, Recipe]:
    """The model of a checkpoint's content, in evaluation mode, and its recipe.

    Where training averaged the weights, the averaged ones. `path` names the file in messages.
    """
    recipe = parse_recipe(state["recipe"], where=str(path))
    model = new_model(recipe, len(state["labels"]))
    try:
        model.load_state_dict(weights_of(state))
    except RuntimeError as error:
        raise UsageError(
            f"{path}: its weights do not fit {recipe.model.name} as this version builds it: "
            "train again, or use the version that wrote it"
        ) from error
    return model.eval(), recipe


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
    """Copy the weights of a checkpoint's content into `model`, which `recipe` builds for `labels`.

    With other labels the classifier (the tensors whose shape follows the number of classes) keeps
    its fresh weights.

    Raises:
        UsageError: the checkpoint is of another model, or read other features.
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

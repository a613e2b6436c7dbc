"""A recipe's model, and checkpoints: files that hold one with all that is needed to use it.

    best.pt   the weights with the highest validation accuracy
    last.pt   the newest weights and the whole state of the training, to resume from

Both hold a dictionary: `format`, `recipe` (TOML), `labels`, `protocol`, `normalizer`,
`weights`, `step`; last.pt also `training`. Only tensors, strings, numbers and
containers: they load with `weights_only=True`, so a checkpoint from a stranger runs no code.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kws.audio.normalize import Normalizer
from kws.data.protocols import get_protocol
from kws.errors import UsageError
from kws.files import write_bytes
from kws.models.pretrained import Pretrained
from kws.models.registry import PRETRAINED, build_model
from kws.training.other_words import OtherWordsApart, unknown_of, without_parts
from kws.training.recipe import Recipe, changed_keys, parse_recipe, to_toml

FORMAT = "kws checkpoint 1"
SHIPPED = {"keywords": Path(__file__).parents[1] / "pretrained" / "keywords.pt"}  # by name
FIELDS = {
    "format": str,
    "recipe": str,
    "labels": list,
    "protocol": str,
    "normalizer": dict,
    "weights": dict,
    "step": int,
}


def model_state(
    model: nn.Module,
    *,
    recipe: Recipe,
    labels: Sequence[str],
    protocol: str,
    normalizer: Normalizer,
    step: int,
) -> dict[str, Any]:
    """The content of a checkpoint, with references to the live weights.

    `protocol` is the name under which the model's accuracy counts, "speakers" for those; `step` the
    number of optimizer steps behind the weights.
    """
    return {
        "format": FORMAT,
        "recipe": to_toml(recipe),
        "labels": list(labels),
        "protocol": protocol,
        "normalizer": dict(vars(normalizer)),
        "weights": model.state_dict(),
        "step": step,
    }


def weights_of(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights to use of a checkpoint's content: where training averaged them, the averages."""
    return state.get("training", {}).get("averaged") or state["weights"]


def save_checkpoint(path: str | Path, state: Mapping[str, Any]) -> None:
    data = io.BytesIO()  # torch.save turns the OSError of a full disk into a RuntimeError
    torch.save(dict(state), data)
    write_bytes(path, data.getbuffer())


def checkpoint_of(run_or_file: str | Path) -> Path:
    """The best.pt of a folder; a model that comes with kws, by its name; a file as it is."""
    path = Path(run_or_file)
    if not path.exists() and str(path) in SHIPPED:
        return SHIPPED[str(path)]
    if not path.is_dir():
        return path
    if not (path / "best.pt").is_file():
        raise UsageError(f"{path}: contains no best.pt: name the folder of a run of kws train")
    return path / "best.pt"


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU, checksums verified; UsageError for what is not one of ours."""
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint: check the path, or train with kws train")
    data = io.BytesIO(path.read_bytes())  # so that every OSError below is the content's fault
    cure = "copy it again, or train again"
    try:
        with zipfile.ZipFile(data) as archive:  # torch itself does not look at the checksums
            damaged = archive.testzip()
        if damaged:
            raise UsageError(f"{path}: damaged (checksum of {damaged}): {cure}")
        data.seek(0)
        state = torch.load(data, map_location="cpu", weights_only=True)
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # unpickling what is not ours can raise nearly anything
        raise UsageError(f"{path}: not a checkpoint, or a damaged one: {cure}") from error
    if not _is_ours(state):
        raise UsageError(f"{path}: not a checkpoint of kws train: name a best.pt or a run folder")
    return state


def _is_ours(state: Any) -> bool:
    """Whether every field is there and of its type. Values are validated elsewhere."""
    return (
        isinstance(state, dict)
        and all(isinstance(state.get(field), kind) for field, kind in FIELDS.items())
        and state["format"] == FORMAT
        and all(isinstance(label, str) for label in state["labels"])
        and all(isinstance(w, Tensor) for w in state["weights"].values())
        and isinstance(state.get("training", {}), dict)
    )


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

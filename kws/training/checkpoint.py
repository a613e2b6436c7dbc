"""Checkpoints: a model in one file, with all that is needed to use it.

    best.pt   the weights with the highest validation accuracy
    last.pt   the newest weights and the whole state of the training, to resume from

Both hold a dictionary: `format`, `recipe` (TOML), `labels`, `protocol`, `normalizer`,
`weights`, `step`; last.pt also `training`. Only tensors, strings, numbers and
containers: they load with `weights_only=True`, so a checkpoint from a stranger runs no code.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.errors import UsageError
from kws.files import write_bytes
from kws.models.pretrained import Pretrained
from kws.models.registry import PRETRAINED, build_model
from kws.normalize import Normalizer
from kws.protocols import require_same_labels
from kws.training.recipe import Recipe, changed_keys, parse_recipe, to_toml

FORMAT = "kws checkpoint 1"
FIELDS = {
    "format": str,
    "recipe": str,
    "labels": list,
    "protocol": str,
    "normalizer": dict,
    "weights": dict,
    "step": int,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A trained model with its labels, in the order of its outputs, and its features."""

    model: nn.Module
    recipe: Recipe
    labels: tuple[str, ...]
    protocol: str  # the name under which its accuracy counts; "speakers" for those
    normalizer: Normalizer
    step: int  # optimizer steps behind these weights
    path: Path | None = None

    @property
    def task(self) -> str:
        """ "keywords" or "speakers"."""
        return self.recipe.data.task

    def features(self, waveform: Float[Tensor, "B N"]) -> Float[Tensor, "B T F"]:
        """What the model reads of a batch of keyword clips, 16 kHz: features, normalized."""
        return self.normalizer(self.recipe.features(waveform))

    @torch.inference_mode()
    def logits(
        self, mel: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C"]:
        """Logits for features that are normalized already."""
        return self.model(mel, valid)

    def require_labels(self, labels: Sequence[str], where: str = "the data") -> None:
        """Refuse data whose labels are others, or the same in another order, with a UsageError."""
        require_same_labels(labels, self.labels, str(self.path or "the model"), where)

    def state(self) -> dict[str, Any]:
        """The content of a checkpoint, with references to the live weights."""
        return {
            "format": FORMAT,
            "recipe": to_toml(self.recipe),
            "labels": list(self.labels),
            "protocol": self.protocol,
            "normalizer": dict(vars(self.normalizer)),
            "weights": self.model.state_dict(),
            "step": self.step,
        }


def new_model(recipe: Recipe, num_classes: int) -> nn.Module:
    """The recipe's model with fresh weights from torch's global generator.

    UsageError if the model cannot be built, or reads waveforms where the features are none, or
    features where they are waveforms.
    """
    name, features = recipe.model.name, recipe.features
    if (features.kind == "waveform") != (name in PRETRAINED):
        wanted = "waveform" if name in PRETRAINED else "log_mel"
        raise UsageError(
            f"features.kind={features.kind!r} is not what {name} reads: set features.kind={wanted}"
        )
    return build_model(
        name, num_features=features.num_features, num_classes=num_classes, **recipe.model.options
    )


def save_checkpoint(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    data = io.BytesIO()  # torch.save turns the OSError of a full disk into a RuntimeError
    torch.save(dict(state), data)
    write_bytes(path, data.getbuffer())


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint into memory of the CPU, checksums verified.

    Raises:
        UsageError: the file is missing, damaged, or not one of ours.
    """
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
    """Whether every field is there and of its type. Their values have other guardians."""
    return (
        isinstance(state, dict)
        and all(isinstance(state.get(field), kind) for field, kind in FIELDS.items())
        and state["format"] == FORMAT
        and all(isinstance(label, str) for label in state["labels"])
        and all(isinstance(w, Tensor) for w in state["weights"].values())
        and isinstance(state.get("training", {}), dict)
    )


def load_model(run_or_file: str | Path, device: str | torch.device = "cpu") -> Trained:
    """The trained model of a run folder (its best.pt) or of a checkpoint file, ready to evaluate.

    Of a last.pt with averaged weights, those.

    Raises:
        UsageError: nothing there, damaged, not ours, or from a package whose models differ.
    """
    path = Path(run_or_file)
    if path.is_dir():
        if not (path / "best.pt").is_file():
            raise UsageError(f"{path}: holds no best.pt: name the folder of a run of kws train")
        path = path / "best.pt"
    trained = trained_from(read_checkpoint(path), path)
    trained.model.to(device)
    return trained


def trained_from(state: Mapping[str, Any], path: Path) -> Trained:
    """The model of a checkpoint's content, in evaluation mode."""
    recipe = parse_recipe(state["recipe"], where=str(path))
    labels = tuple(state["labels"])
    model = new_model(recipe, len(labels))
    weights = state.get("training", {}).get("averaged") or state["weights"]
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(
            f"{path}: its weights do not fit {recipe.model.name} as this version builds it: "
            "train again, or use the version that wrote it"
        ) from error
    return Trained(
        model=model.eval(),
        recipe=recipe,
        labels=labels,
        protocol=state["protocol"],
        normalizer=_normalizer_from(state["normalizer"], recipe.features.num_features, path),
        step=state["step"],
        path=path,
    )


def _normalizer_from(fields: Mapping[str, Any], num_features: int, path: Path) -> Normalizer:
    """The normalizer of a checkpoint; UsageError unless it is one for features of this width."""
    kind, numbers = fields.get("kind"), (fields.get("mean"), fields.get("std"))
    if kind in ("none", "utterance") and numbers == (None, None):
        return Normalizer(kind=kind)
    if kind == "dataset" and all(
        isinstance(x, Tensor) and x.shape == (num_features,) and x.is_floating_point()
        for x in numbers
    ):
        return Normalizer(kind=kind, mean=numbers[0], std=numbers[1])
    raise UsageError(f"{path}: its normalizer does not fit its features: train again")


def initialize(model: nn.Module, init: str | Path, recipe: Recipe, labels: Sequence[str]) -> None:
    """Begin with weights of a run or checkpoint, or with published ones of a pretrained model.

    Raises:
        UsageError: `init` holds none, or none that fit.
    """
    path = Path(init)
    ours = path.is_file() or (path / "best.pt").is_file()
    if isinstance(model, Pretrained) and not ours:
        model.load_pretrained(path.as_posix())
    else:
        initialize_from(model, load_model(init), recipe, labels)


def initialize_from(
    model: nn.Module, source: Trained, recipe: Recipe, labels: Sequence[str]
) -> bool:
    """Copy the weights of `source` into `model`, which `recipe` builds for `labels`.

    With other labels the classifier (the tensors whose shape follows the number of classes) keeps
    its fresh weights. Returns whether the classifier was copied as well.

    Raises:
        UsageError: `source` is another model, or read other features.
    """
    for key, old, new in changed_keys(source.recipe, recipe):
        if key.startswith(("model.", "features.")) and key != "features.normalize":
            raise UsageError(
                f"{source.path}: {key} is {old} there and {new} in the recipe: change one of them, "
                "weights only fit the same model on the same features"
            )
    weights = source.model.state_dict()
    same_labels = tuple(labels) == source.labels
    if not same_labels:
        with torch.device("meta"):  # shapes only
            one, two = (new_model(recipe, n).state_dict() for n in (2, 3))
        weights = {name: w for name, w in weights.items() if one[name].shape == two[name].shape}
    model.load_state_dict({**model.state_dict(), **weights})
    return same_labels

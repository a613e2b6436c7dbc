"""Trained models and their files: checkpoints, which contain all that is needed to use a model.

    trained = load_model("runs/first")
    logits = trained.logits(trained.features(waveform))

    best.pt   the weights with the highest validation accuracy
    last.pt   the newest weights and the whole state of the training, to resume from

Both hold a dictionary: `format`, `recipe` (TOML), `labels`, `protocol`, `normalizer`,
`weights`, `step`; last.pt also `training`; where weights are quantized there are `scales`, by which
they are multiplied. Only tensors, strings, numbers and containers: they load with
`weights_only=True`, so a checkpoint from a stranger runs no code.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from kws.audio.normalize import Normalizer
from kws.data.protocols import get_protocol, require_same_labels
from kws.errors import UsageError, did_you_mean
from kws.files import write_bytes
from kws.models.registry import PRETRAINED, build_model
from kws.training.other_words import SeparateOtherWords, unknown_of
from kws.training.recipe import Recipe, compute_features, parse_recipe, to_toml

FORMAT = "kws checkpoint 1"
SMALLEST = 1024  # numbers of a tensor; fewer are not worth scales
STEPS = 31  # from zero to a row's largest weight, in a checkpoint
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


@dataclass(frozen=True)
class Kind:
    """A kind of model: its name with an article, and the commands that use it."""

    name: str
    commands: str


KINDS = {  # by the protocol of a checkpoint; every other protocol is one of keywords
    "keywords": Kind("a keyword model", "kws predict, evaluate, listen, export, plot, kaggle, web"),
    "speakers": Kind("a speaker model", "kws predict, evaluate, export, plot, homework-csv"),
    "transcription": Kind("a speech recognizer", "kws transcribe, evaluate, export"),
    "speech": Kind("a voice", "kws say --run, evaluate"),
    "codec": Kind("a codec", "kws evaluate, kws train code-prior --init"),
    "codes": Kind("a code prior", "kws evaluate"),
}


def kind_of(protocol: str) -> str:
    """The key in `KINDS` of a checkpoint with this protocol."""
    return protocol if protocol in KINDS else "keywords"


def read_kind(run_or_file: str | Path) -> str:
    """The kind of a run or checkpoint; UsageError if there is none."""
    return kind_of(read_checkpoint(checkpoint_of(run_or_file))["protocol"])


def require_kind(path: str | Path, protocol: str, *wanted: str) -> None:
    """Refuse a checkpoint with this protocol unless it is of a wanted kind, with a UsageError."""
    found = KINDS[kind_of(protocol)]
    if kind_of(protocol) not in wanted:
        names = " or ".join(KINDS[each].name for each in wanted)
        raise UsageError(f"{path}: this is {found.name}, not {names}: use it with {found.commands}")


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

    `protocol` names the classes and splits of its accuracy, "speakers" for speakers; `step` counts
    optimizer steps.
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
    weights = state.get("training", {}).get("averaged") or state["weights"]
    return weights | {name: weights[name] * x for name, x in state.get("scales", {}).items()}


def quantize_rows(weight: Tensor, steps: int, row: int = 0) -> tuple[Tensor, Tensor]:
    """`weight` as whole numbers, int8, and a float scale for each row.

    The largest weight of a row becomes ±`steps`, at most 127; with fewer steps the file compresses
    better. A row is what has the same indices on the axes up to `row`; scales have size 1 on the
    others, so that `stored * scale` is near `weight`.
    """
    largest = weight.float().abs().amax(tuple(range(row + 1, weight.ndim)), keepdim=True)
    scale = largest.clamp(min=1e-12) / steps
    return (weight / scale).round().to(torch.int8), scale


def quantize_weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """The same content for use alone, its large weights by `quantize_rows`."""
    weights, scales = dict(weights_of(state)), {}
    for name, weight in weights.items():
        if weight.ndim > 1 and weight.numel() >= SMALLEST:
            weights[name], scales[name] = quantize_rows(weight, STEPS)
    kept = {key: value for key, value in state.items() if key != "training"}
    return {**kept, "weights": weights, "scales": scales}


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


def near_run(path: Path) -> str:
    """`did_you_mean` for the runs beside `path`."""
    return did_you_mean(path.name, sorted(p.parent.name for p in path.parent.glob("*/best.pt")))


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU, checksums verified; UsageError for what is not one of ours."""
    path = Path(path)
    if not path.is_file():
        near = near_run(path) or did_you_mean(path.name, SHIPPED)
        raise UsageError(f"{path}: no such checkpoint{near}: correct it or run kws train")
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
    if not isinstance(state, dict):
        return False
    scales = state.get("scales", {})
    return (
        all(isinstance(state.get(field), kind) for field, kind in FIELDS.items())
        and state["format"] == FORMAT
        and all(isinstance(label, str) for label in state["labels"])
        and all(isinstance(w, Tensor) for w in state["weights"].values())
        and isinstance(state.get("training", {}), dict)
        and isinstance(scales, dict)
        and all(isinstance(x, Tensor) and name in state["weights"] for name, x in scales.items())
    )


def new_model(recipe: Recipe, num_classes: int) -> nn.Module:
    """The recipe's model with fresh weights from torch's global generator.

    `num_classes` are those of evaluation (see `other_words`). UsageError if it cannot be built, or
    reads waveforms where `features` gives features, or the reverse.
    """
    name, features = recipe.model.name, recipe.features
    if (features.kind == "waveform") != (name in PRETRAINED):
        wanted = "waveform" if name in PRETRAINED else "log_mel"
        raise UsageError(
            f"features.kind={features.kind!r} is not what {name} reads: set features.kind={wanted}"
        )
    build = partial(build_model, name, num_features=features.num_features, **recipe.model.options)
    separate = recipe.data.other_words == "separate"
    if not separate or not (named := get_protocol(recipe.data.protocol).unknown_words):
        return build(num_classes=num_classes)
    unknown = unknown_of(get_protocol(recipe.data.protocol))
    parts = num_classes - 1 + len(named)
    return SeparateOtherWords(build(num_classes=parts), num_classes, unknown)


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A trained model with its labels, in the order of its outputs, and its features."""

    model: nn.Module
    recipe: Recipe
    labels: tuple[str, ...]
    protocol: str  # the name under which its accuracy counts; "speakers" for those
    normalizer: Normalizer
    step: int  # optimizer steps so far
    path: Path | None = None

    @property
    def task(self) -> str:
        """ "keywords" or "speakers"."""
        return self.recipe.data.task

    def features(self, waveform: Float[Tensor, "B N"]) -> Float[Tensor, "B T F"]:
        """What the model reads of a batch of keyword clips, 16 kHz: features, normalized.

        A model that was trained on clips of a second (N = 16,000) reads other lengths, too, but
        nothing says how well. UsageError for another type or number of axes.
        """
        is_tensor = isinstance(waveform, Tensor)
        if not is_tensor or (waveform.ndim, waveform.dtype) != (2, torch.float32):
            given = type(waveform).__name__
            if is_tensor:
                given = f"{waveform.dtype} of {waveform.ndim} axes"
            raise UsageError(
                f"waveforms are a torch.float32 tensor (B, N) of samples in -1 … 1, not {given}: "
                "convert them, or read files by kws.audio.recordings.read_audio"
            )
        return self.normalizer(compute_features(self.recipe.features, waveform))

    @torch.inference_mode()
    def logits(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C"]:
        """Logits of what `features` returns; UsageError for features of another shape."""
        width = self.recipe.features.num_features
        if features.ndim != 3 or features.shape[2] != width:
            got = [*features.shape]
            raise UsageError(f"features are (B, T, {width}) here, as .features returns, not {got}")
        return self.model(features, valid)

    @torch.inference_mode()
    def probabilities(self, values: Sequence[np.ndarray]) -> Float[np.ndarray, "B C"]:
        """Softmax of the logits of clips (N,), or of the frames (T, F) of speakers."""
        device = next(self.model.parameters()).device
        if self.task == "keywords":
            features, valid = self.features(torch.from_numpy(np.stack(values)).to(device)), None
        else:
            frames = [torch.from_numpy(each) for each in values]
            lengths = torch.tensor([len(each) for each in frames])
            padded = pad_sequence(frames, batch_first=True).to(device)
            valid = (torch.arange(padded.shape[1]) < lengths[:, None]).to(device)
            features = self.normalizer(padded, valid)
        return self.logits(features, valid).float().softmax(dim=1).cpu().numpy()

    def require_labels(self, labels: Sequence[str], where: str = "the data") -> None:
        """UsageError for data whose labels differ from the model's, or have another order."""
        require_same_labels(labels, self.labels, str(self.path or "the model"), where)


def load_model(run_or_file: str | Path, device: str | torch.device = "cpu") -> Trained:
    """The trained model of a run folder (its best.pt) or of a checkpoint file, ready to evaluate.

    A last.pt with averaged weights gives those. UsageError: missing, damaged, not ours, or from a
    version whose models differ.
    """
    path = checkpoint_of(run_or_file)
    state = read_checkpoint(path)
    require_kind(path, state["protocol"], "keywords", "speakers")
    model, recipe = restore_model(state, path)
    return Trained(
        model=model.to(device),
        recipe=recipe,
        labels=tuple(state["labels"]),
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

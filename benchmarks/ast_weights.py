"""Published weights of AST, ViT and DeiT, as transformers keeps them, in `SpectrogramTransformer`.

    from benchmarks.ast_weights import read_ast
    model, labels = read_ast("ast-finetuned-audioset")   # a folder; no network, no transformers
    read_vit(model, "deit-base-distilled")               # an image model, for a new AST

Every tensor has its place: one that is missing, left over or of another size is refused by name.
A model for shorter or longer clips takes the same weights, its positions cut or interpolated as in
the published code. The published model reads Kaldi's filter bank (`kws.models.pretrained`).

Shape letters: D model width   f rows (bands)   t columns (time)   L layers
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from kws.errors import UsageError
from kws.models.patches import count_patches
from kws.models.positions_2d import cut_middle, resize
from kws.models.spectrogram_transformer import SpectrogramTransformer, SpectrogramTransformerConfig

PREFIX, LAYERS = "audio_spectrogram_transformer.", "encoder.layer."
LAYER = {  # ours -> theirs, each with .weight and .bias; queries, keys and values are joined
    "attention.out": "attention.output.dense",
    "feed_forward.expand": "intermediate.dense",
    "feed_forward.contract": "output.dense",
    "norm_attention": "layernorm_before",
    "norm_feed_forward": "layernorm_after",
}
QKV = tuple(f"attention.attention.{name}" for name in ("query", "key", "value"))
BODY = {  # ours -> theirs, with .weight and .bias
    "embed.project": f"{PREFIX}embeddings.patch_embeddings.projection",
    "encoder.norm": f"{PREFIX}layernorm",
}
HEAD = {"head_norm": "classifier.layernorm", "classify": "classifier.dense"}
SPECIAL = tuple(f"{PREFIX}embeddings.{name}" for name in ("cls_token", "distillation_token"))
PLACES = f"{PREFIX}embeddings.position_embeddings"
CURE = "name a folder with config.json and model.safetensors of an AST for classification"


def load_ast(model: SpectrogramTransformer, weights: Mapping[str, Tensor], frames: int) -> None:
    """Take over the state dict of transformers' `ASTForAudioClassification`.

    Its positions were made for `frames` frames; for another number they are cut from the middle or
    interpolated.

    Raises:
        UsageError: a tensor is missing, left over, or of another size; the message names it.
    """
    left = dict(weights)
    ours = _body(model, left) | _named(left, HEAD)
    ours["tokens"] = torch.cat([_take(left, name)[0] for name in SPECIAL])
    ours["token_positions"], ours["positions.table"] = _positions(
        model, _take(left, PLACES), frames
    )
    if left:
        raise UsageError(f"{min(left)} has no place in this model: {_more(left)}{CURE}")
    _fill(model, ours)


def read_vit(model: SpectrogramTransformer, folder: str | Path) -> None:
    """Begin with an image model, a ViT, or with `distilled` a DeiT, as transformers keeps it.

    As AST did (section 2.2): the kernels of red, green and blue are added up to one of a single
    channel; of the square grid of positions rows and columns are cut from the middle where the
    model has fewer, and interpolated where it has more. The head of the image model is left out.

    Raises:
        UsageError: there is no such model, a tensor is missing or of another size, or the positions
            are not those of a square.
    """
    table, weights = _read(Path(folder))
    kind = str(table.get("model_type"))
    if kind != ("deit" if model.config.distilled else "vit"):
        raise UsageError(f"{folder} holds {kind}: name a vit, or a deit for distilled=True")
    left = {name.replace(f"{kind}.", PREFIX, 1): tensor for name, tensor in weights.items()}
    ours, special = _body(model, left), SPECIAL[: 1 + model.config.distilled]
    ours["embed.project.weight"] = ours["embed.project.weight"].sum(1, keepdim=True)
    ours["tokens"] = torch.cat([_take(left, name)[0] for name in special])
    own, places = _take(left, PLACES)[0].tensor_split([len(special)])
    if (side := math.isqrt(len(places))) ** 2 != len(places):
        raise UsageError(f"{PLACES} has {len(places)} positions, which are not a square: {CURE}")
    config = model.config
    here = count_patches(config.num_features, config.num_frames, config.patch, config.stride)
    grid = resize(places.T.reshape(-1, side, side), (max(side, here[0]), max(side, here[1])))
    rows, columns = ((a - b) // 2 for a, b in zip(grid.shape[1:], here, strict=True))
    ours["positions.table"] = grid[:, rows : rows + here[0], columns : columns + here[1]]
    ours["token_positions"] = own
    _fill(model, model.state_dict() | ours)


def read_ast(
    folder: str | Path, *, num_frames: int | None = None
) -> tuple[SpectrogramTransformer, tuple[str, ...]]:
    """The model that a folder of transformers holds, in evaluation mode, and its labels in order.

    `num_frames` makes it one for clips of another length; AST's own have 1,024 frames.

    Raises:
        UsageError: there is no such model; the message names the file.
    """
    table, weights = _read(Path(folder))
    if table.get("model_type") != "audio-spectrogram-transformer":
        raise UsageError(f"{folder} holds {table.get('model_type')}, not AST: {CURE}")
    labels = table.get("id2label", {})
    names = tuple(labels[key] for key in sorted(labels, key=int)) or ("0", "1")
    config = config_of(table, num_classes=len(names), num_frames=num_frames)
    model = SpectrogramTransformer(config)
    load_ast(model, weights, table.get("max_length", 1024))
    return model.eval(), names


def config_of(
    table: Mapping[str, Any], *, num_classes: int, num_frames: int | None = None
) -> SpectrogramTransformerConfig:
    """Our settings for those of transformers; what it leaves out has AST's published value."""
    patch = table.get("patch_size", 16)
    return SpectrogramTransformerConfig(
        num_classes=num_classes,
        num_features=table.get("num_mel_bins", 128),
        num_frames=num_frames or table.get("max_length", 1024),
        patch=(patch, patch),
        stride=(table.get("frequency_stride", 10), table.get("time_stride", 10)),
        distilled=True,
        head_norm=True,
        d_model=table.get("hidden_size", 768),
        num_heads=table.get("num_attention_heads", 12),
        num_layers=table.get("num_hidden_layers", 12),
        d_ff=table.get("intermediate_size", 3072),
        norm_eps=table.get("layer_norm_eps", 1e-12),
    )


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and weights in a folder of transformers."""
    try:
        table = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return table, load_file(folder / "model.safetensors")
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} cannot be read ({error}): {CURE}") from None
    except Exception as error:  # SafetensorError is an Exception and nothing else
        raise UsageError(f"{folder / 'model.safetensors'} is damaged ({error}): {CURE}") from None


def _named(left: dict[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    return {
        f"{name}.{kind}": _take(left, f"{theirs}.{kind}")
        for name, theirs in names.items()
        for kind in ("weight", "bias")
    }


def _body(model: SpectrogramTransformer, left: dict[str, Tensor]) -> dict[str, Tensor]:
    """Patches, layers and the last norm under our names, taken from `left`."""
    ours = _named(left, BODY)
    for at in range(model.config.num_layers):
        theirs = f"{PREFIX}{LAYERS}{at}."
        for kind in ("weight", "bias"):
            three = [_take(left, f"{theirs}{name}.{kind}") for name in QKV]
            ours[f"encoder.layers.{at}.attention.qkv.{kind}"] = torch.cat(three)
        names = {f"encoder.layers.{at}.{name}": theirs + other for name, other in LAYER.items()}
        ours |= _named(left, names)
    return ours


def _fill(model: SpectrogramTransformer, ours: Mapping[str, Tensor]) -> None:
    """Load the tensors; the first that does not fit is named."""
    state = model.state_dict()
    for name, tensor in ours.items():
        if name not in state or state[name].shape != tensor.shape:
            here = tuple(state[name].shape) if name in state else "absent"
            raise UsageError(
                f"{name} is {tuple(tensor.shape)} in the weights and {here} in the model: "
                "build the model with the patch, the width and the classes of the weights"
            )
    model.load_state_dict(ours)


def _positions(model: SpectrogramTransformer, places: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Those of the two tokens, and the table of the model's grid."""
    config, D = model.config, places.shape[2]
    there = count_patches(config.num_features, frames, config.patch, config.stride)
    here = count_patches(config.num_features, config.num_frames, config.patch, config.stride)
    count = there[0] * there[1]
    if places.shape[1] != count + 2:
        raise UsageError(
            f"{PLACES} has {places.shape[1] - 2} positions, but {frames} frames are "
            f"{there[0]} x {there[1]} patches: build the model with the patch of the weights"
        )
    table = places[0, 2:].T.reshape(D, *there)
    fitted = cut_middle(table, here) if here[1] <= there[1] else resize(table, here)
    return places[0, :2], fitted


def _take(left: dict[str, Tensor], name: str) -> Tensor:
    if name not in left:
        raise UsageError(f"{name} is missing from the weights: {CURE}")
    return left.pop(name)


def _more(left: Mapping[str, Tensor]) -> str:
    return f"(and {len(left) - 1} more) " if len(left) > 1 else ""

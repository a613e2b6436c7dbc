"""What one predicts with: a trained model, its labels, and the features that it reads.

trained = load_model("runs/first")
logits = trained.logits(trained.features(waveform))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.errors import UsageError
from kws.normalize import Normalizer
from kws.protocols import require_same_labels
from kws.training.checkpoint import checkpoint_of, read_checkpoint
from kws.training.model import restore_model
from kws.training.recipe import Recipe, compute_features

UNLABELED = {  # protocol of a checkpoint -> what else it is
    "transcription": "a recognizer, which writes texts and knows no labels: use kws transcribe, or "
    "kws evaluate with a folder of transcripts",
    "speech": "a voice, which speaks and knows no labels: use kws say --run, or kws evaluate",
    "codec": "a codec, which knows no labels: use kws evaluate, or kws train code-prior --init",
    "codes": "a prior, which draws codes and knows no labels: use kws evaluate",
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
        return self.normalizer(compute_features(self.recipe.features, waveform))

    @torch.inference_mode()
    def logits(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C"]:
        """Logits for features that are normalized already."""
        return self.model(features, valid)

    def require_labels(self, labels: Sequence[str], where: str = "the data") -> None:
        """Refuse data whose labels are others, or the same in another order, with a UsageError."""
        require_same_labels(labels, self.labels, str(self.path or "the model"), where)


def load_model(run_or_file: str | Path, device: str | torch.device = "cpu") -> Trained:
    """The trained model of a run folder (its best.pt) or of a checkpoint file, ready to evaluate.

    Of a last.pt with averaged weights, those.

    Raises:
        UsageError: nothing there, damaged, not ours, or from a package whose models differ.
    """
    path = checkpoint_of(run_or_file)
    state = read_checkpoint(path)
    if state["protocol"] in UNLABELED:
        raise UsageError(f"{path}: {UNLABELED[state['protocol']]}")
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

"""A trained model with its labels and features, and the kinds of trained models.

trained = load_model("runs/first")
logits = trained.logits(trained.features(waveform))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from kws.audio.normalize import Normalizer
from kws.data.protocols import require_same_labels
from kws.errors import UsageError
from kws.training.checkpoint import checkpoint_of, read_checkpoint
from kws.training.model import restore_model
from kws.training.recipe import Recipe, compute_features


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
        """What the model reads of a batch of keyword clips, 16 kHz: features, normalized."""
        return self.normalizer(compute_features(self.recipe.features, waveform))

    @torch.inference_mode()
    def logits(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C"]:
        """Logits for features that are normalized already."""
        return self.model(features, valid)

    @torch.inference_mode()
    def shares(self, values: Sequence[np.ndarray]) -> Float[np.ndarray, "B C"]:
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

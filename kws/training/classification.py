"""The objective of keywords and speakers: a label for each clip or utterance.

Speakers are measured twice: on whole utterances ("validation") and on crops as in training.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kws.audio.normalize import Normalizer
from kws.data.clips import ClipSplit
from kws.data.protocols import OWN, get_protocol, require_same_labels
from kws.errors import UsageError
from kws.metrics import Proportion
from kws.training.batches import (
    Cached,
    Split,
    evaluation_batches,
    fit_normalizer,
    generator_for,
    place_split,
    training_batch,
)
from kws.training.checkpoint import new_model
from kws.training.distributed import Team
from kws.training.history import Row
from kws.training.initialize import initialize
from kws.training.losses import LOSS_NAMES, loss_per_example
from kws.training.objective import Batch, Objective, fresh_weights
from kws.training.other_words import labels_of_parts, split_other_words
from kws.training.recipe import Recipe

FEW = 100  # clips of words: of fewer, chance decides which weights are the best


@dataclass(frozen=True, kw_only=True, eq=False)
class Classification(Objective):
    """Labels of keywords or of speakers."""

    auto_bfloat16: ClassVar[bool] = True
    train: Split  # may have more labels than those that count, of `other_words`
    validation: Split
    counts_as: Tensor  # the place in `labels` of each label of `train`
    measures: dict[str, Cached]  # validation batches, by the name of their columns in the history

    def __len__(self) -> int:
        return len(self.train)

    def batch(self, rows: Tensor, step: int) -> Batch:
        """features (B, T, F), valid (B, T) or None, targets (B, C)."""
        draws = generator_for(self.recipe.train.seed, "augmentation", step)
        batch = training_batch(self.train, self.recipe, self.normalizer, rows, draws, self.device)
        return batch.features, batch.valid, batch.targets

    def loss(self, part: Batch, whole: Batch) -> dict[str, Tensor]:
        settings, (features, valid, targets) = self.recipe.train, part
        logits = self.model(features, valid).float()
        losses = loss_per_example(
            logits, targets, settings.loss, settings.label_smoothing, settings.margin
        )
        answers, wanted = self.counts_as[torch.stack([logits.argmax(1), targets.argmax(1)])]
        n = len(whole[0])
        return {"loss": losses.sum() / n, "accuracy": (answers == wanted).sum() / n}

    def measure(self, model: nn.Module, team: Team) -> dict[str, float]:
        """Loss, accuracy and number of examples of each view; processes share the batches."""
        row: dict[str, float] = {}
        for name, batches in self.measures.items():
            totals = team.sum(score(model, batches, self.recipe.train.loss))
            loss, correct, n = totals.tolist()
            row |= {f"{name}_loss": loss / n, f"{name}_accuracy": correct / n, f"{name}_n": int(n)}
        return row

    def describe(self, row: Row) -> str:
        data = self.recipe.data
        conditions = {"protocol": data.protocol}
        views = {"validation": "", "crop": f" on {data.crop_frames}-frame crops"}
        if data.task == "speakers":
            conditions, views["validation"] = {}, " on whole utterances"
        found = {
            on: Proportion(correct=round(row[f"{name}_accuracy"] * n), n=int(n))
            for name, on in views.items()
            if (n := row.get(f"{name}_n"))
        }
        lines = [f"accuracy{on}: {each.describe(**conditions)}" for on, each in found.items()]
        return "\nbest validation ".join(lines)

    def introduce(self) -> list[str]:
        splits = (self.train, self.validation)
        notes = dict.fromkeys(note for split in splits for note in getattr(split, "notes", ()))
        if self.keeps_last:
            notes[
                "the last weights count: validation clips are too few, or known, to choose by"
            ] = None
        return [*(split.describe() for split in splits), *(f"note: {note}" for note in notes)]


def classification_objective(
    recipe: Recipe,
    train: Split,
    validation: Split,
    team: Team,
    *,
    init: str | Path | None = None,
    saved: Mapping[str, Any] | None = None,
    final: bool = False,
) -> Classification:
    """What a classifier learns; `saved` is a resumed run. UsageError for data that do not fit.

    The last weights count, not the best, where `final` includes validation clips in training, and
    for fewer than `FEW` clips of a user's own words.
    """
    check_data(recipe, train, validation)
    labels = train.label_names
    counts_as = torch.arange(len(labels))
    if recipe.data.other_words == "separate" and isinstance(train, ClipSplit):
        counts_as = labels_of_parts(get_protocol(train.protocol))
        train = split_other_words(train)
    data = fingerprint(train)
    with fresh_weights(recipe):
        model = new_model(recipe, len(labels))
    if init is not None and saved is None:
        initialize(model, init, recipe, labels)
    train, validation = (place_split(split, team.device) for split in (train, validation))
    normalizer = Normalizer(**saved["normalizer"]) if saved else fit_normalizer(train, recipe)
    normalizer = normalizer.to(team.device)
    share = {"rank": team.rank, "world": team.world, "device": team.device}
    batches = partial(evaluation_batches, validation, recipe, normalizer, **share)
    measures = {"validation": Cached(batches)}
    if recipe.data.task == "speakers":
        measures["crop"] = Cached(partial(batches, crops=True))
    return Classification(
        recipe=recipe,
        model=model.to(team.device),
        labels=labels,
        protocol=train.protocol if isinstance(train, ClipSplit) else "speakers",
        normalizer=normalizer,
        data=data,
        loss_name=LOSS_NAMES[recipe.train.loss],
        train=train,
        validation=validation,
        counts_as=counts_as.to(team.device),
        measures=measures,
        keeps_last=final or _has_few_words(validation),
    )


def _has_few_words(validation: Split) -> bool:
    """Whether the split has a user's own words, and fewer than `FEW` clips of them."""
    if not isinstance(validation, ClipSplit) or not validation.protocol.startswith(OWN):
        return False
    words = get_protocol(validation.protocol).words
    return sum(n for label, n in validation.counts().items() if label in words) < FEW


def check_data(recipe: Recipe, train: Split, validation: Split) -> None:
    """Refuse data that the recipe cannot be trained on, with a UsageError."""
    task = "keywords" if isinstance(train, ClipSplit) else "speakers"
    if recipe.data.task != task:
        raise UsageError(
            f"data.task={recipe.data.task}, but the training data are {task}: choose another recipe"
        )
    for name, split in (("training", train), ("validation", validation)):
        if not len(split):
            raise UsageError(f"the {name} split has no examples: check the data")
        if (split.labels < 0).any():
            raise UsageError(f"the {name} split has examples without a label: check the data")
        if not isinstance(split, ClipSplit) and split.num_features != recipe.features.n_mels:
            raise UsageError(
                f"features.n_mels={recipe.features.n_mels}, but the {name} split has "
                f"{split.num_features} features a frame: set it to that"
            )
    require_same_labels(train.label_names, validation.label_names, "validation", "training")


def fingerprint(split: Split) -> str:
    """SHA-256 of the names and labels of a split, in order."""
    text = repr((split.names, split.labels.tolist(), split.label_names))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


@torch.inference_mode()
def score(model: nn.Module, batches: Cached, kind: str = "cross-entropy") -> Tensor:
    """Summed loss, right answers and examples: (3,) float64, on the model's device."""
    model.eval()
    totals = torch.zeros(3, dtype=torch.float64, device=next(model.parameters()).device)
    for batch in batches:
        logits = model(batch.features, batch.valid).float()
        targets = F.one_hot(batch.labels, logits.shape[1]).to(logits.dtype)
        loss = loss_per_example(logits, targets, kind).sum()
        right = (logits.argmax(dim=1) == batch.labels).sum()
        totals += torch.stack([loss, right, torch.full_like(loss, len(batch))]).double()
    return totals

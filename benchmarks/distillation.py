"""Train on labels and on teachers' probabilities for the same augmented clips.

Hinton et al. 2015, https://arxiv.org/abs/1503.02531, at temperature 1: a target is a share of the
mean of the teachers' probabilities, and the rest of it the label.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from kws.training import loop
from kws.training.batches import Split, generator_for, training_batch
from kws.training.checkpoint import Trained
from kws.training.classification import Classification, classification_objective
from kws.training.distributed import team_of_processes
from kws.training.objective import Batch
from kws.training.other_words import without_parts
from kws.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True, eq=False)
class Distillation(Classification):
    """Labels, and the teachers' probabilities for the same augmented clips."""

    teachers: Sequence[Trained]
    share: float  # of a target that the teachers give

    def batch(self, rows: Tensor, step: int) -> Batch:
        """features (B, T, F), no mask, targets (B, P): those of `Classification`, mixed."""
        features, valid, targets = super().batch(rows, step)
        probabilities = [self.predict(each, features, rows, step) for each in self.teachers]
        given = torch.stack(probabilities).mean(dim=0)
        return features, valid, (1 - self.share) * targets + self.share * given

    @torch.inference_mode()
    def predict(self, teacher: Trained, features: Tensor, rows: Tensor, step: int) -> Tensor:
        """A teacher's probabilities (B, P) of the clips as the student gets them."""
        if teacher.recipe.features != self.recipe.features:
            recipe = replace(self.recipe, features=teacher.recipe.features)
            draws = generator_for(self.recipe.train.seed, "augmentation", step)
            normalizer = teacher.normalizer
            batch = training_batch(self.train, recipe, normalizer, rows, draws, self.device)
            features = batch.features
        return without_parts(teacher.model)(features).softmax(dim=1)


def distill(
    recipe: Recipe,
    splits: tuple[Split, Split],
    teachers: Sequence[Trained],
    out: Path,
    *,
    share: float,
    init: Path | None = None,
) -> None:
    """Train in `out`, or go on there; without teachers, on labels alone."""
    with team_of_processes("cpu") as team, loop.own_generators(team.device):
        saved = loop.saved_state(out, True, recipe)
        objective = classification_objective(recipe, *splits, team, saved=saved, init=init)
        if teachers:
            objective = Distillation(**vars(objective), teachers=teachers, share=share)
        loop.finish(loop.begin(objective, out, team=team, resume=True))

"""The interface between a kind of model and the one training loop.

An `Objective` is a model with its data: classifier, recognizer, voice, codec or prior.
`kws.training.loop` trains, measures and saves it without knowing which. A batch is a tuple of
tensors or lists with one entry for an example, or None. The loop cuts it into parts, one for each
process and forward pass; `loss` returns the contribution of a part, and contributions sum to the
loss of the whole batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

import torch
from jaxtyping import Int
from torch import Tensor, nn

from kws.audio.normalize import Normalizer
from kws.device import device_of
from kws.errors import UsageError
from kws.training.batches import generator_for, steps_per_epoch, training_rows
from kws.training.distributed import Team
from kws.training.history import Row
from kws.training.recipe import Recipe

Batch = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Objective(ABC):
    """A model and what it learns from."""

    unit: ClassVar[str] = "clips"  # what an example is called
    # whether precision "auto" may be bfloat16: it pays for large models only
    auto_bfloat16: ClassVar[bool] = False
    recipe: Recipe  # the experiment
    model: nn.Module  # on the device where it is trained
    labels: Sequence[str]  # of a checkpoint
    protocol: str  # the name under which a checkpoint records what it is
    normalizer: Normalizer  # what was done to features, kept with the weights
    data: str  # fingerprint of the training data, by which a run is resumed on the same
    loss_name: str  # with its unit, for plots
    keeps_last: bool = False  # too few examples to choose weights by: the last ones count

    @abstractmethod
    def __len__(self) -> int:
        """Training examples."""

    @abstractmethod
    def batch(self, rows: Int[Tensor, "B"], step: int) -> Batch:
        """Training examples `rows`, augmented by draws from (seed, step)."""

    @abstractmethod
    def loss(self, part: Batch, whole: Batch) -> Mapping[str, Tensor]:
        """The contribution of `part` to "loss", and to other figures, of the batch `whole`."""

    @abstractmethod
    def measure(self, model: nn.Module, team: Team) -> dict[str, float]:
        """validation_loss and what else a row of the history contains, of `model`."""

    @abstractmethod
    def describe(self, row: Row) -> str:
        """What a row of the history measured, in words."""

    def introduce(self) -> list[str]:
        """Lines about the data, printed before a training."""
        return [f"training: {len(self):,} {self.unit} of the speech engine"]

    @property
    def device(self) -> torch.device:
        return device_of(self.model)

    @property
    def examples_per_step(self) -> int:
        """The most examples of an optimizer step, over all processes."""
        return self.recipe.train.batch_size * self.recipe.train.accumulate

    @property
    def epoch_steps(self) -> int:
        """Optimizer steps in a pass over the training data."""
        return steps_per_epoch(len(self), self.examples_per_step)

    @property
    def smallest_batch(self) -> int:
        """The fewest examples of an optimizer step."""
        return len(self) // self.epoch_steps

    def rows(self, first: int) -> Iterator[Int[Tensor, "B"]]:
        """The rows of steps `first`, `first + 1`, …: each example once in a pass, in new order."""
        n, seed = len(self), self.recipe.train.seed
        return (
            training_rows(step, n=n, batch_size=self.examples_per_step, seed=seed)
            for step in count(first)
        )


def part_of(batch: Batch, index: int, parts: int) -> Batch:
    """Part `index` of `parts` nearly equal ones, in order.

    >>> [part_of(([1, 2, 3], None), index, 2) for index in range(2)]
    [([1], None), ([2, 3], None)]
    """
    n = len(batch[0])
    low, high = n * index // parts, n * (index + 1) // parts
    return tuple(None if x is None else x[low:high] for x in batch)


@contextmanager
def fresh_weights(recipe: Recipe) -> Iterator[None]:
    """Within it, torch draws the weights that the recipe's seed gives."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_for(recipe.train.seed, "weights", 0).initial_seed())
        yield


def require_task(recipe: Recipe, task: str, name: str) -> None:
    """Raise UsageError for a recipe of another task; `name` is a recipe of this one."""
    if recipe.data.task != task:
        raise UsageError(
            f"data.task={recipe.data.task} is not {task}: choose another recipe, such as {name}"
        )

"""Trainings with a loss of their own, as run folders: measured, kept, interrupted and resumed.

    run = begin(objective, "runs/voice")
    finish(run)

An `Objective` is what is learned: a recognizer, a voice, a codec, a prior. The folder is that of
`kws.training.loop`: recipe.toml, history.jsonl, best.pt and last.pt. As there, everything random in
step s is drawn from (seed, s), so a training that was interrupted goes on as if nothing had
happened.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kws.device import device_of
from kws.errors import UsageError
from kws.files import write_text
from kws.normalize import Normalizer
from kws.training.batches import generator_for, steps_per_epoch
from kws.training.checkpoint import model_state, save_checkpoint
from kws.training.history import History, Row
from kws.training.loop import own_generators, saved_state
from kws.training.optimizer import build_optimizer, learning_rate, set_learning_rate
from kws.training.progress import CatchInterrupt, Progress
from kws.training.recipe import Recipe, changed_keys, to_toml


@dataclass(frozen=True, kw_only=True, eq=False)
class Objective(ABC):
    """A model and what it learns from.

    Attributes:
        recipe: the experiment.
        model: on the device where it is trained; batches go there.
        labels: of a checkpoint.
        protocol: the name under which a checkpoint tells what it is.
        normalizer: what was done to features, kept with the weights.
        data: fingerprint of the training data, by which a run is resumed on the same.
    """

    loss_name: ClassVar[str]  # with its unit, for plots
    recipe: Recipe
    model: nn.Module
    labels: Sequence[str]
    protocol: str
    normalizer: Normalizer
    data: str

    @abstractmethod
    def __len__(self) -> int:
        """Training examples."""

    @abstractmethod
    def batches(self) -> Iterator[Sequence[int]]:
        """The rows of each step's training examples, without end."""

    @abstractmethod
    def loss(self, rows: Sequence[int], step: int) -> Float[Tensor, ""]:
        """The loss of a batch, with its gradient; augmentation is drawn from (seed, step)."""

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """validation_loss and what else a row of the history holds."""

    @abstractmethod
    def describe(self, row: Row) -> str:
        """What a row of the history measured, in words."""

    @property
    def epoch_steps(self) -> int:
        """Optimizer steps in a pass over the training data."""
        return steps_per_epoch(len(self), self.recipe.train.batch_size)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.recipe.train.total_steps or self.recipe.train.epochs * self.epoch_steps


@dataclass(kw_only=True, eq=False)
class ObjectiveRun:
    """The state of a training: `step` is the number of optimizer steps done."""

    objective: Objective
    out: Path
    optimizer: torch.optim.Optimizer
    history: History
    step: int = 0
    losses: list[float] = field(default_factory=list)  # of the steps since the last row

    def validate(self) -> None:
        """Add a row to the history, and keep the weights if they are the best."""
        row = {
            "step": self.step,
            "epoch": round(self.step / self.objective.epoch_steps, 3),
            "lr": self.optimizer.param_groups[0]["lr"],
            "train_loss": math.fsum(self.losses) / len(self.losses),
            **self.objective.measure(),
        }
        self.losses.clear()
        self.history.rows.append(row)
        if row is self.history.best:
            save_checkpoint(self.out / "best.pt", self._state())

    def save(self) -> None:
        """Write last.pt and the history."""
        training = {
            "optimizer": self.optimizer.state_dict(),
            "rows": self.history.rows,
            "losses": self.losses,
            "data": self.objective.data,
        }
        save_checkpoint(self.out / "last.pt", {**self._state(), "training": training})
        self.history.save(self.out / "history.jsonl")

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `save` wrote."""
        training = state["training"]
        self.objective.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(training["optimizer"])
        self.step, self.losses = state["step"], training["losses"]
        self.history.rows = training["rows"]

    def _state(self) -> dict[str, Any]:
        objective = self.objective
        return model_state(
            objective.model,
            recipe=objective.recipe,
            labels=objective.labels,
            protocol=objective.protocol,
            normalizer=objective.normalizer,
            step=self.step,
        )


def begin(objective: Objective, out: str | Path, *, resume: bool = False) -> ObjectiveRun:
    """A run that is ready for its next step.

    Raises:
        UsageError: `out` holds a run and `resume` is not set, or the run of another recipe or of
            other data.
    """
    out, recipe = Path(out), objective.recipe
    state = saved_state(out, resume, recipe, objective.data)
    run = ObjectiveRun(
        objective=objective,
        out=out,
        optimizer=build_optimizer(objective.model, recipe.train),
        history=History(path=out),
    )
    if state:
        run.load_state(state)
    write_text(out / "recipe.toml", to_toml(recipe))
    run.save()
    return run


def finish(run: ObjectiveRun, *, progress: bool = True) -> None:
    """Step, validate and save, until the end; the global random generators stay as they were.

    Raises:
        UsageError: the loss is no longer finite.
        KeyboardInterrupt: Ctrl-C, after the state has been saved.
    """
    objective, first = run.objective, run.step
    settings, total = objective.recipe.train, objective.total_steps
    each = settings.validate_every or objective.epoch_steps
    bar, interrupt = closing(Progress(total, first, progress)), CatchInterrupt()
    with own_generators(device_of(objective.model)), bar as shown, interrupt:
        start = time.monotonic()
        for loss in training_steps(objective, run.optimizer, first=first):
            run.step += 1
            run.losses.append(loss)
            shown.advance()
            if run.step % settings.log_every == 0:
                shown.show_loss(loss, run.optimizer.param_groups[0]["lr"])
            validate_now = run.step == total or run.step % each == 0
            if validate_now:
                run.validate()
                pace = (run.step - first) / (time.monotonic() - start)  # steps a second
                left = (total - run.step) / pace
                row = run.history.rows[-1]
                shown.show_validation(row, rate=pace * settings.batch_size, left=left)
            if validate_now or interrupt.caught:
                run.save()
            if interrupt.caught:
                raise KeyboardInterrupt


def training_steps(
    objective: Objective, optimizer: torch.optim.Optimizer, *, first: int = 0
) -> Iterator[float]:
    """Optimizer steps `first`, `first + 1`, …, to the last: the loss of each.

    Raises:
        UsageError: a loss is not finite.
    """
    model, settings, total = objective.model, objective.recipe.train, objective.total_steps
    for step, rows in enumerate(islice(objective.batches(), first, total), start=first):
        torch.manual_seed(generator_for(settings.seed, "dropout 0", step).initial_seed())
        lr = learning_rate(settings, step, total, objective.epoch_steps)
        set_learning_rate(optimizer, lr)
        model.train()
        loss = objective.loss(rows, step)
        if not math.isfinite(loss.item()):
            raise UsageError(f"step {step + 1}: the loss is {loss.item()}: lower train.lr")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm or math.inf)
        optimizer.step()
        yield loss.item()


@contextmanager
def fresh_weights(recipe: Recipe) -> Iterator[None]:
    """Within it, torch draws the weights that the recipe's seed gives."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_for(recipe.train.seed, "weights", 0).initial_seed())
        yield


USED = ("data.task", "data.seed", "data.spoken", "model.", "train.")  # by what has an objective
IGNORED = (
    "train.accumulate",
    "train.margin",
    "train.ema",
    "train.loss",
    "train.label_smoothing",
    "train.compile",
    "train.save_every",
    "train.patience",
)


def require_used(recipe: Recipe, task: str, used: Sequence[str], name: str) -> None:
    """Refuse a recipe of another task than that of `name`, and settings that change nothing.

    `used` are its keys beside those that all such trainings have.

    Raises:
        UsageError: naming the key.
    """
    if recipe.data.task != task:
        raise UsageError(
            f"data.task={recipe.data.task} is not {task}: choose another recipe, such as {name}"
        )
    plain = Recipe(model=recipe.model)
    for key, _, _ in changed_keys(plain, recipe):
        if not key.startswith((*USED, *used)) or key in IGNORED:
            raise UsageError(f"{key} changes nothing in a training of {name}: leave it out")
    if recipe.train.precision == "bfloat16":
        raise UsageError(f"train.precision=bfloat16 is not for {name}: leave it out")

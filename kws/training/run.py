"""A training under way: everything that it knows, how it begins, is saved and is continued.

The run folder holds recipe.toml, history.jsonl (`kws.training.history`), best.pt and last.pt
(`kws.training.checkpoint`). last.pt is complete: the rest can be made from it, except best.pt,
which is always written before the last.pt that counts on it. Each file is replaced as a whole, so a
run that is killed at any moment, writing or not, can be continued.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kws.data.clips import ClipSplit
from kws.errors import UsageError
from kws.files import write_text
from kws.normalize import Normalizer
from kws.protocols import require_same_labels
from kws.training.batches import (
    Cached,
    Split,
    evaluation_batches,
    fit_normalizer,
    generator_for,
    steps_per_epoch,
)
from kws.training.checkpoint import (
    Trained,
    initialize,
    new_model,
    read_checkpoint,
    save_checkpoint,
)
from kws.training.distributed import Team
from kws.training.history import History
from kws.training.optimizer import AveragedWeights, build_optimizer
from kws.training.recipe import Recipe, changed_keys, parse_recipe, to_toml
from kws.training.schedule import constant, cosine_warmup, step_decay


@dataclass(kw_only=True, eq=False)
class Run:
    """The state of a training. `step` is the number of optimizer steps done."""

    recipe: Recipe
    team: Team
    out: Path
    train: Split  # on the device of the team, like everything below
    measures: dict[str, Cached]  # validation batches, by the name of their columns in the history
    normalizer: Normalizer
    model: nn.Module
    optimizer: torch.optim.Optimizer
    averaged: AveragedWeights | None
    history: History
    step: int = 0
    losses: list[float] = field(default_factory=list)  # of the steps since the last row
    pending: list[Tensor] = field(default_factory=list)  # (loss, gradient norm), not yet fetched

    @property
    def examples_per_step(self) -> int:
        """The most examples that an optimizer step sees, over all processes."""
        return self.recipe.train.batch_size * self.recipe.train.accumulate

    @property
    def epoch_steps(self) -> int:
        """Optimizer steps in a pass over the training data."""
        return steps_per_epoch(len(self.train), self.examples_per_step)

    @property
    def total_steps(self) -> int:
        """Optimizer steps in the whole training."""
        return self.recipe.train.total_steps or self.recipe.train.epochs * self.epoch_steps

    @property
    def evaluated(self) -> nn.Module:
        """The model that is measured and kept: the averaged one if there is one."""
        return self.averaged.model if self.averaged else self.model

    def learning_rate(self, step: int) -> float:
        """Learning rate of optimizer step `step`, the first being 0."""
        train, total_steps = self.recipe.train, self.total_steps
        if train.schedule == "cosine":
            warmup_steps = min(round(train.warmup * total_steps), total_steps - 1)
            share = cosine_warmup(step, warmup_steps=warmup_steps, total_steps=total_steps)
        elif train.schedule == "step":
            step_size = train.decay_epochs * self.epoch_steps
            share = step_decay(step, step_size=step_size, gamma=train.decay_factor)
        else:
            share = constant(step)
        return train.lr * share

    def out_of_patience(self) -> bool:
        """Whether the last `patience` validations have all been no better than the best."""
        return 0 < self.recipe.train.patience <= self.history.rows_since_best

    def diverged(self, what: str, step: int) -> UsageError:
        """What to say when numbers stop being numbers in optimizer step `step`."""
        return UsageError(
            f"step {step + 1}: {what} at learning rate {self.learning_rate(step):.2g}: lower "
            "train.lr, raise train.warmup, lower train.clip_norm or set train.precision=float32 "
            f"(the last good state is in {self.out / 'last.pt'})"
        )

    def save(self) -> None:
        """Write last.pt and the history, if all weights are finite; `pending` must be empty."""
        assert not self.pending
        if not self.team.leads:
            return
        if not torch.stack([p.isfinite().all() for p in self.model.parameters()]).all():
            raise self.diverged("a weight is no longer finite", self.step - 1)
        state = self.trained(self.model).state()
        state["training"] = {
            "optimizer": self.optimizer.state_dict(),
            "averaged": self.averaged.model.state_dict() if self.averaged else None,
            "rows": self.history.rows,
            "losses": self.losses,
            "data": fingerprint(self.train),
        }
        save_checkpoint(self.out / "last.pt", state)
        self.history.save(self.out / "history.jsonl")

    def save_best(self) -> None:
        """Write best.pt: a copy of the weights as they are now."""
        if self.team.leads:
            save_checkpoint(self.out / "best.pt", self.trained(self.evaluated).state())

    def trained(self, model: nn.Module) -> Trained:
        """`model` with what is needed to use it."""
        return Trained(
            model=model,
            recipe=self.recipe,
            labels=self.train.label_names,
            protocol=self.train.protocol if isinstance(self.train, ClipSplit) else "speakers",
            normalizer=self.normalizer,
            step=self.step,
        )

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over the weights and the position that `save` wrote."""
        training = state["training"]
        self.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(training["optimizer"])
        if self.averaged:
            self.averaged.model.load_state_dict(training["averaged"])
        self.step, self.losses, self.history.rows = (
            state["step"],
            training["losses"],
            training["rows"],
        )


def begin(
    recipe: Recipe,
    train: Split,
    validation: Split,
    out: Path,
    team: Team,
    *,
    resume: bool = False,
    init: str | Path | None = None,
) -> Run:
    """A run that is ready for its next step: the first, or with `resume` the one after last.pt.

    Raises:
        UsageError: `out` holds a run and `resume` is False, or the run of another recipe or of
            other data; the data do not fit the recipe; `init` does not fit the model.
    """
    check_data(recipe, train, validation, team)
    state = _saved_state(out, resume, recipe, train)
    if team.device.type == "cuda":
        train, validation = train.to(team.device), validation.to(team.device)
    normalizer = Normalizer(**state["normalizer"]) if state else fit_normalizer(train, recipe)
    normalizer = normalizer.to(team.device)
    torch.manual_seed(generator_for(recipe.train.seed, "weights", 0).initial_seed())
    model = new_model(recipe, len(train.label_names)).train()
    if init is not None and state is None:
        initialize(model, init, recipe, train.label_names)
    model.to(team.device)
    run = Run(
        recipe=recipe,
        team=team,
        out=out,
        train=train,
        measures=_measures(recipe, validation, normalizer, team),
        normalizer=normalizer,
        model=model,
        optimizer=build_optimizer(model, recipe.train),
        averaged=AveragedWeights(model, recipe.train.ema) if recipe.train.ema else None,
        history=History(path=out),
    )
    team.wait()  # nobody writes before everybody has read
    if state:
        run.load_state(state)
    if team.leads:
        for left_over in sorted(out.glob(".*.tmp")):  # of a process that was killed while writing
            left_over.unlink()
        write_text(out / "recipe.toml", to_toml(recipe))
        if state:
            run.history.save(out / "history.jsonl")
        else:
            run.save()
    return run


def check_data(recipe: Recipe, train: Split, validation: Split, team: Team) -> None:
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
    per_step = recipe.train.batch_size * recipe.train.accumulate
    smallest = len(train) // steps_per_epoch(len(train), per_step)
    parts = team.world * recipe.train.accumulate
    if team.world > 1 and smallest < parts:  # processes must run the model equally often
        raise UsageError(
            f"{smallest} examples in a step cannot be divided into {parts} parts: raise "
            "train.batch_size, lower train.accumulate or use fewer processes"
        )


def fingerprint(split: Split) -> str:
    """SHA-256 of the names and labels of a split, in order."""
    text = repr((split.names, split.labels.tolist(), split.label_names))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def check_free(out: Path, resume: bool) -> None:
    """Refuse to begin anew, `resume` False, in a folder that holds a run, with a UsageError."""
    if not resume and (out / "last.pt").exists():
        raise UsageError(
            f"{out}: holds a run already: continue it with --resume (resume=True), or choose "
            "another folder"
        )


def _saved_state(out: Path, resume: bool, recipe: Recipe, train: Split) -> dict[str, Any] | None:
    """The content of last.pt, where there is one that may be continued."""
    check_free(out, resume)
    last = out / "last.pt"
    if not last.exists():
        return None
    state = read_checkpoint(last)
    if "training" not in state:
        raise UsageError(f"{last}: holds no training state, only a model: choose another folder")
    for key, old, new in changed_keys(parse_recipe(state["recipe"], where=str(last)), recipe):
        raise UsageError(
            f"{out}: {key} was {old} when this run began and is {new} now: resume it with its own "
            f"{out / 'recipe.toml'}, or choose another folder"
        )
    if state["training"]["data"] != fingerprint(train):
        raise UsageError(
            f"{out}: the training data are not those that this run began with: give the same, or "
            "choose another folder"
        )
    return state


def _measures(
    recipe: Recipe, validation: Split, normalizer: Normalizer, team: Team
) -> dict[str, Cached]:
    """What is measured on the validation data; of speakers, crops are measured apart."""
    whole, crop = (
        Cached(
            partial(
                evaluation_batches,
                validation,
                recipe,
                normalizer,
                crops=crops,
                rank=team.rank,
                world=team.world,
            )
        )
        for crops in (False, True)
    )
    if recipe.data.task == "keywords":
        return {"validation": whole}
    return {"crop": crop} if recipe.data.compat else {"validation": whole, "crop": crop}

"""One training loop for every model, from the first step to the last, interrupted or not.

    history = fit(load_recipe("keywords"), train=train, validation=validation, out="runs/first")
    history.best

Everything random in optimizer step s is drawn from (seed, s): which examples it sees, their
augmentation, dropout. The number of steps done is therefore all the state that the generators have,
and a run that was killed continues from its last checkpoint as if nothing had happened: on a CPU to
the last bit.

The run folder holds recipe.toml, history.jsonl (`kws.training.history`), times.jsonl, best.pt and
last.pt (`kws.training.checkpoint`). last.pt is complete: the rest can be made from it, except the
times and best.pt, which is always written before the last.pt that counts on it. Each file is
replaced as a whole, so a run that is killed at any moment, writing or not, can be continued.

The device is waited for once in `log_every` steps. Until then losses stay where they are.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kws.data.clips import ClipSplit
from kws.device import Device
from kws.errors import UsageError
from kws.files import write_text
from kws.normalize import Normalizer
from kws.protocols import get_protocol, require_same_labels
from kws.training.batches import (
    Cached,
    Split,
    evaluation_batches,
    fit_normalizer,
    generator_for,
    steps_per_epoch,
    training_batch,
    training_rows,
)
from kws.training.checkpoint import model_state, read_checkpoint, save_checkpoint
from kws.training.distributed import Team, team_of_processes
from kws.training.history import History
from kws.training.losses import loss_per_example
from kws.training.model import initialize, new_model
from kws.training.optimizer import (
    AveragedWeights,
    build_optimizer,
    learning_rate,
    set_learning_rate,
)
from kws.training.other_words import apart, labels_of_parts
from kws.training.progress import CatchInterrupt, Progress
from kws.training.recipe import Recipe, changed_keys, parse_recipe, to_toml
from kws.training.times import Times


def fit(
    recipe: Recipe,
    *,
    train: Split,
    validation: Split,
    out: str | Path,
    resume: bool = False,
    device: Device = "auto",
    init: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train the recipe's model on `train`, measure it on `validation`, write the run folder `out`.

    Args:
        recipe: the experiment.
        train: examples to learn from. On CUDA both splits are copied to the device whole.
        validation: examples that choose the best weights.
        out: the run folder made if need be.
        resume: continue the run in `out`; begin it if it has not saved anything yet.
        device: "auto" takes CUDA where there is a GPU.
        init: a run folder or checkpoint whose weights to begin with.
        progress: show a bar, or a line per validation.

    Raises:
        UsageError: `out` contains a run and `resume` is not set, or the run of another recipe; data
            and recipe do not fit; the loss is no longer finite; the recipe asks for the flaws of
            the sample code (`kws.training.sample_code.fit` has them).
        KeyboardInterrupt: Ctrl-C, after the state has been saved.
    """
    if recipe.data.compat:
        raise UsageError("data.compat=true: use kws.training.sample_code.fit, or leave it out")
    with running(
        recipe, train=train, validation=validation, out=out, resume=resume, device=device, init=init
    ) as run:
        finish(run, progress=progress)
        return run.history


@contextmanager
def running(
    recipe: Recipe,
    *,
    train: Split,
    validation: Split,
    out: str | Path,
    resume: bool = False,
    device: Device = "auto",
    init: str | Path | None = None,
) -> Iterator["TrainingRun"]:
    """The run that `fit` trains, begun; the caller's random generators stay as they were."""
    with team_of_processes(device) as team, own_generators(team.device):
        yield begin(recipe, train, validation, Path(out), team, resume=resume, init=init)


@dataclass(kw_only=True, eq=False)
class TrainingRun:
    """The state of a training run. `step` is the number of optimizer steps done."""

    recipe: Recipe
    team: Team
    out: Path
    labels: tuple[str, ...]  # those that count: `train` may have more, of `other_words`
    counts_as: Tensor  # the place in `labels` of each label of `train`
    train: Split  # on the device of the team, like everything below
    measures: dict[str, Cached]  # validation batches, by the name of their columns in the history
    normalizer: Normalizer
    model: nn.Module
    optimizer: torch.optim.Optimizer
    averaged: AveragedWeights | None
    history: History
    step: int = 0
    losses: list[float] = field(default_factory=list)  # of the steps since the last row
    right: list[float] = field(default_factory=list)  # and their shares of right answers
    norms: list[float] = field(default_factory=list)  # and the norms of their gradients, unclipped
    pending: list[Tensor] = field(default_factory=list)  # (loss, right, norm), not yet fetched

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
        return learning_rate(self.recipe.train, step, self.total_steps, self.epoch_steps)

    def is_out_of_patience(self) -> bool:
        """Whether the last `patience` validations have all been no better than the best."""
        return 0 < self.recipe.train.patience <= self.history.rows_since_best

    def divergence_error(self, what: str, step: int) -> UsageError:
        """The error for a loss, gradient or weight that is not finite in optimizer step `step`."""
        return UsageError(
            f"step {step + 1}: {what} at learning rate {self.learning_rate(step):.2g}: lower "
            "train.lr, raise train.warmup, lower train.clip_norm or set train.precision=float32 "
            f"(the last good state is in {self.out / 'last.pt'})"
        )

    def save(self) -> None:
        """Write last.pt and the history, if all weights are finite; `pending` must be empty."""
        assert not self.pending
        if not self.team.is_main:
            return
        if not torch.stack([p.isfinite().all() for p in self.model.parameters()]).all():
            raise self.divergence_error("a weight is no longer finite", self.step - 1)
        state = self._model_state(self.model)
        state["training"] = {
            "optimizer": self.optimizer.state_dict(),
            "averaged": self.averaged.model.state_dict() if self.averaged else None,
            "rows": self.history.rows,
            "losses": self.losses,
            "right": self.right,
            "norms": self.norms,
            "data": fingerprint(self.train),
        }
        save_checkpoint(self.out / "last.pt", state)
        self.history.save(self.out / "history.jsonl")

    def save_best(self) -> None:
        """Write best.pt: a copy of the weights as they are now."""
        if self.team.is_main:
            save_checkpoint(self.out / "best.pt", self._model_state(self.evaluated))

    def _model_state(self, model: nn.Module) -> dict[str, Any]:
        return model_state(
            model,
            recipe=self.recipe,
            labels=self.labels,
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
        self.step, self.losses, self.right = state["step"], training["losses"], training["right"]
        self.norms = training["norms"]
        self.history.rows = training["rows"]


def begin(
    recipe: Recipe,
    train: Split,
    validation: Split,
    out: Path,
    team: Team,
    *,
    resume: bool = False,
    init: str | Path | None = None,
) -> TrainingRun:
    """A run that is ready for its next step: the first, or with `resume` the one after last.pt.

    Raises:
        UsageError: `out` holds a run and `resume` is False, or the run of another recipe or of
            other data; the data do not fit the recipe; `init` does not fit the model.
    """
    check_data(recipe, train, validation, team)
    labels = train.label_names
    counts_as = torch.arange(len(labels))
    if recipe.data.other_words == "apart" and isinstance(train, ClipSplit):
        train, counts_as = apart(train), labels_of_parts(get_protocol(train.protocol))
    state = saved_state(out, resume, recipe, fingerprint(train))
    if team.device.type == "cuda":
        train, validation = train.to(team.device), validation.to(team.device)
    normalizer = Normalizer(**state["normalizer"]) if state else fit_normalizer(train, recipe)
    normalizer = normalizer.to(team.device)
    torch.manual_seed(generator_for(recipe.train.seed, "weights", 0).initial_seed())
    model = new_model(recipe, len(labels)).train()
    if init is not None and state is None:
        initialize(model, init, recipe, labels)
    model.to(team.device)
    run = TrainingRun(
        recipe=recipe,
        team=team,
        out=out,
        labels=labels,
        counts_as=counts_as.to(team.device),
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
    if team.is_main:
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
    """Refuse to start again, `resume` False, in a folder that holds a run, with a UsageError."""
    if not resume and (out / "last.pt").exists():
        raise UsageError(
            f"{out}: contains a run already: continue it with --resume (resume=True), or choose "
            "another folder"
        )


def saved_state(out: Path, resume: bool, recipe: Recipe, data: str) -> dict[str, Any] | None:
    """The content of last.pt, where there is one that may be continued.

    Raises:
        UsageError: `out` holds a run and `resume` is False; or the run of another recipe, or of
            training data with another fingerprint than `data`.
    """
    check_free(out, resume)
    last = out / "last.pt"
    if not last.exists():
        return None
    state = read_checkpoint(last)
    if "training" not in state:
        raise UsageError(f"{last}: contains a model, no training state: choose another folder")
    for key, old, new in changed_keys(parse_recipe(state["recipe"], where=str(last)), recipe):
        raise UsageError(
            f"{out}: {key} was {old} when this run began and is {new} now: resume it with its own "
            f"{out / 'recipe.toml'}, or choose another folder"
        )
    if state["training"]["data"] != data:
        raise UsageError(
            f"{out}: the training data are not those that this run began with: give the same, or "
            "choose another folder"
        )
    return state


def _measures(
    recipe: Recipe, validation: Split, normalizer: Normalizer, team: Team
) -> dict[str, Cached]:
    """What is measured on the validation data; of speakers, crops are measured apart."""
    batches = partial(
        evaluation_batches, validation, recipe, normalizer, rank=team.rank, world=team.world
    )
    measures = {"validation": Cached(batches)}
    if recipe.data.task == "speakers":
        measures["crop"] = Cached(partial(batches, crops=True))
    return measures


def finish(run: "TrainingRun", *, progress: bool = True) -> None:
    """Step; now and then look at the losses, validate and save; until the end."""
    settings, is_main = run.recipe.train, run.team.is_main
    forward = run.team.wrap_ddp(run.model)
    if settings.compile:
        forward.compile()
    with (
        closing(Progress(run.total_steps, run.step, progress and is_main)) as bar,
        CatchInterrupt(ignore=not is_main) as interrupt,
    ):
        times, paused_at = Times(run.out, run.step), run.step
        times.start()
        while run.step < run.total_steps and not run.is_out_of_patience():
            run.pending.append(train_step(run, forward))
            run.step += 1
            bar.advance()

            last = run.step == run.total_steps
            validate_now = last or run.step % (settings.validate_every or run.epoch_steps) == 0
            save_now = validate_now or (
                settings.save_every > 0 and run.step % settings.save_every == 0
            )
            stop_now = interrupt.caught
            if save_now or stop_now or run.step % settings.log_every == 0:
                fetch_losses(run)
                bar.show_loss(run.losses[-1], run.learning_rate(run.step - 1))
            if save_now or stop_now:
                times.stop(run.step - paused_at)
                if validate_now:
                    validate(run)
                    left = (run.total_steps - run.step) / times.steps_per_second
                    rate = times.steps_per_second * run.examples_per_step
                    bar.show_validation(run.history.rows[-1], rate=rate, left=left)
                run.save()
                if validate_now and is_main:
                    times.save(run.step, run.examples_per_step)
                paused_at = run.step
                times.start()
            if stop_now:
                raise KeyboardInterrupt


def train_step(run: TrainingRun, forward: nn.Module) -> Tensor:
    """One optimizer step. Returns this process's shares of the loss and of right answers, and the
    norm of the gradient.

    Every process draws the whole batch, augmented, and takes its part of it, so that the number of
    processes changes nothing. `forward` is the model, with gradients averaged over processes.
    """
    settings, team, seed = run.recipe.train, run.team, run.recipe.train.seed
    rows = training_rows(run.step, n=len(run.train), batch_size=run.examples_per_step, seed=seed)
    draws = generator_for(seed, "augmentation", run.step)
    batch = training_batch(run.train, run.recipe, run.normalizer, rows, draws)
    torch.manual_seed(generator_for(seed, f"dropout {team.rank}", run.step).initial_seed())
    set_learning_rate(run.optimizer, run.learning_rate(run.step))

    total, right = torch.zeros(2, device=team.device)
    for i in range(settings.accumulate):
        part = batch.part(i * team.world + team.rank, settings.accumulate * team.world)
        if not len(part):  # a batch smaller than the number of its parts
            continue
        with _keep_gradients(forward, team.world > 1 and i < settings.accumulate - 1):
            with _autocast(settings.precision, team.device):
                logits = forward(part.features, part.valid)
            # summed here and divided by the size of the whole: the parts may differ by one example
            losses = loss_per_example(
                logits.float(),
                part.targets,
                settings.loss,
                settings.label_smoothing,
                settings.margin,
            )
            loss = losses.sum() / len(batch)
            (loss * team.world).backward()  # because processes average their gradients
        total += loss.detach()
        said, wanted = run.counts_as[torch.stack([logits.argmax(1), part.targets.argmax(1)])]
        right += (said == wanted).sum() / len(batch)
    norm = nn.utils.clip_grad_norm_(run.model.parameters(), settings.clip_norm or math.inf)
    run.optimizer.step()
    run.optimizer.zero_grad()
    if run.averaged:
        run.averaged.update(run.model, run.step)
    return torch.stack([total, right, norm / team.world])  # they are summed; each has the norm


def fetch_losses(run: TrainingRun) -> None:
    """Wait for the losses of the last steps, all at once.

    Raises:
        UsageError: one of them, or a gradient, is not finite.
    """
    if not run.pending:
        return
    first, fetched = run.step - len(run.pending), run.team.sum(torch.stack(run.pending)).tolist()
    run.pending.clear()
    for step, (loss, right, norm) in enumerate(fetched, start=first):
        if not math.isfinite(loss):
            raise run.divergence_error(f"the loss is {loss}", step)
        if not math.isfinite(norm):
            raise run.divergence_error(f"the norm of the gradient is {norm}", step)
        run.losses.append(loss)
        run.right.append(right)
        run.norms.append(norm)


def validate(run: TrainingRun) -> None:
    """Measure the model, add a row to the history, and keep the weights if they are the best."""
    row = {
        "step": run.step,
        "epoch": round(run.step / run.epoch_steps, 3),
        "lr": run.learning_rate(run.step - 1),
        "train_loss": math.fsum(run.losses) / len(run.losses),
        "train_accuracy": math.fsum(run.right) / len(run.right),
        "gradient_norm": math.fsum(run.norms) / len(run.norms),
    }
    for kept in (run.losses, run.right, run.norms):
        kept.clear()
    for name, batches in run.measures.items():
        loss, correct, n = run.team.sum(
            score(run.evaluated, batches, run.recipe.train.loss)
        ).tolist()
        if not math.isfinite(loss):
            raise run.divergence_error(f"the {name} loss is {loss}", run.step - 1)
        row |= {f"{name}_loss": loss / n, f"{name}_accuracy": correct / n, f"{name}_n": int(n)}
    run.model.train()
    run.history.rows.append(row)
    if row is run.history.best:
        run.save_best()


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


def _autocast(precision: str, device: torch.device) -> torch.autocast:
    """bfloat16 where the recipe wants it. Its range is that of float32: no loss scaling."""
    wanted = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


def _keep_gradients(forward: nn.Module, wanted: bool):
    """Add to this process's gradients without averaging them over the processes yet."""
    return forward.no_sync() if wanted else nullcontext()  # pyright: ignore[reportCallIssue]


def own_generators(device: torch.device):
    """Leave the caller's global random generators as they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])

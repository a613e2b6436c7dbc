"""One training loop for every model, from the first step to the last, interrupted or not.

    history = fit(load_recipe("keywords"), train=train, validation=validation, out="runs/first")
    history.best

    run = begin(objective, "runs/voice")  # any `kws.training.objective`
    finish(run)

Everything random in step s (examples, augmentation, dropout) is drawn from (seed, s), so generators
have no other state to save, and a run that was killed continues from its last checkpoint exactly:
on a CPU to the last bit.

The run folder contains recipe.toml, history.jsonl (`kws.training.history`), times.jsonl, best.pt
and last.pt (`kws.training.checkpoint`). last.pt is sufficient to restore all but the times and
best.pt, which is always written before it. Each file is replaced as a whole, so a run can be killed
at any moment. The loop synchronizes with the device once in `log_every` steps.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kws.device import Device
from kws.errors import UsageError
from kws.files import write_text
from kws.training.batches import Split, generator_for
from kws.training.checkpoint import model_state, read_checkpoint, save_checkpoint
from kws.training.classification import classification_objective
from kws.training.distributed import Team, team_of_processes
from kws.training.history import History
from kws.training.objective import Batch, Objective, part_of
from kws.training.optimizer import (
    AveragedWeights,
    build_optimizer,
    learning_rate,
    set_learning_rate,
)
from kws.training.progress import CatchSignals, Progress
from kws.training.recipe import Recipe, Train, changed_keys, parse_recipe, to_toml
from kws.training.times import Times

Figures = dict[str, Tensor]  # what a step measures: "loss", "gradient_norm", perhaps "accuracy"


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
    """Train a classifier on `train`, measure it on `validation`, write the run folder `out`.

    Args:
        recipe: the experiment.
        train: examples to learn from. On CUDA both splits are copied to the device if they fit.
        validation: examples that choose the best weights.
        out: the run folder, made if need be.
        resume: continue the run in `out`; begin it if it has not saved anything yet.
        device: "auto" takes CUDA where there is a GPU.
        init: a run folder or checkpoint whose weights to begin with.
        progress: show a bar, or a line per validation.

    Raises:
        UsageError: `out` contains a run and `resume` is not set, or the run of another recipe; data
            and recipe do not fit; the loss is no longer finite.
        KeyboardInterrupt: Ctrl-C, or with SIGTERM `Terminated`, after the state has been saved.
    """
    with team_of_processes(device) as team, own_generators(team.device):
        saved = saved_state(out, resume, recipe)
        objective = classification_objective(
            recipe, train, validation, team, init=init, saved=saved
        )
        run = begin(objective, out, team=team, resume=resume)
        finish(run, progress=progress)
        return run.history


@dataclass(kw_only=True, eq=False)
class TrainingRun:
    """The state of a training run. `step` is the number of optimizer steps done."""

    objective: Objective
    team: Team
    out: Path
    optimizer: torch.optim.Optimizer
    averaged: AveragedWeights | None
    history: History
    step: int = 0
    figures: dict[str, list[float]] = field(default_factory=dict)  # of steps since the last row
    pending: list[Figures] = field(default_factory=list)  # of the last steps, not yet fetched

    @property
    def settings(self) -> Train:
        return self.objective.recipe.train

    @property
    def total_steps(self) -> int:
        return self.settings.total_steps or self.settings.epochs * self.objective.epoch_steps

    @property
    def evaluated(self) -> nn.Module:
        """The model that is measured and kept: the averaged one if there is one."""
        return self.averaged.model if self.averaged else self.objective.model

    def learning_rate(self, step: int) -> float:
        """Learning rate of optimizer step `step`, the first being 0."""
        return learning_rate(self.settings, step, self.total_steps, self.objective.epoch_steps)

    def is_out_of_patience(self) -> bool:
        """Whether the last `patience` validations have all been no better than the best."""
        return 0 < self.settings.patience <= self.history.rows_since_best

    def divergence_error(self, what: str, step: int) -> UsageError:
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
        model = self.objective.model
        if not torch.stack([p.isfinite().all() for p in model.parameters()]).all():
            raise self.divergence_error("a weight is no longer finite", self.step - 1)
        state = self._model_state(model)
        state["training"] = {
            "optimizer": self.optimizer.state_dict(),
            "averaged": self.averaged.model.state_dict() if self.averaged else None,
            "rows": self.history.rows,
            "figures": self.figures,
            "data": self.objective.data,
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
            recipe=self.objective.recipe,
            labels=self.objective.labels,
            protocol=self.objective.protocol,
            normalizer=self.objective.normalizer,
            step=self.step,
        )

    def load_state(self, state: Mapping[str, Any]) -> None:
        training = state["training"]
        self.objective.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(training["optimizer"])
        if self.averaged:
            self.averaged.model.load_state_dict(training["averaged"])
        self.step, self.figures = state["step"], training["figures"]
        self.history.rows = training["rows"]


def begin(
    objective: Objective, out: str | Path, *, team: Team | None = None, resume: bool = False
) -> TrainingRun:
    """A run that is ready for its next step: the first, or with `resume` the one after last.pt.

    `team` is the processes that share it; without one, this process alone. Raises UsageError: `out`
    contains a run and `resume` is False, or the run of another recipe or of other data; a batch
    cannot be divided between the processes.
    """
    out, recipe = Path(out), objective.recipe
    team = team or Team(device=objective.device)
    model = objective.model.train()
    run = TrainingRun(
        objective=objective,
        team=team,
        out=out,
        optimizer=build_optimizer(model, recipe.train),
        averaged=AveragedWeights(model, recipe.train.ema) if recipe.train.ema else None,
        history=History(path=out, keeps_last=objective.keeps_last),
    )
    parts = team.world * recipe.train.accumulate
    # processes must run the model equally often
    if team.world > 1 and objective.smallest_batch < parts:
        raise UsageError(
            f"{objective.smallest_batch} examples in a step cannot be divided into {parts} parts: "
            "raise train.batch_size, lower train.accumulate or use fewer processes"
        )
    state = saved_state(out, resume, recipe, objective.data)
    team.wait()  # no process writes before all have read
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


def check_free(out: Path, resume: bool) -> None:
    """Refuse to start again, `resume` False, in a folder that contains a run: UsageError."""
    if not resume and (out / "last.pt").exists():
        raise UsageError(
            f"{out}: contains a run already: continue it with --resume (resume=True), or choose "
            "another folder"
        )


def saved_state(
    out: str | Path, resume: bool, recipe: Recipe, data: str | None = None
) -> dict[str, Any] | None:
    """The content of last.pt, or None if there is none; errors as `begin`."""
    out = Path(out)
    check_free(out, resume)
    last = out / "last.pt"
    if not last.exists():
        return None
    state = read_checkpoint(last)
    if "figures" not in state.get("training", {}):
        raise UsageError(
            f"{last}: contains a model, no training state of this version: choose another folder"
        )
    for key, old, new in changed_keys(parse_recipe(state["recipe"], where=str(last)), recipe):
        raise UsageError(
            f"{out}: {key} was {old} when this run began and is {new} now: resume it with its own "
            f"{out / 'recipe.toml'}, or choose another folder"
        )
    if data is not None and state["training"]["data"] != data:
        raise UsageError(
            f"{out}: the training data are not those that this run began with: give the same, or "
            "choose another folder"
        )
    return state


class Learner(nn.Module):
    """An objective as a module: DDP averages the gradients of what its `forward` computes."""

    def __init__(self, objective: Objective):
        super().__init__()
        self.model = objective.model
        compiled = objective.recipe.train.compile
        self.loss = torch.compile(objective.loss) if compiled else objective.loss
        precision = objective.recipe.train.precision
        if precision == "auto" and not objective.auto_bfloat16:
            precision = "float32"
        self.precision, self.device = precision, objective.device

    def forward(self, parts: Callable[[], tuple[Batch, Batch]]) -> Mapping[str, Tensor]:
        """The loss of `parts()`, a part and its whole (DDP would move plain tensors)."""
        with _autocast(self.precision, self.device):
            return self.loss(*parts())


def finish(run: TrainingRun, *, progress: bool = True) -> None:
    """Train to the last step; log, validate and save at their intervals.

    Raises UsageError: the loss is no longer finite. KeyboardInterrupt: Ctrl-C, or with SIGTERM
    `Terminated`, after the state has been saved.
    """
    settings, is_main = run.settings, run.team.is_main
    validate_every = settings.validate_every or run.objective.epoch_steps
    with (
        own_generators(run.team.device),
        closing(Progress(run.total_steps, run.step, progress and is_main)) as bar,
        CatchSignals() as signals,
    ):
        times, paused_at = Times(run.out, run.step), run.step
        times.start()
        for figures in training_steps(run):
            run.pending.append(figures)
            bar.advance()

            last = run.step == run.total_steps
            validate_now = last or run.step % validate_every == 0
            save_now = validate_now or (
                settings.save_every > 0 and run.step % settings.save_every == 0
            )
            fetch_now = save_now or run.step % settings.log_every == 0
            # several processes have to agree on the step, and meet when they fetch
            stop_now = (fetch_now or run.team.world == 1) and run.team.any(bool(signals.caught))
            if fetch_now or stop_now:
                fetch_figures(run)
                bar.show_loss(run.figures["loss"][-1], run.learning_rate(run.step - 1))
            if save_now or stop_now:
                times.stop(run.step - paused_at)
                if validate_now:
                    validate(run)
                    left = (run.total_steps - run.step) / times.steps_per_second
                    rate = times.steps_per_second * run.objective.examples_per_step
                    bar.show_validation(run.history.rows[-1], rate=rate, left=left)
                run.save()
                if validate_now and is_main:
                    times.save(run.step, run.objective.examples_per_step)
                paused_at = run.step
                times.start()
            if stop_now:
                raise signals.error()


def training_steps(run: TrainingRun) -> Iterator[Figures]:
    """Step until the end: the figures of each step, on the device."""
    learner = run.team.wrap_ddp(Learner(run.objective))
    rows = run.objective.rows(run.step)
    while run.step < run.total_steps and not run.is_out_of_patience():
        figures = train_step(run, learner, next(rows))
        run.step += 1
        yield figures


def train_step(run: TrainingRun, learner: nn.Module, rows: Tensor) -> Figures:
    """One optimizer step on examples `rows`. Returns this process's shares of its figures.

    Every process draws the whole batch, augmented, and takes its part of it, so that the number of
    processes changes nothing. `learner` averages gradients over processes.
    """
    settings, team, model = run.settings, run.team, run.objective.model
    whole = run.objective.batch(rows, run.step)
    torch.manual_seed(generator_for(settings.seed, f"dropout {team.rank}", run.step).initial_seed())
    set_learning_rate(run.optimizer, run.learning_rate(run.step))

    totals: Figures = {}
    for i in range(settings.accumulate):
        part = part_of(whole, i * team.world + team.rank, settings.accumulate * team.world)
        if not len(part[0]):  # a batch smaller than the number of its parts
            continue
        with _keep_gradients(learner, team.world > 1 and i < settings.accumulate - 1):
            found = learner(lambda part=part: (part, whole))
            (found["loss"] * team.world).backward()  # because processes average their gradients
        for name, value in found.items():
            totals[name] = totals.get(name, 0) + value.detach()
    norm = nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm or math.inf)
    run.optimizer.step()
    run.optimizer.zero_grad()
    if run.averaged:
        run.averaged.update(model, run.step)
    return {**totals, "gradient_norm": norm / team.world}  # they are summed; each has the norm


def fetch_figures(run: TrainingRun) -> None:
    """Fetch the figures of the last steps in one transfer; UsageError if one is not finite."""
    if not run.pending:
        return
    names, first = list(run.pending[0]), run.step - len(run.pending)
    table = torch.stack([torch.stack([step[name] for name in names]) for step in run.pending])
    run.pending.clear()
    what = {"loss": "the loss", "gradient_norm": "the norm of the gradient"}
    for step, values in enumerate(run.team.sum(table).tolist(), start=first):
        for name, value in zip(names, values, strict=True):
            if name in what and not math.isfinite(value):
                raise run.divergence_error(f"{what[name]} is {value}", step)
            run.figures.setdefault(name, []).append(value)


def validate(run: TrainingRun) -> None:
    """Measure the model, add a row to the history, and keep the weights if they are the best."""
    row = {
        "step": run.step,
        "epoch": round(run.step / run.objective.epoch_steps, 3),
        "lr": run.learning_rate(run.step - 1),
    }
    for name, values in run.figures.items():
        column = name if name == "gradient_norm" else f"train_{name}"
        row[column] = math.fsum(values) / len(values)
    run.figures.clear()
    measured = run.team.same(run.objective.measure(run.evaluated, run.team))
    for name, value in measured.items():
        if name.endswith("_loss") and not math.isfinite(value):
            what = f"the {name.removesuffix('_loss')} loss is {value}"
            raise run.divergence_error(what, run.step - 1)
    run.objective.model.train()
    run.history.rows.append(row | measured)
    if run.history.rows[-1] is run.history.best:
        run.save_best()


def _autocast(precision: str, device: torch.device) -> torch.autocast:
    """bfloat16 where it is wanted. Its range is that of float32: no loss scaling."""
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    wanted = uses_bfloat16(precision, capability)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


def uses_bfloat16(precision: str, capability: tuple[int, int] | None) -> bool:
    """Whether to compute in bfloat16; `capability` is that of a CUDA GPU, None for a CPU.

    GPUs before Ampere (8.0), such as T4 and V100, emulate it, slower than float32.

    >>> [uses_bfloat16("auto", capability) for capability in (None, (7, 5), (8, 0))]
    [False, False, True]
    """
    return precision == "bfloat16" or (precision == "auto" and (capability or (0, 0)) >= (8, 0))


def _keep_gradients(forward: nn.Module, wanted: bool):
    """Add to this process's gradients without averaging them over the processes yet."""
    return forward.no_sync() if wanted else nullcontext()  # pyright: ignore[reportCallIssue]


def own_generators(device: torch.device):
    """Leave the caller's global random generators as they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])

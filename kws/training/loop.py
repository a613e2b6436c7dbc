"""One training loop for every model, from the first step to the last, interrupted or not.

    history = fit(load_recipe("keywords"), train=train, validation=validation, out="runs/first")
    history.best

Everything random in optimizer step s is drawn from (seed, s): which examples it sees, their
augmentation, dropout. The number of steps done is therefore all the state that the generators have,
and a run that was killed continues from its last checkpoint as if nothing had happened: on a CPU to
the last bit.

The device is waited for once in `log_every` steps. Until then losses stay where they are.
"""

import math
from contextlib import closing, nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kws.training.batches import Cached, Split, generator_for, training_batch, training_rows
from kws.training.distributed import Device, team_of_processes
from kws.training.history import History
from kws.training.losses import loss_per_example
from kws.training.optimizer import set_learning_rate
from kws.training.progress import CatchInterrupt, Progress
from kws.training.recipe import Recipe
from kws.training.run import Run, begin


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
        out: the run folder (`kws.training.run`), made if need be.
        resume: continue the run in `out`; begin it if it has not saved anything yet.
        device: "auto" takes CUDA where there is a GPU.
        init: a run folder or checkpoint whose weights to begin with.
        progress: show a bar, or a line per validation.

    Raises:
        UsageError: `out` holds a run and `resume` is not set, or the run of another recipe; data
            and recipe do not fit; the loss is no longer finite.
        KeyboardInterrupt: Ctrl-C, after the state has been saved.
    """
    with team_of_processes(device) as team, _own_generators(team.device):
        run = begin(recipe, train, validation, Path(out), team, resume=resume, init=init)
        forward = team.share(run.model)
        if recipe.train.compile:
            forward.compile()
        _loop(run, forward, show=progress and team.leads)
        return run.history


def _loop(run: Run, forward: nn.Module, *, show: bool) -> None:
    """Step; now and then look at the losses, validate and save; until the end."""
    settings = run.recipe.train
    with (
        closing(Progress(run.total_steps, run.step, show)) as bar,
        CatchInterrupt(ignore=not run.team.leads) as interrupt,
    ):
        while run.step < run.total_steps and not run.out_of_patience():
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
                bar.looked(run.losses[-1], run.learning_rate(run.step - 1))
            if validate_now:
                validate(run)
                bar.validated(run.history.rows[-1])
            if save_now or stop_now:
                run.save()
            if stop_now:
                raise KeyboardInterrupt


def train_step(run: Run, forward: nn.Module) -> Tensor:
    """One optimizer step. Returns this process's share of the loss, and the norm of the gradient.

    Every process draws the whole batch, augmented, and takes its part of it, so that the number of
    processes changes nothing. `forward` is the model, with gradients averaged over processes.
    """
    settings, team, seed = run.recipe.train, run.team, run.recipe.train.seed
    rows = training_rows(run.step, n=len(run.train), batch_size=run.examples_per_step, seed=seed)
    draws = generator_for(seed, "augmentation", run.step)
    batch = training_batch(run.train, run.recipe, run.normalizer, rows, draws)
    torch.manual_seed(generator_for(seed, f"dropout {team.rank}", run.step).initial_seed())
    set_learning_rate(run.optimizer, run.learning_rate(run.step))

    total = torch.zeros((), device=team.device)
    for i in range(settings.accumulate):
        part = batch.part(i * team.world + team.rank, settings.accumulate * team.world)
        if not len(part):  # a batch smaller than the number of its parts
            continue
        with _keep_gradients(forward, team.world > 1 and i < settings.accumulate - 1):
            with _autocast(settings.precision, team.device):
                logits = forward(part.features, part.valid)
            # summed here and divided by the size of the whole: the parts may differ by one example
            losses = loss_per_example(
                logits.float(), part.targets, settings.loss, settings.label_smoothing
            )
            loss = losses.sum() / len(batch)
            (loss * team.world).backward()  # because processes average their gradients
        total += loss.detach()
    norm = nn.utils.clip_grad_norm_(run.model.parameters(), settings.clip_norm or math.inf)
    run.optimizer.step()
    run.optimizer.zero_grad()
    if run.averaged:
        run.averaged.update(run.model, run.step)
    return torch.stack([total, norm])


def fetch_losses(run: Run) -> None:
    """Wait for the losses of the last steps, all at once.

    Raises:
        UsageError: one of them, or a gradient, is not finite.
    """
    if not run.pending:
        return
    first, fetched = run.step - len(run.pending), run.team.sum(torch.stack(run.pending)).tolist()
    run.pending.clear()
    for step, (loss, norm) in enumerate(fetched, start=first):
        if not math.isfinite(loss):
            raise run.diverged(f"the loss is {loss}", step)
        if not math.isfinite(norm):
            raise run.diverged(f"the norm of the gradient is {norm}", step)
        run.losses.append(loss)


def validate(run: Run) -> None:
    """Measure the model, add a row to the history, and keep the weights if they are the best."""
    row = {
        "step": run.step,
        "epoch": round(run.step / run.epoch_steps, 3),
        "lr": run.learning_rate(run.step - 1),
        "train_loss": math.fsum(run.losses) / len(run.losses),
    }
    run.losses.clear()
    for name, batches in run.measures.items():
        loss, correct, n = run.team.sum(
            score(run.evaluated, batches, run.recipe.train.loss)
        ).tolist()
        if not math.isfinite(loss):
            raise run.diverged(f"the {name} loss is {loss}", run.step - 1)
        row |= {f"{name}_loss": loss / n, f"{name}_accuracy": correct / n, f"{name}_n": int(n)}
    run.model.train()
    run.history.rows.append(row)
    # compat: the sample code never cloned its best weights, which went on changing to the last
    if row is run.history.best or run.recipe.data.compat:
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


def _own_generators(device: torch.device):
    """Leave the caller's global random generators as they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])

"""Commands of the `train` group."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kws.cli import INTERRUPTED, app
from kws.cli.shared_options import Device, Partial, Resample, refuse, required
from kws.cli.speaking_models import begin_generator
from kws.cli.speech_to_text import begin_recognizer
from kws.errors import UsageError

if TYPE_CHECKING:
    from kws.training.batches import Split
    from kws.training.history import History
    from kws.training.objective import ObjectiveRun
    from kws.training.recipe import Recipe


@app.command("train")
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (see kws recipes), or a file.")],
    out: Annotated[Path, typer.Option(help="Run folder to make.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data set; what the engine says needs none.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in that folder.")
    ] = False,
    device: Device = "auto",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe: train.lr=1e-3."),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            help="Weights to begin with: a run, a checkpoint, a folder of transformers; of "
            "code-prior the run of its codec."
        ),
    ] = None,
    words: Annotated[
        str | None,
        typer.Option(help="Your own words, ja,nein,stopp, or all: every word folder in the data."),
    ] = None,
    resample: Resample = False,
    partial: Partial = False,
) -> None:
    """Train a model as a recipe says, and write the run folder.

    With torchrun --nproc-per-node=N -m kws.cli train …, N processes share every batch.
    """
    from kws.training import loop, sample_code
    from kws.training.distributed import main_first, team_of_processes
    from kws.training.loop import check_free
    from kws.training.memory import keep_freed_memory
    from kws.training.objective import finish
    from kws.training.recipe import load_recipe
    from kws.training.splits import load_splits

    overrides = list(overrides or ())
    chosen = load_recipe(recipe, overrides)
    labels = chosen.data.task in ("keywords", "speakers")
    if labels:
        data = required(data)
        if words is not None:
            overrides.append(f'data.protocol="{protocol_of(words, data)}"')
            chosen = load_recipe(recipe, overrides)
    check_free(out, resume)
    keep_freed_memory()

    def interrupted() -> typer.Exit:
        again = ["kws", "train", recipe, "--out", str(out)]
        again += ["--data", str(data)] if data else []
        again += ["--init", str(init)] if init else []
        again += [word for override in overrides for word in ("--set", override)]
        again += ["--resample"] * resample + ["--partial"] * partial + ["--resume"]
        saved = f"{out / 'last.pt'} is saved, continue with: {shlex.join(again)}"
        print(f"kws: interrupted: {saved}", file=sys.stderr)
        return typer.Exit(INTERRUPTED)

    if not labels or data is None:
        refuse(recipe, words=words, partial=partial)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UsageError(f"{recipe} is trained by one process: leave torchrun out")
        if chosen.data.task == "transcription":
            refuse(recipe, init=init)
            run = begin_recognizer(chosen, required(data), out, device, resume, resample)
        else:
            begins = None if chosen.data.task == "codes" else init
            refuse(recipe, data=data, init=begins, resample=resample)
            run = begin_generator(chosen, out, device, resume, init)
        try:
            finish(run)
        except KeyboardInterrupt:
            raise interrupted() from None
        conclude_objective(run)
        return
    with team_of_processes(device) as team:
        with main_first(team):
            training, validation = load_splits(chosen, data, resample, partial)
        if team.is_main:
            announce(chosen, training, validation, str(team.device))
        try:
            fit = sample_code.fit if chosen.data.compat else loop.fit
            history = fit(
                chosen,
                train=training,
                validation=validation,
                out=out,
                resume=resume,
                device=device,
                init=init,
            )
        except KeyboardInterrupt:
            raise (interrupted() if team.is_main else typer.Exit(INTERRUPTED)) from None
        if team.is_main:
            conclude(chosen, history, out)


def protocol_of(words: str, data: Path) -> str:
    """The name of the protocol of somebody's own words; "all" is every word folder.

    Raises:
        UsageError: words that `own_protocol` refuses, or that spaces separate.
    """
    from kws.data.own_words import words_in
    from kws.protocols import own_protocol

    if words.strip() == "all":
        return own_protocol(words_in(data)).name
    names = words.split()
    if "," not in words and len(names) > 1 and not (data / words.strip()).is_dir():
        raise UsageError(
            f"--words {words!r}: commas separate words, so that a word may hold a space: name them "
            f"as --words {','.join(names)}"
        )
    return own_protocol(words.split(",")).name


@app.command("recipes")
def recipes() -> None:
    """List the recipes that come with the package, the reported experiments by group."""
    from kws.training.recipe import experiment_groups, load_recipe, recipe_names

    groups = experiment_groups().items()
    names = [*recipe_names(), *(f"{group}/{name}" for group, inside in groups for name in inside)]
    for name in names:
        print(f"{name:{max(map(len, names))}}  {load_recipe(name).description}")


def announce(recipe: "Recipe", training: "Split", validation: "Split", device: str) -> None:
    """Say what is about to be trained, on what."""
    from kws.models.counts import count_parameters
    from kws.training.model import new_model

    parameters = count_parameters(new_model(recipe, len(training.label_names)))
    print(f"{training.describe()}\n{validation.describe()}")
    for note in dict.fromkeys((*getattr(training, "notes", ()), *getattr(validation, "notes", ()))):
        print(f"note: {note}")
    print(f"{recipe.model.name}: {parameters:,} parameters, on {device}", flush=True)


def conclude(recipe: "Recipe", history: "History", out: Path) -> None:
    """Draw the curves and print the best validation accuracy with n and its interval."""
    from kws import plots
    from kws.metrics import Proportion
    from kws.training.checkpoint import read_checkpoint
    from kws.training.losses import LOSS_NAMES

    loss_name = LOSS_NAMES[recipe.train.loss]
    figure = plots.curves(history.rows, best=history.best, loss_name=loss_name)
    plots.save(figure, out / "curves.png")
    best, data = history.best, recipe.data
    conditions = {"protocol": data.protocol}
    views = {"validation": "", "crop": f" on {data.crop_frames}-frame crops"}
    if data.task == "speakers":
        conditions, views["validation"] = {}, " on whole utterances"
    for name, on in views.items():
        if n := best.get(f"{name}_n"):
            found = Proportion(correct=round(best[f"{name}_accuracy"] * n), n=n)
            print(f"best validation accuracy{on}: {found.describe(**conditions)}")
    kept = read_checkpoint(out / "best.pt")["step"]  # with the sample code's flaws the last one
    print(f"{out}: best.pt is of step {kept}, last.pt of step {history.rows[-1]['step']}")


def conclude_objective(run: "ObjectiveRun") -> None:
    """Draw the curves and print what the best weights reached on validation."""
    from kws import plots

    rows, best = run.history.rows, run.history.best
    figure = plots.curves(rows, best=best, loss_name=run.objective.loss_name)
    plots.save(figure, run.out / "curves.png")
    print(f"best validation {run.objective.describe(best)}")
    print(f"{run.out}: best.pt is of step {best['step']}, last.pt of step {rows[-1]['step']}")

"""Commands of the `train` group."""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kws.cli import INTERRUPTED, TERMINATED, app
from kws.cli.shared_options import SHIPPED, Device, Partial, Resample, refuse, require_data
from kws.errors import UsageError

if TYPE_CHECKING:
    from kws.training.classification import Classification
    from kws.training.distributed import Team
    from kws.training.loop import TrainingRun
    from kws.training.objective import Objective
    from kws.training.recipe import Recipe


@app.command("train")
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (see kws recipes), or a file.")],
    out: Annotated[Path, typer.Option(help="Run folder to make.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data set; none for synthetic speech.")
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
    head_only: Annotated[
        bool,
        typer.Option(
            "--head-only",
            help="Train the last layer alone, in seconds; the rest is taken from --init, by "
            "default the model of kws.",
        ),
    ] = False,
    final: Annotated[
        bool, typer.Option("--final", help="Train on validation and test clips, too.")
    ] = False,
    resample: Resample = False,
    partial: Partial = False,
) -> None:
    """Train a model by a recipe, and write the run folder.

    With torchrun --nproc-per-node=N -m kws.cli train …, N processes share every batch.
    """
    from kws.training.checkpoint import load_model
    from kws.training.distributed import team_of_processes
    from kws.training.loop import begin, check_free, finish
    from kws.training.memory import keep_freed_memory
    from kws.training.progress import Terminated
    from kws.training.recipe import load_recipe

    overrides = list(overrides or ())
    chosen = load_recipe(recipe, overrides)
    labels = chosen.data.task in ("keywords", "speakers")
    if labels:
        data = require_data(data)
        if chosen.data.task == "speakers":
            refuse(recipe, words=words, resample=resample, partial=partial)
        if words is not None:
            overrides.insert(0, "data.unknown=all")  # the world is full of them; --set comes later
            overrides.append(f'data.protocol="{protocol_of(words, data)}"')
            chosen = load_recipe(recipe, overrides)
    check_free(out, resume)
    keep_freed_memory()

    def stopped(error: KeyboardInterrupt, device: str) -> typer.Exit:
        again = [*started_by(os.environ), "train", recipe, "--out", str(out), "--device", device]
        again += ["--data", str(data)] if data else []
        again += ["--init", str(init)] if init else []
        again += [word for override in overrides for word in ("--set", override)]
        again += ["--resample"] * resample + ["--partial"] * partial + ["--final"] * final
        again += ["--resume"]
        terminated = isinstance(error, Terminated)
        if os.environ.get("RANK", "0") == "0":
            saved = f"{out / 'last.pt'} is saved, continue with: {shlex.join(again)}"
            print(f"kws: {'terminated' if terminated else 'interrupted'}: {saved}", file=sys.stderr)
        return typer.Exit(TERMINATED if terminated else INTERRUPTED)

    if not labels:
        refuse(recipe, words=words, partial=partial)
    if chosen.data.task != "keywords":
        refuse(recipe, **{"head-only": head_only, "final": final})
    body = init or SHIPPED  # of --head-only
    if head_only:
        refuse("--head-only", resume=resume)
        own = [each for each in overrides if each.startswith("model.")]
        if own:
            raise UsageError(f"--set {own[0]}: --head-only keeps the model of {body}: remove it")
        chosen = replace(chosen, model=load_model(body).recipe.model)
    with team_of_processes(device) as team:
        if labels:
            begins = body if head_only else init
            objective = classifier(
                chosen, require_data(data), out, team, resume, resample, partial, begins, final
            )
            if head_only:
                new_head(objective, body, out, None if final else data, resample, partial)
                return
        elif chosen.data.task == "transcription":
            folder = require_data(data)
            refuse(recipe, init=init)
            objective = recognizer(chosen, folder, team, resample)
        else:
            begins = None if chosen.data.task == "codes" else init
            refuse(recipe, data=data, init=begins, resample=resample)
            objective = generator(chosen, out, team, resume, init)
        run = begin(objective, out, team=team, resume=resume)
        if team.is_main:
            announce(objective)
        try:
            finish(run)
        except KeyboardInterrupt as error:
            raise stopped(error, team.device.type) from None
        if team.is_main:
            conclude(run)


def classifier(
    recipe: "Recipe",
    data: Path,
    out: Path,
    team: "Team",
    resume: bool,
    resample: bool,
    partial: bool,
    init: Path | None,
    final: bool,
) -> "Classification":
    from kws.training.classification import classification_objective
    from kws.training.distributed import main_first
    from kws.training.loop import saved_state
    from kws.training.splits import load_splits

    with main_first(team):
        training, validation = load_splits(recipe, data, resample, partial, final)
    saved = saved_state(out, resume, recipe)
    return classification_objective(
        recipe, training, validation, team, init=init, saved=saved, final=final
    )


def new_head(
    objective: "Classification",
    init: Path,
    out: Path,
    data: Path | None,
    resample: bool,
    partial: bool,
) -> None:
    """Train and save the last layer, and print its accuracy on the test clips of `data`."""
    from kws.audio.normalize import Normalizer
    from kws.files import write_text
    from kws.inference.evaluate import evaluate, load_split
    from kws.training.batches import evaluation_batches
    from kws.training.checkpoint import (
        checkpoint_of,
        load_model,
        model_state,
        read_checkpoint,
        save_checkpoint,
    )
    from kws.training.new_head import train_head
    from kws.training.recipe import to_toml

    announce(replace(objective, keeps_last=False))  # nothing is chosen
    body = read_checkpoint(checkpoint_of(init))
    normalizer = Normalizer(**body["normalizer"]).to(objective.device)
    train_head(objective.model, evaluation_batches(objective.train, objective.recipe, normalizer))
    recipe = replace(objective.recipe, description=f"A new last layer on the body of {init}")
    names = {"labels": objective.labels, "protocol": objective.protocol}
    state = model_state(
        objective.model, recipe=recipe, normalizer=normalizer, step=body["step"], **names
    )
    write_text(out / "recipe.toml", to_toml(recipe))
    save_checkpoint(out / "best.pt", state)
    print(f"{out}: best.pt is {init} with a new last layer, of {len(objective):,} clips")
    if data is not None:
        trained = load_model(out)
        testing = load_split(trained, data, resample=resample, partial=partial)
        print(f"{testing.describe()}\n{evaluate(trained, testing)[0].describe()}")


def recognizer(recipe: "Recipe", data: Path, team: "Team", resample: bool) -> "Objective":
    from kws.data.transcripts import load_transcripts
    from kws.training.distributed import main_first
    from kws.training.recognizer_run import transcription_objective

    options = {"n_mels": recipe.features.n_mels, "resample": resample}
    with main_first(team):
        training, validation = (
            load_transcripts(data, split, **options) for split in ("training", "validation")
        )
    return transcription_objective(recipe, training, validation, team.device)


def generator(
    recipe: "Recipe", out: Path, team: "Team", resume: bool, init: Path | None
) -> "Objective":
    progress = sys.stderr.isatty() and team.is_main
    if recipe.data.task == "speech":
        from kws.training.voice_run import voice_objective

        return voice_objective(recipe, team.device)
    if recipe.data.task == "codec":
        from kws.training.codec_run import codec_objective

        return codec_objective(recipe, team.device, progress=progress)
    from kws.training.prior_run import known_codec, prior_objective

    known = known_codec(init, out, resume=resume)
    return prior_objective(recipe, known, team.device, progress=progress)


def started_by(environment: Mapping[str, str]) -> list[str]:
    """The words that `kws` was started with: those of torchrun where it started several processes.

    >>> " ".join(started_by({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}))
    'torchrun --nproc-per-node=2 -m kws.cli'
    """
    if int(environment.get("WORLD_SIZE", "1")) == 1:
        return ["kws"]
    processes = environment.get("LOCAL_WORLD_SIZE", environment["WORLD_SIZE"])
    return ["torchrun", f"--nproc-per-node={processes}", "-m", "kws.cli"]


def protocol_of(words: str, data: Path) -> str:
    """The protocol of the user's own words; "all" is every word folder. UsageError for none."""
    from kws.data.own_words import words_in
    from kws.data.protocols import own_protocol

    if words.strip() == "all":
        return own_protocol(words_in(data)).name
    names = words.split()
    if "," not in words and len(names) > 1 and not (data / words.strip()).is_dir():
        raise UsageError(
            f"--words {words!r}: commas separate words, so that words may have spaces: name them "
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


def announce(objective: "Objective") -> None:
    from kws.models.counts import count_parameters

    print(*objective.introduce(), sep="\n")
    parameters = count_parameters(objective.model)
    print(f"{objective.recipe.model.name}: {parameters:,} parameters, on {objective.device}")
    sys.stdout.flush()


def conclude(run: "TrainingRun") -> None:
    """Draw the curves and print what the best weights reached on validation."""
    from kws import plots
    from kws.training.checkpoint import read_checkpoint

    rows, best = run.history.rows, run.history.best
    figure = plots.curves(rows, best=best, loss_name=run.objective.loss_name)
    plots.save(figure, run.out / "curves.png")
    print(f"best validation {run.objective.describe(best)}")
    kept = read_checkpoint(run.out / "best.pt")["step"]
    print(f"{run.out}: best.pt is of step {kept}, last.pt of step {rows[-1]['step']}")

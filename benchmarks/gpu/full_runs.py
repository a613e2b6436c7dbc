"""The full-size trainings, each on one GPU: how fast they go, and what they reach.

    python benchmarks/gpu/full_runs.py                     speed on random data of full size
    python benchmarks/gpu/full_runs.py --smoke             the same in small, on a CPU too
    python benchmarks/gpu/full_runs.py RUN --data FOLDER   the whole training, then the test split

Without FOLDER the data are noise of the true size, 105,829 clips or 42.5 million frames of 600
speakers. Measured is how fast a training step goes and the most memory that it takes on the GPU, in
float32, in bfloat16 and compiled (`torch.compile`, whose own minutes are not counted); how long the
whole training takes follows. `--smoke` only shows that every one of them runs.

What a run is expected to reach is from its source (recipes of the group small-footprint say which)
or is our aim; what it reached is printed with n and interval, and kept in its run folder. A whole
training that was interrupted goes on where it was.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # report, beside the folder

import numpy as np
import torch
from report import finish, print_table

from kws.audio.recordings import CLIP_SAMPLES
from kws.data.clips import ClipSplit
from kws.data.frames import FrameSplit
from kws.data.packed import PackedClips, PackedFrames
from kws.data.protocols import get_protocol
from kws.device import DEVICES, Device, choose_device
from kws.errors import UsageError
from kws.inference.evaluate import evaluate, load_split, write_evaluation
from kws.training.batches import Split
from kws.training.checkpoint import load_model
from kws.training.classification import classification_objective
from kws.training.distributed import team_of_processes
from kws.training.loop import begin, fit, training_steps
from kws.training.recipe import Recipe, load_recipe
from kws.training.splits import load_splits

CLIPS, FRAMES, UTTERANCES, SPEAKERS = 105_829, 42_500_000, 64_666, 600
WARM_UP = 3  # steps before the clock starts: kernels are chosen, memory is taken


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One full run."""

    recipe: str
    changes: tuple[str, ...]
    examples: int  # of training, in the official archive or the homework's data
    aim: str


Way = Mapping[str, Any]  # settings of [train]
WAYS: dict[str, Way] = {
    "float32": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, compiled": {"precision": "bfloat16", "compile": True},
}
PLANS = {
    "report": Plan(
        recipe="thirty-words/adamw-20",
        changes=(),
        examples=56_197,
        aim="87.60 in 857 minutes: Speech Commands report",
    ),
    "keywords-best": Plan(
        recipe="keywords-best",
        changes=(),
        examples=36_923,
        aim="not known: our recipe for small data",
    ),
    "v2-12-quick": Plan(
        recipe="twelve-classes/crnn-attention",
        changes=(
            "data.protocol=v2-12",
            "data.unknown=protocol",
            "train.batch_size=256",
            "train.lr=2e-3",
            "train.ema=0.99",
            "augment.time_shift=0.1",
            "augment.noise_volume=0.1",
            "augment.time_masks=1",
            "augment.freq_masks=1",
        ),
        examples=36_923,
        aim="98.0 in minutes: our aim",
    ),
    "v2-12-best": Plan(
        recipe="small-footprint/bc-resnet-8",
        changes=(),
        examples=36_923,
        aim="98.6: our aim; 98.7 published",
    ),
    "kwt-1": Plan(
        recipe="small-footprint/kwt-1",
        changes=(),
        examples=36_923,
        aim="97.7 published",
    ),
    "kwt-3": Plan(
        recipe="small-footprint/kwt-3",
        changes=(),
        examples=36_923,
        aim="98.6 published",
    ),
    "v2-35": Plan(
        recipe="small-footprint/bc-resnet-8",
        changes=("data.protocol=v2-35",),
        examples=84_843,
        aim="97.0 to 97.7 published, of other models",
    ),
    "homework": Plan(
        recipe="speaker-homework/modified",
        changes=(),
        examples=51_000,
        aim="75.99 on crops: speaker homework",
    ),
    "speakers-600": Plan(
        recipe="speakers",
        changes=(
            "model.name=conformer",
            "train.total_steps=70000",
            "train.validate_every=2000",
            "train.lr=1e-3",
        ),
        examples=51_000,
        aim="88.5 on whole utterances: strong baseline",
    ),
}


def main() -> int:
    """Measure speed, or train."""
    options = read_options()
    try:
        if options.data:
            return whole(options.run, options.data, options.out, options.device)
        chosen = [options.run] if options.run else list(PLANS)
        if options.smoke:
            smoke(chosen, options.device)
        else:
            speeds(chosen, options.device, options.scale, options.steps)
    except UsageError as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        return 2
    return 0


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Trainings of full size on one GPU.")
    parser.add_argument("run", nargs="?", choices=PLANS, help="[all, without --data]")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="real data: train on them")
    parser.add_argument("--smoke", action="store_true", help="does every one run? seconds each")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="for run folders")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the true size [1]")
    parser.add_argument("--steps", type=int, default=50, help="optimizer steps on the clock [50]")
    options = parser.parse_args()
    if options.data and not options.run:
        parser.error("--data needs the name of a run")
    if not 0 < options.scale <= 1 or options.steps < 1:
        parser.error("--scale is above 0 and at most 1, --steps at least 1")
    return options


def recipe_of(name: str) -> Recipe:
    """The recipe of a plan, with its changes."""
    return load_recipe(PLANS[name].recipe, PLANS[name].changes)


def speeds(
    names: list[str], device: Device, scale: float, steps: int, ways: Mapping[str, Way] = WAYS
) -> None:
    """Examples a second on noise, memory, and how long the whole training would take."""
    rows, numbers = [], {}
    for name in names:
        recipe, plan = recipe_of(name), PLANS[name]
        with tempfile.TemporaryDirectory() as folder:
            data = noise(recipe, scale, Path(folder))
            for way, settings in ways.items():
                settings = replace(recipe.train, **settings)
                found = speed(replace(recipe, train=settings), data, device, steps)
                batch = settings.batch_size
                total = settings.total_steps or settings.epochs * -(-plan.examples // batch)
                minutes = total * found.step_seconds / 60
                rate = batch / found.step_seconds
                gigabytes = None if found.memory is None else found.memory / 1e9
                model = recipe.model.name
                rows.append([name, model, way, batch, rate, gigabytes, total, minutes, plan.aim])
                key = f"{name}, {way}"
                numbers[key] = {"examples_per_second": rate, "minutes": minutes, "gb": gigabytes}
                print(f"{key}: {rate:,.0f} examples/s", file=sys.stderr, flush=True)
    print(f"random data, {scale:g} of the true size; {steps} steps after {WARM_UP} to warm up")
    headings = ("run", "model", "how", "batch", "examples/s", "GB", "steps", "projected min")
    print_table([*headings, "expected (not measured here), %"], rows)
    finish({"runs": numbers, "scale": scale, "steps": steps})


def smoke(names: list[str], device: Device) -> None:
    """A step of each on a thousandth of the data, two examples at a time; nothing is compiled."""
    uncompiled = {way: settings for way, settings in WAYS.items() if not settings.get("compile")}
    small = {way: {**settings, "batch_size": 2} for way, settings in uncompiled.items()}
    speeds(names, device, 0.001, 1, small)


@dataclass(frozen=True)
class Speed:
    """Wall-clock seconds of an optimizer step, and the most bytes on the GPU; None without one."""

    step_seconds: float
    memory: int | None


def speed(recipe: Recipe, data: Split, device: Device, steps: int) -> Speed:
    """Optimizer steps, data and augmentation included. A GPU holds the data, too."""
    recipe = replace(recipe, train=replace(recipe.train, total_steps=WARM_UP + steps))
    with team_of_processes(device) as team, tempfile.TemporaryDirectory() as folder:
        on_gpu = team.device.type == "cuda"
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(team.device)
        run = begin(classification_objective(recipe, data, data, team), folder, team=team)
        taken, marks = training_steps(run), []
        for count in (WARM_UP, steps):
            for _ in range(count):
                next(taken)
            wait_for_device(team.device)
            marks.append(perf_counter())
        memory = torch.cuda.max_memory_allocated(team.device) if on_gpu else None
        return Speed((marks[1] - marks[0]) / steps, memory)


def wait_for_device(device: torch.device) -> None:
    """Wait until the GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def noise(recipe: Recipe, scale: float, folder: Path) -> Split:
    """Data of no meaning, as large as the real ones, packed in a file of `folder`."""
    if recipe.data.task == "speakers":
        return noise_frames(scale, folder / "frames")
    return noise_clips(recipe, scale, folder / "clips")


def noise_clips(recipe: Recipe, scale: float, path: Path) -> ClipSplit:
    """As many clips as Speech Commands has: 3.4 GB of noise."""
    protocol, n = get_protocol(recipe.data.protocol), max(1, round(CLIPS * scale))
    generator = torch.Generator().manual_seed(0)
    audio = np.memmap(path, np.int16, "w+", shape=(n, CLIP_SAMPLES))
    torch.from_numpy(audio).random_(-3000, 3000, generator=generator)
    names = [f"{i}.wav" for i in range(n)]
    return ClipSplit(
        clips=PackedClips(audio=audio, names=names, lengths=np.full(n, CLIP_SAMPLES), path=path),
        rows=torch.arange(n),
        labels=torch.randint(len(protocol.labels), (n,), generator=generator),
        names=names,
        label_names=protocol.labels,
        noise=0.1 * torch.randn(60 * CLIP_SAMPLES, generator=generator),
        silence_start=torch.full((n,), -1),
        silence_gain=torch.ones(n),
        protocol=protocol.name,
        split="training",
        silence="none",
    )


def noise_frames(scale: float, path: Path) -> FrameSplit:
    """As many utterances and frames as the homework has, 40 bands: 3.4 GB of noise."""
    n, total = max(SPEAKERS, round(UTTERANCES * scale)), round(FRAMES * scale)
    generator = torch.Generator().manual_seed(0)
    lengths = torch.full((n,), max(128, total // n))  # crops are drawn: lengths cost nothing
    frames = np.memmap(path, np.float16, "w+", shape=(int(lengths.sum()) + 1, 40))
    torch.from_numpy(frames).normal_(generator=generator)
    names = [f"uttr-{i}.pt" for i in range(n)]
    ends = lengths.cumsum(0)
    offsets = np.concatenate([[0], ends.numpy()])
    packed = PackedFrames(frames=frames, offsets=offsets, names=names, path=path)
    return FrameSplit(
        packed=packed,
        begins=ends - lengths,
        lengths=lengths,
        labels=torch.arange(n) % SPEAKERS,
        names=names,
        label_names=tuple(f"id{i:05d}" for i in range(SPEAKERS)),
        split="training",
    )


def whole(name: str, data: Path, out: Path, device: Device) -> int:
    """Train on real data, measure on the test split, print what it reached."""
    recipe, folder, start = recipe_of(name), out / name, perf_counter()
    train, validation = load_splits(recipe, data)
    fit(recipe, train=train, validation=validation, out=folder, resume=True, device=device)
    minutes = (perf_counter() - start) / 60
    trained = load_model(folder)
    split = validation if recipe.data.task == "speakers" else load_split(trained, data, "testing")
    results = evaluate(trained, split, choose_device(device))
    write_evaluation(folder, trained, data, results)
    for result in results:
        print(result.describe())
    print(f"{minutes:.1f} minutes since the start of this command; expected: {PLANS[name].aim}")
    finish(
        {f"{result.view}_accuracy": result.accuracy.as_dict()["accuracy"] for result in results}
        | {"n": results[0].accuracy.n, "minutes": minutes}
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

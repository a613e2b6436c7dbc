"""What small trainings reach on official test clips, beside published figures: a table.

    python benchmarks/official.py RECORDINGS             train what is missing, then the table
    python benchmarks/official.py RECORDINGS --seeds 1 --models kwt-1 ds-cnn
    python benchmarks/official.py RECORDINGS --table     the table of what is there

Every model of the group of recipes "official" learns from RECORDINGS/speech_commands_people, whose
validation speakers choose the weights, and is tested on all clips of speech_commands_excerpt, which
are clips of the official test of Speech Commands v0.02 by speakers who are not in the former.
Background noise is that of the excerpt. Runs are in OUT, one folder a model and seed: one that was
interrupted goes on where it was, and a measured one is not repeated. Several processes may share
OUT if they have different seeds or models. All models of a seed come before the next seed.

The interval is Wilson's for the mean over seeds of n clips; s.d. is that of the seeds. Published
figures are of trainings on the whole archive (n = 4,890), by others.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from report import finish, print_table
from shipped import whole
from shipped_training import gather

from kws.device import DEVICES
from kws.errors import UsageError
from kws.inference.evaluate import evaluate, load_split, write_evaluation
from kws.metrics import wilson_interval
from kws.models.counts import count_parameters
from kws.training.checkpoint import load_model
from kws.training.loop import fit
from kws.training.recipe import load_recipe
from kws.training.splits import load_splits

# the quickest first, and the recipe that quotes a published figure
MODELS = {
    "ds-cnn": None,
    "crnn-attention": None,
    "crnn": None,
    "transformer": None,
    "conformer": None,
    "bc-resnet-1": "small-footprint/bc-resnet-1",
    "kwt-1": "small-footprint/kwt-1",
    "bc-resnet-8": "small-footprint/bc-resnet-8",
}
RESULT = "evaluation-testing.json"


def measure(name: str, seed: int, options: argparse.Namespace) -> None:
    """Train a model with a seed and test it, unless that is done."""
    run = options.out / f"{name}-{seed}"
    if (run / RESULT).exists():
        return
    recipe = load_recipe(f"official/{name}", [f"train.seed={seed}", *options.set])
    training, validation = load_splits(recipe, options.out / "people")
    fit(recipe, train=training, validation=validation, out=run, resume=True, device=options.device)
    trained, test = load_model(run), options.out / "excerpt"
    results = evaluate(trained, load_split(trained, test))
    (run / "parameters").write_text(f"{count_parameters(trained.model)}\n")
    write_evaluation(run, trained, test, results)
    print(f"{name}, seed {seed}: {results[0].accuracy}", file=sys.stderr, flush=True)


def row(name: str, seeds: Sequence[int], out: Path) -> tuple[list[Any], dict[str, Any]] | None:
    """The line of a model, and the same as numbers; None before its first seed is measured."""
    runs = [out / f"{name}-{seed}" for seed in seeds]
    runs = [run for run in runs if (run / RESULT).exists()]
    if not runs:
        return None
    found = [json.loads((run / RESULT).read_text())["clips"] for run in runs]
    accuracies, n = [each["accuracy"] for each in found], found[0]["n"]
    mean, spread = fmean(accuracies), stdev(accuracies) if len(runs) > 1 else None
    low, high = wilson_interval(mean * n, n)
    parameters = int((runs[0] / "parameters").read_text())
    passes = load_recipe(f"official/{name}").train.epochs
    recipe = MODELS[name]
    published = load_recipe(recipe).reported.accuracy if recipe else None
    line = [name, parameters, passes, len(runs), 100 * mean, spread and 100 * spread, n]
    interval = f"{100 * low:.1f}–{100 * high:.1f}"
    numbers = {"accuracies": accuracies, "n": n, "low": low, "high": high}
    return [*line, interval, published], numbers


def main() -> int:
    """Train, test, print the table and last the JSON."""
    parser = argparse.ArgumentParser(description="Official test clips, small trainings.")
    parser.add_argument("recordings", type=Path, metavar="RECORDINGS")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--out", type=Path, default=Path("runs/official"), help="for run folders")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        if not options.table:
            gather(options.recordings, options.out / "people")
            whole(options.recordings / "speech_commands_excerpt", options.out / "excerpt")
            for seed in options.seeds:
                for name in options.models:
                    measure(name, seed, options)
    except UsageError as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        return 2
    rows = {name: row(name, options.seeds, options.out) for name in options.models}
    done = {name: line for name, line in rows.items() if line}
    headings = ["model", "parameters", "passes", "seeds", "mean %", "s.d.", "n", "95 %"]
    print_table([*headings, "published %"], [line for line, _ in done.values()])
    finish({name: numbers for name, (_, numbers) in done.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What small trainings reach on official test clips, beside published figures: a table.

    python benchmarks/official.py RECORDINGS             train what is missing, then the table
    python benchmarks/official.py RECORDINGS --seeds 1 --models kwt-1 ds-cnn
    python benchmarks/official.py RECORDINGS --table     the table of what is there
    python benchmarks/official.py RECORDINGS --table --together     and several models as one

Every model of the group of recipes "official" learns from RECORDINGS/speech_commands_people, whose
validation speakers choose the weights, and is tested on all clips of speech_commands_excerpt, which
are clips of the official test of Speech Commands v0.02 by speakers who are not in the former.
Background noise is that of the excerpt. Runs are in OUT, one folder a model and seed: one that was
interrupted goes on where it was, and a measured one is not repeated. Several processes may share
OUT if they have different seeds or models. All models of a seed come before the next seed.

With `--together`, the mean of the probabilities of all seeds of a model is measured as well, and
that of all models and seeds.

The interval is Wilson's for the mean over seeds of n clips; s.d. is that of the seeds. Published
figures are of trainings on the whole archive (n = 4,890), by others.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from report import finish, print_table
from shipped import whole
from shipped_training import gather
from torch import Tensor

from kws.device import DEVICES
from kws.errors import UsageError
from kws.inference.evaluate import evaluate, load_split, write_evaluation
from kws.metrics import Proportion, wilson_interval
from kws.models.counts import count_parameters
from kws.training.batches import evaluation_batches
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


def measured(name: str, seeds: Sequence[int], out: Path) -> list[Path]:
    """The folders of a model's finished runs."""
    runs = [out / f"{name}-{seed}" for seed in seeds]
    return [run for run in runs if (run / RESULT).exists()]


def row(name: str, seeds: Sequence[int], out: Path) -> tuple[list[Any], dict[str, Any]] | None:
    """The line of a model, and the same as numbers; None before its first seed is measured."""
    runs = measured(name, seeds, out)
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


@torch.inference_mode()
def give_probabilities(run: Path, data: Path) -> tuple[Tensor, Tensor]:
    """The probabilities of a run's model for all test clips, (n, C), and the labels, (n,)."""
    trained = load_model(run)
    test = load_split(trained, data)
    probabilities, labels = [], []
    for batch in evaluation_batches(test, trained.recipe, trained.normalizer):
        probabilities.append(trained.logits(batch.features, batch.valid).softmax(dim=-1))
        labels.append(batch.labels)
    return torch.cat(probabilities), torch.cat(labels)


def measure_together(runs: Mapping[str, Sequence[Path]], data: Path) -> dict[str, Proportion]:
    """What the mean of the probabilities reaches: of each model's runs, and of all of them."""
    found = {name: [give_probabilities(run, data) for run in there] for name, there in runs.items()}
    groups = {name: pairs for name, pairs in found.items() if len(pairs) > 1}
    groups["all"] = [pair for pairs in found.values() for pair in pairs]
    reached = {}
    for name, pairs in groups.items():
        mean = torch.stack([probabilities for probabilities, _ in pairs]).mean(dim=0)
        labels = pairs[0][1]
        right = mean.argmax(dim=-1) == labels
        reached[name] = Proportion(correct=int(right.sum()), n=len(labels))
    return reached


def main() -> int:
    """Train, test, print the table and last the JSON."""
    parser = argparse.ArgumentParser(description="Official test clips, small trainings.")
    parser.add_argument("recordings", type=Path, metavar="RECORDINGS")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--together", action="store_true", help="several models as one, too")
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
    numbers: dict[str, Any] = {name: each for name, (_, each) in done.items()}
    if options.together and done:
        runs = {name: measured(name, options.seeds, options.out) for name in done}
        together = measure_together(runs, options.out / "excerpt")
        for name, each in together.items():
            print(f"mean of probabilities, {name}: {each}")
        numbers["together"] = {name: each.as_dict() for name, each in together.items()}
    finish(numbers)
    return 0


if __name__ == "__main__":
    sys.exit(main())

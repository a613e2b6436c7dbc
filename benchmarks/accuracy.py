"""What the recipes reach, trained from scratch with the documented command, and what that costs.

    python benchmarks/accuracy.py --embedded            on the embedded corpora
    python benchmarks/accuracy.py --excerpt FOLDER      on recordings of people, in 12 classes
    python benchmarks/accuracy.py                       on both, if there are recordings

Each row is one `kws train` and what `kws evaluate` then finds on the test split. CPU seconds are
those of the training command, start-up and packing included. FOLDER is in Speech Commands' layout;
without an option it is $KWS_REAL_DATA/speech_commands_excerpt where there is one. Recipes were
chosen on validation splits; the row "after the embedded corpus" first learns its 35 words, and its
CPU seconds count both trainings.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report import cpu_seconds, finish, print_table

from kws.data.embedded.corpus import make_corpus
from kws.data.embedded.speaker_corpus import make_speaker_corpus
from kws.inference.evaluate import evaluate, load_split
from kws.models.counts import count_parameters
from kws.training.checkpoint import load_model

EMBEDDED = "data.protocol=embedded-12"
PRETRAIN = ("data.protocol=embedded-35", "train.epochs=7")
FINE_TUNE = ("train.epochs=45", "train.lr=1e-3", "data.other_words=together")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row of the table."""

    name: str
    data: str
    n: int
    accuracy: float
    low: float
    high: float
    validation: float
    cpu: float
    parameters: int

    def row(self) -> list[Any]:
        """The cells, accuracies in percent."""
        interval = f"{100 * self.low:.1f}–{100 * self.high:.1f}"
        return [
            self.name,
            self.data,
            self.n,
            100 * self.accuracy,
            interval,
            100 * self.validation,
            self.cpu,
            self.parameters,
        ]


def train(recipe: str, data: Path, out: Path, seed: int, *settings: str, init: Path | None = None):
    """Run `kws train` in a process of its own; the CPU seconds it took."""
    before = cpu_seconds()
    command = [sys.executable, "-m", "kws.cli", "train", recipe, f"--data={data}", f"--out={out}"]
    command += [f"--set={setting}" for setting in (f"train.seed={seed}", *settings)]
    command += [f"--init={init}"] if init else []
    subprocess.run(command, check=True, stdout=sys.stderr)
    return cpu_seconds() - before


def measure(name: str, run: Path, data: Path, cpu: float) -> Result:
    """The test accuracy of a run; of speakers, on full utterances."""
    trained = load_model(run)
    found = evaluate(trained, load_split(trained, data))[0]
    again = evaluate(trained, load_split(trained, data, "validation"))[0]
    return Result(
        name=name,
        data=f"{data.name}, {trained.protocol}",
        n=found.accuracy.n,
        accuracy=found.accuracy.value,
        low=found.accuracy.low,
        high=found.accuracy.high,
        validation=again.accuracy.value,
        cpu=cpu,
        parameters=count_parameters(trained.model),
    )


def embedded(work: Path, seed: int) -> list[Result]:
    """The keyword and the speaker recipe on corpora made on the spot."""
    words = make_corpus(work / "embedded corpus", size="mini")
    speakers = make_speaker_corpus(work / "100 embedded voices", speakers=100)
    results = []
    rows = (("keywords", words, [EMBEDDED]), ("speakers", speakers, []))
    for recipe, data, settings in rows:
        cpu = train(recipe, data, work / recipe, seed, *settings)
        results.append(measure(recipe, work / recipe, data, cpu))
    return results


def people(folder: Path, work: Path, seed: int) -> list[Result]:
    """The best recipe on recordings of people, its two relatives, and the effect of pretraining."""
    results = []
    for recipe in ("keywords-best", "keywords-transformer", "keywords-conformer"):
        cpu = train(recipe, folder, work / recipe, seed)
        results.append(measure(recipe, work / recipe, folder, cpu))
    words = make_corpus(work / "embedded corpus", size="mini")
    cpu = train("keywords-best", words, work / "before", seed, *PRETRAIN)
    after = work / "after"
    cpu += train("keywords-best", folder, after, seed, *FINE_TUNE, init=work / "before")
    name = "keywords-best, after the embedded corpus"
    results.append(measure(name, after, folder, cpu))
    return results


def main() -> None:
    """Measure, print the table, and last the JSON."""
    parser = argparse.ArgumentParser(description="Accuracies of the recipes.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--embedded", action="store_true", help="the embedded corpora alone")
    which.add_argument("--excerpt", type=Path, help="recordings of people, in 12 classes, alone")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    excerpt = options.excerpt
    real = os.environ.get("KWS_REAL_DATA")
    if excerpt is None and not options.embedded and real:
        excerpt = Path(real).resolve() / "speech_commands_excerpt"

    with tempfile.TemporaryDirectory() as folder:
        os.environ["KWS_CACHE"] = f"{folder}/cache"
        results = [] if options.excerpt else embedded(Path(folder), options.seed)
        results += people(excerpt, Path(folder), options.seed) if excerpt else []
    headers = ["recipe", "data", "n", "test %", "95 %", "validation %", "CPU s", "parameters"]
    print_table(headers, [result.row() for result in results])
    print(f"seed {options.seed}")
    finish(
        {
            result.name: {
                "accuracy": result.accuracy,
                "n": result.n,
                "low": result.low,
                "high": result.high,
                "cpu_seconds": result.cpu,
            }
            for result in results
        }
    )


if __name__ == "__main__":
    main()

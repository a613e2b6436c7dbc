"""Greedy search against beams, alone and joint with CTC, for recognizers of several seeds.

    python benchmarks/searches.py [--steps 800] [--seeds 1] [--keep FOLDER]

Each seed is a training with the recipe `speech-to-text`, two to three CPU minutes, whose texts of
the testing voices, which are in no training, are searched in three ways. Errors are summed over the
seeds, each of which has the same texts; the word error rate is a mean over seeds, ± their s.d. With
`--keep`, seeds that are done are found again after an interruption.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from recognizers import LONGEST, course_strings, kept, learn
from report import finish, mean_and_deviation, print_table

from kws.decoding.transcribe import transcribe
from kws.text.alphabet import Alphabet
from kws.text.word_errors import word_errors
from kws.training.recipe import load_recipe
from kws.training.recognizer_run import transcription_objective

SEARCHES = {"greedy": (1, 0.0), "beam of 5": (5, 0.0), "beam of 5, joint with CTC": (5, 0.3)}
COUNTS = ("substitutions", "deletions", "insertions", "words")


def main() -> None:
    """Train, search, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where to keep the counts of each seed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    training, validation, testing = course_strings()
    alphabet = Alphabet.of(training.texts)

    def counted(seed: int) -> dict[str, list[int]]:
        overrides = [f"train.total_steps={options.steps}", f"train.seed={seed}"]
        recipe = load_recipe("speech-to-text", overrides)
        model = learn(transcription_objective(recipe, training, validation, torch.device("cpu")))
        found = {}
        for name, (width, weight) in SEARCHES.items():
            texts = transcribe(
                model, testing.mels, alphabet,
                width=width, ctc_weight=weight, longest=LONGEST,
            )  # fmt: skip
            errors = word_errors(testing.texts, texts)
            found[name] = [getattr(errors, kind) for kind in COUNTS]
        return found

    seeds = [
        kept(options.keep, f"searches-{options.steps}-seed{seed}.json", partial(counted, seed))
        for seed in range(options.seeds)
    ]
    sums = {}
    for name in SEARCHES:
        counts = [each[name] for each in seeds]  # a row a seed
        sums[name] = [sum(column) for column in zip(*counts, strict=True)]

    def rate(name: str) -> str:
        rates = [100 * sum(each[name][:3]) / each[name][3] for each in seeds]
        return f"{mean_and_deviation(rates)} %"

    print(f"{testing.describe()}; {options.seeds} seeds")
    print_table(
        ["search", "WER", "S", "D", "I", "words"],
        [[name, rate(name), *row] for name, row in sums.items()],
    )
    finish({"steps": options.steps, "seeds": seeds, "sums": sums})


if __name__ == "__main__":
    main()

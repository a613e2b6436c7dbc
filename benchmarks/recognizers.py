"""Transformer against RNN on the same strings of digits: equal steps, equal time, equal parameters.

    python benchmarks/recognizers.py [--steps 800] [--seed 0] [--keep FOLDER]

Three trainings with the recipe `speech-to-text`, about ten CPU minutes; with `--keep` those that
are done are found again after an interruption. Both models hear through
the same convolutions, have CTC on their memory and spell by attention; between them lie a
Transformer's layers, or a bidirectional GRU and a GRU that writes, with as many parameters. The
second GRU gets the CPU seconds that the Transformer took instead of its steps. Measured on the
testing voices, which no training heard; the interval draws utterances again (bootstrap).
"""

import argparse
import json
import time
from pathlib import Path

import torch
from report import finish, print_table
from tqdm import tqdm

from kws.alphabet import Alphabet
from kws.data.embedded.strings import make_strings
from kws.data.transcripts import load_transcripts
from kws.decoding.transcribe import best_paths, transcribe
from kws.files import cache_dir, write_text
from kws.models.counts import count_parameters
from kws.training.optimizer import build_optimizer
from kws.training.recipe import load_recipe
from kws.training.recognizer_steps import new_recognizer, spelled, training_steps
from kws.word_errors import WordErrors, word_errors

LONGEST = 40  # symbols of a text


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where to keep what each training reached")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = make_strings(cache_dir() / "course-strings")
    training, testing = (load_transcripts(folder, split) for split in ("training", "testing"))
    alphabet = Alphabet.of(training.texts)
    data = spelled(training, alphabet)

    def measured(name: str, steps: int) -> dict:
        if not options.keep:
            return trained(name, steps)
        kept = options.keep / f"{name}-{steps}-seed{options.seed}.json"
        if not kept.exists():
            write_text(kept, json.dumps(trained(name, steps)))
        return json.loads(kept.read_text())

    def trained(name: str, steps: int) -> dict:
        overrides = [f"train.total_steps={steps}", f"train.seed={options.seed}"]
        overrides.append(f"model.name={name}")
        recipe = load_recipe("speech-to-text", overrides)
        torch.manual_seed(options.seed)
        model = new_recognizer(recipe, len(alphabet))
        start = time.process_time()
        optimizer = build_optimizer(model, recipe.train)
        for _ in tqdm(training_steps(model, data, recipe, optimizer), total=steps, desc=name):
            pass
        seconds = time.process_time() - start
        spelled_by = transcribe(model, testing.mels, alphabet, longest=LONGEST)
        model.eval()
        paths = [alphabet.decode(best_paths(model, [mel])[0]) for mel in testing.mels]
        return {
            "model": name,
            "parameters": count_parameters(model),
            "steps": steps,
            "cpu_seconds": seconds,
            "decoder": figures(word_errors(testing.texts, spelled_by)),
            "ctc": figures(word_errors(testing.texts, paths)),
        }

    ours = measured("speech-transformer", options.steps)
    theirs = measured("speech-gru", options.steps)
    steps = round(options.steps * ours["cpu_seconds"] / theirs["cpu_seconds"])
    rows = [ours, theirs, measured("speech-gru", steps)]
    for row, held in zip(rows, ("", "steps, parameters", "time, parameters"), strict=True):
        row["equal"] = held
    print(testing.describe())
    print_table(
        ["model", "equal", "parameters", "steps", "CPU s", "WER of the decoder", "WER of CTC"],
        [
            [
                *(row[key] for key in ("model", "equal", "parameters", "steps")),
                round(row["cpu_seconds"]),
                *(told(row[key]) for key in ("decoder", "ctc")),
            ]
            for row in rows
        ],
    )
    finish({"seed": options.seed, "rows": rows})


def figures(errors: WordErrors) -> dict[str, float]:
    """The rate, its interval, and of how many words and utterances."""
    names = ("rate", "low", "high", "words", "utterances")
    return {name: getattr(errors, name) for name in names}


def told(errors: dict[str, float]) -> str:
    """A rate with its interval, in percent."""
    rate, low, high = (100 * errors[name] for name in ("rate", "low", "high"))
    return f"{rate:.1f} % ({low:.1f}–{high:.1f})"


if __name__ == "__main__":
    main()

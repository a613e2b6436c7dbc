"""Transformer against RNN on the same strings of digits: equal steps, equal time, equal parameters.

    python benchmarks/recognizers.py [--steps 800] [--seed 0] [--keep FOLDER]

Three trainings with the recipe `speech-to-text`, about ten CPU minutes; with `--keep` those that
are done are found again after an interruption. First both models take steps by turns: the median
of a step's CPU time is their pace, so that whatever else the machine does falls on both alike. CPU
seconds of the table are steps times pace; the second GRU gets as many as the Transformer took.
Both models begin with the same convolutions, have CTC on their memory and write by attention;
between them lie a Transformer's layers, or a bidirectional GRU and a GRU that writes, with as many
parameters. Measured on the testing voices, which are in no training; the interval draws utterances
again (bootstrap).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from report import finish, print_table
from tqdm import tqdm

from kws.data.embedded.strings import make_strings
from kws.data.protocols import SPLITS
from kws.data.transcripts import TranscribedSplit, load_transcripts
from kws.decoding.transcribe import best_paths, transcribe
from kws.files import cache_dir, write_text
from kws.models.counts import count_parameters
from kws.models.speech_gru import AnyRecognizer
from kws.text.alphabet import Alphabet
from kws.text.word_errors import WordErrors, word_errors
from kws.training.loop import begin, training_steps
from kws.training.recipe import load_recipe
from kws.training.recognizer_run import TranscriptionObjective, transcription_objective

LONGEST = 40  # symbols of a text
TURNS = 40  # steps by which a pace is measured
OURS, THEIRS = "speech-transformer", "speech-gru"


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where to keep what each training reached")
    options = parser.parse_args()
    torch.set_num_threads(1)
    training, validation, testing = course_strings()
    alphabet = Alphabet.of(training.texts)

    def objective(name: str, steps: int) -> TranscriptionObjective:
        overrides = [f"train.total_steps={steps}", f"train.seed={options.seed}"]
        overrides.append(f"model.name={name}")
        recipe = load_recipe("speech-to-text", overrides)
        return transcription_objective(recipe, training, validation, torch.device("cpu"))

    def measured(name: str, steps: int) -> dict:
        file = f"{name}-{steps}-seed{options.seed}.json"
        return kept(options.keep, file, lambda: trained(name, steps))

    def trained(name: str, steps: int) -> dict:
        model = learn(objective(name, steps))
        spelled_by = transcribe(model, testing.mels, alphabet, longest=LONGEST)
        model.eval()
        paths = [alphabet.decode(best_paths(model, [mel])[0]) for mel in testing.mels]
        return {
            "model": name,
            "parameters": count_parameters(model),
            "steps": steps,
            "decoder": figures(word_errors(testing.texts, spelled_by)),
            "ctc": figures(word_errors(testing.texts, paths)),
        }

    pace = paces([objective(name, options.steps) for name in (OURS, THEIRS)])
    steps = round(options.steps * pace[OURS] / pace[THEIRS])
    runs = ((OURS, options.steps), (THEIRS, options.steps), (THEIRS, steps))
    rows = [measured(name, count) for name, count in runs]
    for row, held in zip(rows, ("", "steps, parameters", "time, parameters"), strict=True):
        row |= {"equal": held, "cpu_seconds": row["steps"] * pace[row["model"]]}
    print(testing.describe())
    print_table(
        ["model", "equal", "parameters", "steps", "CPU s", "WER of the decoder", "WER of CTC"],
        [
            [
                *(row[key] for key in ("model", "equal", "parameters", "steps")),
                round(row["cpu_seconds"]),
                *(format_errors(row[key]) for key in ("decoder", "ctc")),
            ]
            for row in rows
        ],
    )
    finish({"seed": options.seed, "pace": pace, "rows": rows})


def course_strings() -> list[TranscribedSplit]:
    """The strings of digits of assignment 7: for training, validation and testing."""
    folder = make_strings(cache_dir() / "course-strings")
    return [load_transcripts(folder, split) for split in SPLITS]


def learn(objective: TranscriptionObjective) -> AnyRecognizer:
    """The model after all steps of its recipe."""
    settings, name = objective.recipe.train, objective.recipe.model.name
    with TemporaryDirectory() as folder:
        steps = training_steps(begin(objective, folder))
        for _ in tqdm(steps, total=settings.total_steps, desc=name):
            pass
    return objective.model


def kept(folder: Path | None, name: str, make: Callable[[], dict]) -> dict:
    """What `make` returns, from a JSON file where `folder` has it; written there otherwise."""
    if folder is None:
        return make()
    path = folder / name
    if not path.exists():
        write_text(path, json.dumps(make()))
    return json.loads(path.read_text())


def paces(learned: list[TranscriptionObjective]) -> dict[str, float]:
    """CPU seconds of a step of each model: the median of steps that they take by turns."""
    names = [each.recipe.model.name for each in learned]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with TemporaryDirectory() as folder:
        steps = [
            training_steps(begin(each, Path(folder, name)))
            for name, each in zip(names, learned, strict=True)
        ]
        for _ in range(TURNS):
            for name, taken in zip(names, steps, strict=True):
                start = time.process_time()
                next(taken)
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(each) for name, each in seconds.items()}


def figures(errors: WordErrors) -> dict[str, float]:
    """The rate, its interval, and of how many words and utterances."""
    names = ("rate", "low", "high", "words", "utterances")
    return {name: getattr(errors, name) for name in names}


def format_errors(errors: dict[str, float]) -> str:
    """A rate with its interval, in percent."""
    rate, low, high = (100 * errors[name] for name in ("rate", "low", "high"))
    return f"{rate:.1f} % ({low:.1f}–{high:.1f})"


if __name__ == "__main__":
    main()

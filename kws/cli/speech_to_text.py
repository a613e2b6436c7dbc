"""Commands of speech to text: transcribe; and what train and evaluate do for a recognizer."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kws.cli import app
from kws.cli.shared_options import Resample
from kws.files import write_text

if TYPE_CHECKING:
    from kws.training.history import History
    from kws.training.recipe import Recipe

Beam = Annotated[
    int, typer.Option("--beam", help="Texts that beam search keeps; 1 is greedy search.")
]
CtcWeight = Annotated[
    float, typer.Option("--ctc-weight", help="Share of CTC in the score, 0 to 1; 0.3 is usual.")
]


@app.command("transcribe")
def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings, 16 kHz mono.")],
    model: Annotated[Path, typer.Option(help="Run folder of a recognizer, or a checkpoint in it.")],
    beam: Beam = 1,
    ctc_weight: CtcWeight = 0.0,
    resample: Resample = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write what recordings say, with a model of kws train speech-to-text."""
    from kws.inference.trained_recognizer import load_recognizer, read_utterance

    recognizer = load_recognizer(model)
    waveforms = [read_utterance(file, resample=resample) for file in files]
    texts = recognizer.transcribe(waveforms, width=beam, ctc_weight=ctc_weight)
    told = dict(zip(map(str, files), texts, strict=True))
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return
    width = max(map(len, told))
    for file, text in told.items():
        print(f"{file:{width}}  {text}".rstrip())


def writes_text(run: Path) -> bool:
    """Whether a run or checkpoint is a recognizer's; UsageError if there is none."""
    from kws.training.checkpoint import checkpoint_of, read_checkpoint

    return read_checkpoint(checkpoint_of(run))["protocol"] == "transcription"


def train_recognizer(
    recipe: "Recipe", data: Path, out: Path, *, resume: bool, resample: bool
) -> None:
    """Train on a folder of transcripts, draw the curves, print the lowest word error rate."""
    from kws.data.transcripts import load_transcripts
    from kws.models.counts import count_parameters
    from kws.training.recognizer_run import begin_recognizer, finish_recognizer

    options = {"n_mels": recipe.features.n_mels, "resample": resample}
    training, validation = (
        load_transcripts(data, split, **options) for split in ("training", "validation")
    )
    run = begin_recognizer(recipe, training, validation, out, resume=resume)
    print(f"{training.describe()}\n{validation.describe()}")
    for each in (run.train, run.validation):
        if each.left_out:
            print(f"note: {each.left_out} of {each.split.split} left out: too few frames for CTC")
    letters = "".join(run.alphabet.letters)
    print(f"{len(run.alphabet)} symbols, of which letters: {letters!r}")
    print(f"{recipe.model.name}: {count_parameters(run.model):,} parameters", flush=True)
    finish_recognizer(run)
    conclude(run.history, out)


def conclude(history: "History", out: Path) -> None:
    """Draw the curves and print the lowest validation word error rate."""
    from kws import plots

    figure = plots.curves(history.rows, best=history.best, loss_name="joint loss (nats)")
    plots.save(figure, out / "curves.png")
    best = history.best
    rate, n = 1 - best["validation_accuracy"], best["validation_n"]
    print(f"best validation WER: {100 * rate:.1f} % of {n:,} words, greedy search")
    print(f"{out}: best.pt is of step {best['step']}, last.pt of step {history.rows[-1]['step']}")


def evaluate_recognizer(
    run: Path, data: Path, split: str, *, beam: int, ctc_weight: float, resample: bool
) -> None:
    """Print the word errors of a split by kind, and write what was said and written."""
    from kws.data.transcripts import load_transcripts
    from kws.inference.trained_recognizer import load_recognizer

    recognizer = load_recognizer(run)
    examples = load_transcripts(
        data, split, n_mels=recognizer.recipe.features.n_mels, resample=resample
    )
    print(f"{examples.describe()}", file=sys.stderr)
    errors, written = recognizer.word_errors(examples, width=beam, ctc_weight=ctc_weight)
    search = f"beam of {beam}" if beam > 1 else "greedy search"
    search += f", CTC weight {ctc_weight:g}" if ctc_weight else ""
    print(f"{recognizer.recipe.model.name}, step {recognizer.step:,}, {split}, {search}")
    print(errors.describe())
    folder = run if run.is_dir() else run.parent
    out = folder / f"transcripts-{split}.json"
    lines = [
        {"file": row.file, "said": row.text, "written": text}
        for row, text in zip(examples.rows, written, strict=True)
    ]
    table = {**vars(errors), "rate": errors.rate, "search": search, "utterances_written": lines}
    write_text(out, json.dumps(table, ensure_ascii=False, indent=1) + "\n")
    print(f"written: {out}")

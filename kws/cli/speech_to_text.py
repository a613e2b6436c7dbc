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
    from kws.training.objective import ObjectiveRun
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


def begin_recognizer(
    recipe: "Recipe", data: Path, out: Path, device: str, resume: bool, resample: bool
) -> "ObjectiveRun":
    """A run that learns from a folder of transcripts, announced."""
    from kws.data.transcripts import load_transcripts
    from kws.device import choose_device
    from kws.models.counts import count_parameters
    from kws.training.objective import begin
    from kws.training.recognizer_run import spelling

    options = {"n_mels": recipe.features.n_mels, "resample": resample}
    training, validation = (
        load_transcripts(data, split, **options) for split in ("training", "validation")
    )
    place = choose_device(device)
    objective = spelling(recipe, training, validation, place)
    run = begin(objective, out, resume=resume)
    print(f"{training.describe()}\n{validation.describe()}")
    for each in (objective.train, objective.validation):
        if each.left_out:
            print(f"note: {each.left_out} of {each.split.split} left out: too few frames for CTC")
    letters = "".join(objective.alphabet.letters)
    print(f"{len(objective.alphabet)} symbols, of which letters: {letters!r}")
    parameters = count_parameters(objective.model)
    print(f"{recipe.model.name}: {parameters:,} parameters, on {place}", flush=True)
    return run


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

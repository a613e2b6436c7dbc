"""Speech to text: `kws transcribe`, and how evaluate handles a recognizer."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from kws.cli import app
from kws.cli.shared_options import Data, Resample, Run, Split, folder_of, require_data
from kws.files import write_text

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
    """Transcribe recordings with a model of kws train speech-to-text."""
    from kws.inference.trained_recognizer import load_recognizer, read_utterance

    recognizer = load_recognizer(model)
    waveforms = [read_utterance(file, resample=resample) for file in files]
    texts = recognizer.transcribe(waveforms, width=beam, ctc_weight=ctc_weight)
    transcripts = dict(zip(map(str, files), texts, strict=True))
    if as_json:
        print(json.dumps(transcripts, ensure_ascii=False, indent=1))
        return
    width = max(map(len, transcripts))
    for file, text in transcripts.items():
        print(f"{file:{width}}  {text}".rstrip())


def evaluate_recognizer(
    run: Run,
    data: Data = None,
    split: Split = "testing",
    beam: Beam = 1,
    ctc_weight: CtcWeight = 0.0,
    resample: Resample = False,
) -> None:
    """Print the word errors of a split by kind, and write references and hypotheses."""
    from kws.data.transcripts import load_transcripts
    from kws.inference.trained_recognizer import load_recognizer

    recognizer = load_recognizer(run)
    examples = load_transcripts(
        require_data(data), split, n_mels=recognizer.recipe.features.n_mels, resample=resample
    )
    print(f"{examples.describe()}", file=sys.stderr)
    errors, written = recognizer.word_errors(examples, width=beam, ctc_weight=ctc_weight)
    search = f"beam of {beam}" if beam > 1 else "greedy search"
    search += f", CTC weight {ctc_weight:g}" if ctc_weight else ""
    print(f"{recognizer.recipe.model.name}, step {recognizer.step:,}, {split}, {search}")
    print(errors.describe())
    out = folder_of(run) / f"transcripts-{split}.json"
    lines = [
        {"file": row.file, "said": row.text, "written": text}
        for row, text in zip(examples.rows, written, strict=True)
    ]
    table = {**vars(errors), "rate": errors.rate, "search": search, "utterances_written": lines}
    write_text(out, json.dumps(table, ensure_ascii=False, indent=1) + "\n")
    print(f"written: {out}")

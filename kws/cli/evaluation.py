"""Commands that use a trained model: evaluate, predict, export, plot."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kws.cli import app
from kws.cli.shared_options import (
    Device,
    Partial,
    Resample,
    Run,
    TriggerText,
    refuse,
    required,
)
from kws.cli.speaking_models import evaluate_generator
from kws.cli.speech_to_text import Beam, CtcWeight, evaluate_recognizer
from kws.errors import UsageError

if TYPE_CHECKING:
    from kws.inference.evaluate import Evaluation
    from kws.inference.predict import Prediction
    from kws.inference.trained import Trained

WRITES, GENERATED = "transcription", ("speech", "codec", "codes")  # protocols of checkpoints
MOST_ROWS = 40  # classes in the printed table; evaluation-….json has them all


@app.command("evaluate")
def evaluate(
    run: Run,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the data set, or of long recordings; none for a generator."),
    ] = None,
    split: Annotated[
        Literal["training", "validation", "testing"], typer.Option(help="What to measure on.")
    ] = "testing",
    test_silence: Annotated[
        Literal["noise", "zeros"] | None,
        typer.Option(help="Silence of validation and testing; by default the recipe's."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Count under another protocol with the same labels, in the same order."),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="unknown=U,silence=S",
            help="Count a model of words under a 12-class --protocol: below confidence S a clip is "
            "silence, below U unknown.",
        ),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Misses and false alarms in long recordings: kws data stream."
        ),
    ] = False,
    trigger: TriggerText = "",
    tolerance_ms: Annotated[
        int, typer.Option(min=0, help="--stream: how long after a word it may still be heard.")
    ] = 750,
    beam: Beam = 1,
    ctc_weight: CtcWeight = 0.0,
    listen: Annotated[
        bool,
        typer.Option(
            "--listen",
            help="What speaks or draws: how many words a keyword model, trained once in two "
            "minutes, recognizes.",
        ),
    ] = False,
    device: Device = "auto",
    resample: Resample = False,
    partial: Partial = False,
) -> None:
    """Measure a trained model: accuracy with n and interval, each class, pictures.

    Of speech to text: word errors by kind, with the interval over utterances. Of a voice, a codec
    or a prior, without --data: errors of durations, codes in use, perplexity.
    """
    from kws.device import choose_device
    from kws.inference.evaluate import evaluate as measure
    from kws.inference.evaluate import load_split, write_evaluation
    from kws.inference.thresholds import parse_thresholds
    from kws.inference.trained import load_model

    chosen = choose_device(device)
    rule = parse_thresholds(thresholds) if thresholds is not None else None
    if (kind := kind_of(run)) in GENERATED:
        given = {"data": data, "protocol": protocol, "thresholds": thresholds, "stream": stream}
        refuse(f"a model of {kind}", **given)
        evaluate_generator(run, split, listen)
        return
    refuse("a model that recognizes", listen=listen)
    data = required(data)
    if kind == WRITES:
        evaluate_recognizer(run, data, split, beam=beam, ctc_weight=ctc_weight, resample=resample)
        return
    trained = load_model(run)
    if stream:
        evaluate_stream(run, trained, data, trigger, tolerance_ms, str(chosen), resample)
        return
    examples = load_split(
        trained,
        data,
        split,
        protocol=protocol,
        test_silence=test_silence,
        resample=resample,
        thresholds=rule,
        partial=partial,
    )
    for note in getattr(examples, "notes", ()):
        print(f"note: {note}")
    evaluations = measure(trained, examples, chosen, rule)
    written = write_evaluation(folder_of(run), trained, data, evaluations)
    print_classes(evaluations[0])
    print(
        f"\n{trained.recipe.model.name}, step {trained.step:,}, {split}, {len(examples):,} examples"
    )
    for evaluation in evaluations:
        print(evaluation.describe())
    print(f"written: {', '.join(map(str, written))}")


def kind_of(run: Path) -> str:
    """The protocol of a run or checkpoint; UsageError if there is none."""
    from kws.training.checkpoint import checkpoint_of, read_checkpoint

    return read_checkpoint(checkpoint_of(run))["protocol"]


def evaluate_stream(
    run: Path,
    trained: "Trained",
    data: Path,
    trigger_text: str,
    tolerance_ms: int,
    device: str,
    resample: bool,
) -> None:
    """Listen to a folder of long recordings, and print misses and false alarms."""
    from kws.inference.detector import parse_trigger
    from kws.inference.stream_evaluation import (
        as_table,
        det_curve,
        hear,
        write_stream_evaluation,
    )
    from kws.inference.streaming import Heard, require_streamable

    trigger, heard = parse_trigger(trigger_text), Heard()
    require_streamable(trained)
    recordings = []
    for scored in hear(trained, data, trigger, device=device, resample=resample, heard=heard):
        recordings.append(scored)
        print(f"heard: {scored.file}, {scored.seconds / 60:.1f} minutes", file=sys.stderr)
    points = det_curve(recordings, trained.labels, trigger, tolerance_ms)
    chosen = next(point for point in points if point.threshold == trigger.threshold)
    written = write_stream_evaluation(
        folder_of(run), trained, data, trigger, tolerance_ms, points, chosen, heard
    )
    print(*as_table(points, chosen), sep="\n")
    print(f"\n{trained.recipe.model.name}, step {trained.step:,}, {trigger}, {tolerance_ms} ms")
    print(f"missed {chosen.total.missed}")
    print(f"false alarms {chosen.total.alarms}")
    print(f"{heard}")
    print(f"written: {', '.join(map(str, written))}")


def folder_of(run: Path) -> Path:
    """The run folder itself, or the one that a checkpoint lies in."""
    return run if run.is_dir() else run.parent


def print_classes(evaluation: "Evaluation") -> None:
    """Recall with its interval, precision, and n of each class; of many the lowest recalls."""
    from kws.metrics import percent

    scores = [score for score in evaluation.scores if score.recall.n]
    if len(scores) > MOST_ROWS:
        print(f"the {MOST_ROWS} of {len(scores)} classes with the lowest recall:")
        scores = sorted(scores, key=lambda score: score.recall.value)[:MOST_ROWS]
    width = max(5, *(len(score.label) for score in scores))
    print(
        f"{'class':{width}}  {'recall %':>8}  {'95 % interval':>13}  {'precision %':>11}  {'n':>6}"
    )
    for score in scores:
        recall = score.recall
        interval = f"{percent(recall.low)}–{percent(recall.high)}"
        print(
            f"{score.label:{width}}  {percent(recall.value):>8}  {interval:>13}  "
            f"{percent(score.precision.value):>11}  {recall.n:>6,}"
        )


@app.command("predict")
def predict(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Recordings, or folders of them.")
    ],
    model: Annotated[Path, typer.Option(help="Run folder, or a checkpoint in it.")],
    top: Annotated[int, typer.Option(min=1, help="Labels to print for each recording.")] = 3,
    resample: Resample = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Name recordings that cannot be used and go on.")
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option(help="Write fname,label for Kaggle, or Id,Category for speakers."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = "auto",
) -> None:
    """Label recordings: wav or flac files, folders of them, features of speakers (.pt).

    A keyword model reads a recording longer than a second in windows that begin every half second.
    Without --skip-bad nothing is printed unless every recording can be used.
    """
    from tqdm import tqdm

    from kws.device import choose_device
    from kws.inference.predict import find_recordings
    from kws.inference.predict import predict as label
    from kws.inference.trained import load_model

    chosen = choose_device(device)
    trained = load_model(model)
    found = find_recordings(files, trained.task)
    refused: list[UsageError] = []

    def skip(error: UsageError) -> None:
        refused.append(error)
        print(f"skipped: {error}", file=sys.stderr)

    shown = tqdm(found, unit="file", leave=False, disable=None)  # on a terminal only
    skipped = skip if skip_bad else None
    predictions = list(label(trained, shown, resample=resample, device=chosen, skipped=skipped))
    if not predictions:
        raise UsageError(f"none of {len(found)} recordings could be used: see above")
    if csv is not None:
        write_predictions(csv, trained, predictions)
    if as_json:
        print(json.dumps(as_table(trained, predictions, top), ensure_ascii=False, indent=1))
    elif csv is None:
        print_predictions(predictions, top)
    else:
        print(f"written: {csv}, {len(predictions):,} rows")
    if refused:
        print(f"{len(refused)} of {len(found)} recordings were skipped", file=sys.stderr)


def as_table(trained: "Trained", predictions: "list[Prediction]", top: int) -> dict[str, object]:
    """The predictions as JSON; scores are shares of 1, times seconds."""
    return {
        "model": str(trained.path),
        "protocol": trained.protocol,
        "predictions": [
            {
                "file": str(prediction.path),
                "start": prediction.start,
                "end": prediction.end,
                "label": prediction.label,
                "scores": {label: round(score, 6) for label, score in prediction.scores[:top]},
            }
            for prediction in predictions
        ],
    }


def print_predictions(predictions: "list[Prediction]", top: int) -> None:
    """One line for each recording or window of it: labels with their scores, the best first."""
    several = {p.path for p in predictions if p.start} != set()  # a window that begins later
    files = max(len(str(prediction.path)) for prediction in predictions)
    labels = max(len(label) for p in predictions for label, _ in p.scores[:top])
    for prediction in predictions:
        times = ""
        if several and prediction.start is not None and prediction.end is not None:
            times = f"{prediction.start:7.1f}–{prediction.end:.1f} s"
        scores = (f"{label:{labels}} {100 * score:5.1f} %" for label, score in prediction.scores)
        shown = "   ".join(list(scores)[:top])
        print(f"{prediction.path!s:{files}}  {times:{15 * several}}  {shown}".rstrip())


def write_predictions(out: Path, trained: "Trained", predictions: "list[Prediction]") -> None:
    """The result file that the model's task asks for; UsageError where a file needs two rows."""
    from kws.inference.evaluate import thresholds_of
    from kws.inference.submission import HOMEWORK, KAGGLE, KAGGLE_LABELS, write_csv
    from kws.inference.thresholds import kaggle_answer

    keywords, rule = trained.task == "keywords", thresholds_of(trained.recipe)
    rows: dict[str, str] = {}
    for prediction in predictions:
        name = prediction.path.name
        if prediction.start:
            raise UsageError(
                f"{prediction.path}: longer than a second, and a CSV has one row for each file: "
                "leave --csv out to see its windows"
            )
        if name in rows:
            raise UsageError(
                f"{prediction.path}: another recording is called {name} too, and a CSV names "
                "files without their folder: predict one folder at a time"
            )
        rows[name] = kaggle_answer(prediction.scores, rule) if keywords else prediction.label
    if keywords:
        write_csv(out, KAGGLE, rows, KAGGLE_LABELS)
    else:
        write_csv(out, HOMEWORK, rows, trained.labels)


@app.command("export")
def export(
    run: Run,
    out: Annotated[
        Path | None, typer.Argument(help="File to write; by default model.… in the run folder.")
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="As ONNX, compared with torch.")] = False,
    safetensors: Annotated[
        bool, typer.Option("--safetensors", help="Weights, with labels and recipe as metadata.")
    ] = False,
    quantize: Annotated[
        bool,
        typer.Option(
            "--quantize", help="ONNX in 8 bits, calibrated on the training part of --data."
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="--quantize: folder of the data set, measured before, after."),
    ] = None,
    resample: Resample = False,
    partial: Partial = False,
) -> None:
    """Write a trained model for other programs. Without an option the name's ending decides."""
    from kws.inference.export import CHECKED, export_onnx, export_safetensors
    from kws.inference.trained import load_model

    if not onnx and not safetensors and out is not None:
        onnx, safetensors = out.suffix == ".onnx", out.suffix == ".safetensors"
    onnx = onnx or (quantize and not safetensors)
    if onnx == safetensors:
        raise UsageError("kws export writes one format at a time: choose --onnx or --safetensors")
    suffix = ".onnx" if onnx else ".safetensors"
    out = out or folder_of(run) / f"model{'-int8' * quantize}{suffix}"
    if out.suffix in (".onnx", ".safetensors") and out.suffix != suffix:
        raise UsageError(
            f"{out}: its name says {out.suffix[1:]}: rename it, or leave --{suffix[1:]} out"
        )
    if (kind := kind_of(run)) in GENERATED:
        raise UsageError(f"{run}: what speaks or draws codes is not exported: use it in Python")
    if kind == WRITES:
        if safetensors or quantize:
            wrong = "--safetensors" if safetensors else "--quantize"
            raise UsageError(f"{run}: writes text, and is exported with --onnx: leave {wrong} out")
        export_halves(run, out)
        return
    trained = load_model(run)
    if quantize:
        export_small(trained, out, data, safetensors, resample, partial)
    elif onnx:
        difference = export_onnx(trained, out)
        shapes = ", ".join(f"{batch} × {frames} frames" for batch, frames in CHECKED)
        print(f"onnxruntime and torch differ by at most {difference:.1e} ({shapes})")
    else:
        export_safetensors(trained, out)
    print(f"written: {out}, {out.stat().st_size / 1e6:.1f} MB")


def export_halves(run: Path, out: Path) -> None:
    """Write encoder and decoder of a recognizer beside `out`."""
    from kws.inference.export_recognizer import CHECKED, export_recognizer
    from kws.inference.trained_recognizer import load_recognizer

    files, difference = export_recognizer(load_recognizer(run), out)
    shapes = ", ".join(f"{batch} × {frames} frames" for batch, frames, _ in CHECKED)
    print(f"onnxruntime and torch differ by at most {difference:.1e} ({shapes})")
    for file in files.values():
        print(f"written: {file}, {file.stat().st_size / 1e6:.1f} MB")


def export_small(
    trained: "Trained",
    out: Path,
    data: Path | None,
    safetensors: bool,
    resample: bool,
    partial: bool,
) -> None:
    """Write an int8 ONNX model and print what it costs and saves."""
    from kws.data.clips import ClipSplit
    from kws.inference.evaluate import load_split
    from kws.inference.quantize import export_quantized, require_quantizable

    if safetensors:
        raise UsageError("--quantize writes ONNX: leave --safetensors out")
    require_quantizable(trained)
    if data is None:
        raise UsageError("--quantize needs clips to calibrate on: give their folder with --data")
    training, testing = (
        load_split(trained, data, split, resample=resample, partial=partial)
        for split in ("training", "testing")
    )
    assert isinstance(training, ClipSplit)
    assert isinstance(testing, ClipSplit)
    print(*export_quantized(trained, out, training, testing).lines(), sep="\n")


@app.command("plot")
def plot(
    run: Run,
    clip: Annotated[
        Path | None, typer.Option(help="Recording to draw attention over (speakers: .pt too).")
    ] = None,
    resample: Resample = False,
) -> None:
    """Draw the curves of a run, and over a spectrogram what its model pays attention to.

    Without --clip that is the first example of the data set that the run was last evaluated on.
    """
    from kws.inference.plot_run import (
        evaluated_on,
        example_of,
        plot_attention,
        plot_curves,
        recording,
    )
    from kws.inference.trained import load_model

    folder = folder_of(run)
    trained = load_model(run)
    print(f"written: {plot_curves(folder, trained)}")
    if clip is not None:
        example = recording(trained, clip, resample=resample)
    elif (where := evaluated_on(folder)) is not None:
        example = example_of(trained, *where)
    else:
        print("note: no attention drawn: name a recording with --clip, or run kws evaluate first")
        return
    written = plot_attention(folder, trained, example)
    if written is None:
        print(f"note: {trained.recipe.model.name} has no attention to draw")
    else:
        print(f"written: {written}")

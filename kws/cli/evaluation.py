"""`kws evaluate`: measure a model on what its kind is measured by."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kws.cli import app
from kws.cli.shared_options import (
    Data,
    Device,
    Partial,
    Resample,
    Run,
    Split,
    TriggerText,
    accept_options,
    folder_of,
    options_of,
    require_data,
)
from kws.cli.speech_to_text import evaluate_recognizer
from kws.files import write_text

if TYPE_CHECKING:
    from kws.inference.evaluate import Evaluation

MOST_ROWS = 40  # classes in the printed table; evaluation-….json has them all


def evaluate_keywords(
    run: Run,
    data: Data = None,
    split: Split = "testing",
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
    device: Device = "auto",
    resample: Resample = False,
    partial: Partial = False,
) -> None:
    """Accuracy of a split of clips, by class."""
    from kws.device import choose_device
    from kws.inference.evaluate import evaluate, load_split, write_evaluation
    from kws.inference.thresholds import parse_thresholds
    from kws.training.checkpoint import load_model

    chosen, data = choose_device(device), require_data(data)
    options: Any = {"protocol": protocol, "test_silence": test_silence}
    options |= {"resample": resample, "partial": partial}
    rule = parse_thresholds(thresholds) if thresholds is not None else None
    trained = load_model(run)
    examples = load_split(trained, data, split, thresholds=rule, **options)
    for note in getattr(examples, "notes", ()):
        print(f"note: {note}")
    evaluations = evaluate(trained, examples, chosen, rule)
    written = write_evaluation(folder_of(run), trained, data, evaluations)
    print_classes(evaluations[0])
    name, step = trained.recipe.model.name, trained.step
    print(f"\n{name}, step {step:,}, {split}, {len(examples):,} examples")
    for evaluation in evaluations:
        print(evaluation.describe())
    print(f"written: {', '.join(map(str, written))}")


def evaluate_speakers(
    run: Run, data: Data = None, split: Split = "testing", device: Device = "auto"
) -> None:
    """Accuracy of a split of utterances, whole and cropped, by speaker."""
    evaluate_keywords(run, data, split, device=device)


def evaluate_stream(
    run: Run,
    data: Data = None,
    trigger: TriggerText = "",
    tolerance_ms: Annotated[
        int, typer.Option(min=0, help="--stream: how long after a word it may be detected.")
    ] = 750,
    speech: Annotated[
        Path | None,
        typer.Option(
            help="--stream: folder of continuous speech, in which each event is a false alarm."
        ),
    ] = None,
    device: Device = "auto",
    resample: Resample = False,
) -> None:
    """Misses and false alarms in a folder of long recordings."""
    from kws.device import choose_device
    from kws.inference import stream_evaluation as streams
    from kws.inference.detector import parse_trigger
    from kws.inference.streaming import ListeningTime
    from kws.inference.torch_stream import TorchStream
    from kws.training.checkpoint import load_model

    data, settings = require_data(data), parse_trigger(trigger)
    spent = ListeningTime()
    trained = load_model(run, choose_device(device))
    model, recordings, spoken = TorchStream(trained), [], None
    if speech:
        blocks = streams.speech_blocks(speech, resample=resample)
        spoken = streams.score_blocks(model, blocks, settings, spent)
        print(f"read: {speech}, {spoken.seconds / 60:.1f} minutes", file=sys.stderr)
    for scored in streams.score_recordings(model, data, settings, resample=resample, spent=spent):
        recordings.append(scored)
        print(f"read: {scored.file}, {scored.seconds / 60:.1f} minutes", file=sys.stderr)
    given = (recordings, trained.labels, settings, tolerance_ms)
    points = streams.det_curve(*given, speech=spoken)
    by_noise = streams.misses_by_noise(*given)
    chosen = next(point for point in points if point.threshold == settings.threshold)
    written = streams.write_stream_evaluation(
        folder_of(run), trained, data, settings, tolerance_ms, points, by_noise, spent
    )
    print(*streams.as_table(points, chosen), sep="\n")
    print(f"\n{trained.recipe.model.name}, step {trained.step:,}, {settings}, {tolerance_ms} ms")
    print(*streams.describe(chosen), spent, sep="\n")
    print(f"written: {', '.join(map(str, written))}")


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


def evaluate_generator(
    run: Run,
    split: Split = "testing",
    listen: Annotated[
        bool,
        typer.Option(
            "--listen",
            help="For a voice, codec or prior: how many words are recognized by a keyword model, "
            "trained once in two minutes.",
        ),
    ] = False,
) -> None:
    """Print the figures of a voice, a codec or a prior on a split that the engine synthesizes."""
    from kws.inference.generator_figures import measure_generator

    found = measure_generator(run, split, listen=listen, progress=sys.stderr.isatty())
    print(f"{found.model}, step {found.step:,}, {split}: {found.data}")
    print(*found.lines, sep="\n")
    out = folder_of(run) / f"figures-{split}.json"
    table = {"data": found.data, "step": found.step, **found.figures}
    write_text(out, json.dumps(table, ensure_ascii=False, indent=1) + "\n")
    print(f"written: {out}")


EVALUATIONS = {  # kind of model -> the function whose parameters are the options
    "keywords": evaluate_keywords,
    "speakers": evaluate_speakers,
    "transcription": evaluate_recognizer,
    "speech": evaluate_generator,
    "codec": evaluate_generator,
    "codes": evaluate_generator,
}


@app.command("evaluate")
@options_of(*EVALUATIONS.values(), evaluate_stream)
def evaluate(
    context: typer.Context,
    run: Run,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Misses and false alarms in long recordings: kws data stream."
        ),
    ] = False,
    **options: Any,
) -> None:
    """Measure a trained model: accuracy with n and interval, each class, pictures.

    For a speech recognizer: word errors by kind, with the interval over utterances. For a voice, a
    codec or a prior, without --data: errors of durations, codes in use, perplexity.
    """
    from kws.training.checkpoint import KINDS, read_kind

    kind = read_kind(run)
    what, measure = KINDS[kind].name, EVALUATIONS[kind]
    if kind != "keywords":
        options["stream"] = stream
    elif stream:
        what, measure = f"{what} with --stream", evaluate_stream
    measure(**accept_options(context, measure, what, run=run, **options))

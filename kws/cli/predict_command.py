"""`kws predict`: labels and scores of recordings."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kws.cli import app
from kws.cli.shared_options import SHIPPED, Device, Resample
from kws.errors import UsageError

if TYPE_CHECKING:
    from kws.inference.onnx_stream import OnnxStream
    from kws.inference.predict import Prediction
    from kws.training.checkpoint import Trained


@app.command("predict")
def predict(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Recordings, or folders of them.")
    ],
    model: Annotated[
        Path, typer.Option(help="Run folder, or a checkpoint in it; keywords: the model of kws.")
    ] = SHIPPED,
    top: Annotated[int, typer.Option(min=1, help="Labels to print for each recording.")] = 3,
    resample: Resample = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Name recordings that cannot be used and go on.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = "auto",
) -> None:
    """Label recordings: wav or flac files, folders of them, features of speakers (.pt).

    A keyword model reads a recording longer than a second in windows that begin every half second.
    Without --skip-bad nothing is printed unless every recording can be used.
    """
    from tqdm import tqdm

    from kws.inference.predict import find_recordings
    from kws.inference.predict import predict as label

    trained = onnx_model(model, device) or torch_model(model, device)
    found = find_recordings(files, trained.task)
    refused: list[UsageError] = []

    def skip(error: UsageError) -> None:
        refused.append(error)
        print(f"skipped: {error}", file=sys.stderr)

    shown = tqdm(found, unit="file", leave=False, disable=None)  # on a terminal only
    skipped = skip if skip_bad else None
    predictions = list(label(trained, shown, resample=resample, skipped=skipped))
    if not predictions:
        raise UsageError(f"none of {len(found)} recordings could be used: see above")
    if as_json:
        print(json.dumps(as_table(trained, predictions, top), ensure_ascii=False, indent=1))
    else:
        print_predictions(predictions, top)
    if refused:
        print(f"{len(refused)} of {len(found)} recordings were skipped", file=sys.stderr)


def onnx_model(run: Path, device: str) -> "OnnxStream | None":
    """The model in onnxruntime, without torch; None for runs and other devices, or if missing."""
    shipped = run == SHIPPED and not run.exists()
    if not shipped and run.suffix != ".onnx":
        return None
    installed = find_spec("onnxruntime") is not None
    if shipped and (not installed or device not in ("auto", "cpu")):
        return None
    if not installed:
        raise UsageError(f"{run} needs onnxruntime: run pip install onnxruntime, or give the run")
    from kws.inference.onnx_stream import SHIPPED_ONNX, OnnxStream

    return OnnxStream(SHIPPED_ONNX if shipped else run)


def torch_model(run: Path, device: str) -> "Trained":
    """The model of a run, by torch."""
    from kws.device import choose_device
    from kws.training.checkpoint import load_model

    return load_model(run, choose_device(device))


def as_table(trained: Any, predictions: "list[Prediction]", top: int) -> dict[str, object]:
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
    several = any(prediction.start for prediction in predictions)  # a window that begins later
    files = max(len(str(prediction.path)) for prediction in predictions)
    labels = max(len(label) for p in predictions for label, _ in p.scores[:top])
    for prediction in predictions:
        times = ""
        if several and prediction.start is not None and prediction.end is not None:
            times = f"{prediction.start:7.1f}–{prediction.end:.1f} s"
        scores = (f"{label:{labels}} {100 * score:5.1f} %" for label, score in prediction.scores)
        shown = "   ".join(list(scores)[:top])
        print(f"{prediction.path!s:{files}}  {times:{15 * several}}  {shown}".rstrip())

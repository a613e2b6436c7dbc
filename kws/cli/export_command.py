"""`kws export`: a trained model as a file for other programs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kws.cli import app
from kws.cli.shared_options import (
    Partial,
    Resample,
    Run,
    accept_options,
    folder_of,
    options_of,
    refuse,
    require_data,
)
from kws.errors import UsageError

Out = Annotated[
    Path | None, typer.Argument(help="File to write; by default model.… in the run folder.")
]
Onnx = Annotated[bool, typer.Option("--onnx", help="As ONNX, compared with torch.")]
Safetensors = Annotated[
    bool, typer.Option("--safetensors", help="Weights, with labels and recipe as metadata.")
]


def export_speakers(
    run: Run, out: Out = None, onnx: Onnx = False, safetensors: Safetensors = False
) -> None:
    """Write one graph, or the weights."""
    from kws.inference.export import CHECKED, export_onnx, export_safetensors
    from kws.training.checkpoint import load_model

    suffix = suffix_of(out, onnx, safetensors)
    out = out or folder_of(run) / f"model{suffix}"
    trained = load_model(run)
    if suffix == ".onnx":
        print_difference(export_onnx(trained, out), CHECKED)
    else:
        export_safetensors(trained, out)
    print_written(out)


def export_keywords(
    run: Run,
    out: Out = None,
    onnx: Onnx = False,
    safetensors: Safetensors = False,
    step: Annotated[
        bool,
        typer.Option("--step", help="ONNX of one step of a model with state: keywords-causal."),
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
    """Write one graph, in 8 bits too, or the weights."""
    from kws.data.clips import ClipSplit
    from kws.inference.evaluate import load_split
    from kws.inference.export import STEPS, export_step
    from kws.inference.quantize import export_quantized
    from kws.training.checkpoint import load_model

    if step:
        refuse("an export with --step", quantize=quantize, safetensors=safetensors, data=data)
        suffix_of(out, True, False)
        out = out or folder_of(run) / "model-step.onnx"
        difference = export_step(load_model(run), out)
        print(f"onnxruntime and torch differ by at most {difference:.1e} ({STEPS} steps)")
        print_written(out)
        return
    if not quantize:
        refuse("an export without --quantize", data=data, resample=resample, partial=partial)
        export_speakers(run, out, onnx, safetensors)
        return
    refuse("an export with --quantize", safetensors=safetensors)
    suffix_of(out, True, False)
    out = out or folder_of(run) / "model-int8.onnx"
    trained, folder = load_model(run), require_data(data)
    training, testing = (
        load_split(trained, folder, split, resample=resample, partial=partial)
        for split in ("training", "testing")
    )
    assert isinstance(training, ClipSplit)
    assert isinstance(testing, ClipSplit)
    print(*export_quantized(trained, out, training, testing).lines(), sep="\n")
    print_written(out)


def export_transcription(run: Run, out: Out = None, onnx: Onnx = False) -> None:
    """Write the graphs of encoder and decoder."""
    from kws.inference.export_recognizer import CHECKED, export_recognizer
    from kws.inference.trained_recognizer import load_recognizer

    suffix_of(out, onnx, False)
    out = out or folder_of(run) / "model.onnx"
    files, difference = export_recognizer(load_recognizer(run), out)
    print_difference(difference, CHECKED)
    print_written(*files.values())


EXPORTS = {
    "keywords": export_keywords,
    "speakers": export_speakers,
    "transcription": export_transcription,
}


@app.command("export")
@options_of(*EXPORTS.values())
def export(context: typer.Context, run: Run, **options: Any) -> None:
    """Write a trained model for other programs. Without an option the name's ending decides."""
    from kws.training.checkpoint import KINDS, read_kind, require_kind

    kind = read_kind(run)
    require_kind(run, kind, *EXPORTS)
    write = EXPORTS[kind]
    write(**accept_options(context, write, KINDS[kind].name, run=run, **options))


def suffix_of(out: Path | None, onnx: bool, safetensors: bool) -> str:
    """The ending of the file to write; UsageError unless options and name give one format."""
    if not onnx and not safetensors and out is not None:
        onnx, safetensors = out.suffix == ".onnx", out.suffix == ".safetensors"
    if onnx == safetensors:
        raise UsageError("kws export writes one format at a time: choose --onnx or --safetensors")
    suffix = ".onnx" if onnx else ".safetensors"
    if out is not None and out.suffix in (".onnx", ".safetensors") and out.suffix != suffix:
        raise UsageError(
            f"{out}: its name ends in {out.suffix}: rename it, or remove --{suffix[1:]}"
        )
    return suffix


def print_difference(difference: float, checked: tuple[tuple[int, ...], ...]) -> None:
    shapes = ", ".join(f"{batch} × {frames} frames" for batch, frames, *_ in checked)
    print(f"onnxruntime and torch differ by at most {difference:.1e} ({shapes})")


def print_written(*files: Path) -> None:
    for file in files:
        print(f"written: {file}, {file.stat().st_size / 1e6:.1f} MB")

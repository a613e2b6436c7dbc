"""Options and arguments that several commands take, each said once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kws.errors import UsageError

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, or a checkpoint in it.")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]
Resample = Annotated[
    bool, typer.Option("--resample", help="Convert recordings that are not 16 kHz mono.")
]
Partial = Annotated[
    bool, typer.Option("--partial", help="Read what is there of a copy whose lists name more.")
]
TriggerText = Annotated[
    str,
    typer.Option(
        "--trigger",
        metavar="KEY=VALUE,…",
        help="When a word counts as heard: threshold=0.7,hop_ms=100,smooth_ms=500,in_a_row=4,"
        "refractory_ms=1500.",
    ),
]


def required(data: Path | None) -> Path:
    """`data`, or a UsageError where it was not given."""
    if data is None:
        raise UsageError("--data is missing: name the folder of the data set with it")
    return data


def refuse(what: str, **options: object) -> None:
    """Refuse options that `what` would ignore, with a UsageError."""
    for option, given in options.items():
        if given is not None and given is not False:
            raise UsageError(f"--{option} is no option of {what}: leave it out")

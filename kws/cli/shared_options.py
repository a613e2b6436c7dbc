"""Options and arguments shared by several commands, and their refusal where they have no effect.

Where a command depends on the kind of model, its options are the parameters of one function for
each kind (`options_of`); `accept_options` refuses those of the other kinds.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from kws.errors import UsageError

SHIPPED = Path("keywords")  # the model that comes with kws
Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="Run folder, or a checkpoint in it; keywords: the model of kws."
    ),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]
Resample = Annotated[
    bool, typer.Option("--resample", help="Convert recordings that are not 16 kHz mono.")
]
Partial = Annotated[
    bool, typer.Option("--partial", help="Accept a copy with fewer files than its lists name.")
]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of the data, or of long recordings; none for voices and codes."),
]
Split = Annotated[
    Literal["training", "validation", "testing"], typer.Option(help="What to measure on.")
]
TriggerText = Annotated[
    str,
    typer.Option(
        "--trigger",
        metavar="KEY=VALUE,…",
        help="When a word counts as detected: threshold=0.7,hop_ms=100,smooth_ms=500,in_a_row=4,"
        "refractory_ms=1500.",
    ),
]


def require_data(data: Path | None) -> Path:
    """`data`, or a UsageError where it was not given."""
    if data is None:
        raise UsageError("--data is missing: name the folder of the data set with it")
    return data


def refuse(what: str, **options: object) -> None:
    for option, given in options.items():
        if given is not None and given is not False:
            raise UsageError(f"--{option} does not apply to {what}: remove it")


def refuse_given(context: typer.Context, what: str, *names: str) -> None:
    """Refuse the options `names` where the command line has them, default or not."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            option = max(parameter.opts, key=len)
            raise UsageError(f"{option} does not apply to {what}: remove it")


def options_of(*functions: Callable[..., None]) -> Callable[[Callable[..., None]], Any]:
    """Decorate a command that takes `**options`: they are the parameters of all `functions`."""

    def add_options(command: Callable[..., None]) -> Callable[..., None]:
        found = {
            parameter.name: parameter.replace(kind=parameter.KEYWORD_ONLY)
            for function in (command, *functions)
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD
        }
        command.__signature__ = inspect.Signature(list(found.values()))  # pyright: ignore
        command.__annotations__ = {name: each.annotation for name, each in found.items()}
        return command

    return add_options


def accept_options(
    context: typer.Context, function: Callable[..., None], what: str, **given: Any
) -> dict[str, Any]:
    """Those of the arguments that `function` takes; UsageError for another on the command line."""
    names = inspect.signature(function).parameters
    refuse_given(context, what, *(name for name in given if name not in names))
    return {name: value for name, value in given.items() if name in names}


def folder_of(run: Path) -> Path:
    return run if run.is_dir() else run.parent

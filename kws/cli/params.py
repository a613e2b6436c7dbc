"""`kws params`: what a model consists of, by formula and measured, or what it computes."""

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kws.cli import app
from kws.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from torch import nn

OVER_BUDGET = 1  # exit code
SYMBOLS = 16  # of the text, with --shapes of a recognizer: three digits, spelled
WIDTH_OF_A_PIPE = 140  # columns, where there is no terminal to ask


@app.command("params")
def params(
    model: Annotated[str | None, typer.Argument(help="A model's name; all without it.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Other settings of the model: d_model=128."),
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(help="Number of logits; as published without it.")
    ] = None,
    num_features: Annotated[
        int | None, typer.Option(help="Features of a frame; as published without it.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="Exit with code 1 if the model has more than this.")
    ] = None,
    shapes: Annotated[
        bool,
        typer.Option("--shapes", help="Shapes, multiply-adds and bytes of every module instead."),
    ] = False,
    frames: Annotated[
        int | None, typer.Option(help="With --shapes: length of a clip; a second without it.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="With --shapes: clips at a time.")] = 1,
    depth: Annotated[int, typer.Option(help="With --shapes: modules within modules shown.")] = 2,
) -> None:
    """Count a model's parameters, by formula and by measurement; list all models without a name.

    With --shapes: for every module the shape of its output, parameters, multiply-adds, and the
    bytes kept for the backward pass, attention maps included.
    """
    from rich.console import Console

    console = Console(
        width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH_OF_A_PIPE
    )
    if model is None:
        if shapes or not num_classes is num_features is budget is None:
            raise UsageError(
                "--num-classes, --num-features, --budget and --shapes are about one model: name it"
            )
        list_models(console)
        return
    from kws.models.generators import GENERATORS

    if model in GENERATORS:
        if shapes or settings or not num_classes is num_features is budget is None:
            raise UsageError(
                f"{model} has its sizes from Python: leave options and settings out, or build it "
                f"with {type(without_memory(GENERATORS[model].build)).__module__}"
            )
        console.print(measured_table(model))
        return
    overrides = dict(as_setting(text) for text in settings or [])
    for option, value in (("num_features", num_features), ("num_classes", num_classes)):
        if option in overrides and value is not None:
            raise UsageError(f"{option} is an option and a setting here: leave one out")
    if budget is not None and budget < 1:
        raise UsageError(f"--budget {budget}: give a positive number of parameters")
    for option, number in (("frames", frames), ("batch-size", batch_size), ("depth", depth)):
        if number is not None and number < 1:
            raise UsageError(f"--{option} {number}: give a positive number")
    changes = {"num_features": num_features, "num_classes": num_classes, **overrides}
    if shapes:
        from kws.models.registry import configure

        console.print(shapes_table(model, configure(model, **changes), frames, batch_size, depth))
    describe(console, model, changes, budget, table=not shapes)


def as_setting(text: str) -> tuple[str, Any]:
    """`key=value` with a number, true, false, a list or a string; UsageError for anything else.

    >>> as_setting("d_model=128"), as_setting("stem=strided"), as_setting("channels=[16, 32]")
    (('d_model', 128), ('stem', 'strided'), ('channels', [16, 32]))
    """
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise UsageError(f"{text!r} is not a setting: write it as key=value, d_model=128")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def list_models(console: "Console") -> None:
    """Print every model by name, with the size that it has as published."""
    from rich.table import Table

    from kws.models.counts import count_parameters
    from kws.models.generators import GENERATORS
    from kws.models.registry import MODELS, PRETRAINED, RECOGNIZERS, build_from

    table = Table("model", title="models, as published")
    for heading in ("parameters", "features", "classes"):
        table.add_column(heading, justify="right")
    table.add_column("what it is")
    for name, entry in (MODELS | RECOGNIZERS).items():
        count = count_parameters(without_memory(build_from, name, entry.config))
        config = entry.config
        sizes = (f"{count:,}", str(config.num_features), str(config.num_classes))
        table.add_row(name, *sizes, entry.about)
    for name, generator in GENERATORS.items():
        count = count_parameters(without_memory(generator.build))
        table.add_row(name, f"{count:,}", "–", "–", f"{generator.about}; {generator.reads}")
    console.print(table)
    console.print(f"with kws[pretrained], reading waveforms: {', '.join(PRETRAINED)}", markup=False)


def describe(
    console: "Console", name: str, changes: dict[str, Any], budget: int | None, *, table: bool
) -> None:
    """Print the table of one model, the tensors it shares, and whether it keeps to the budget."""
    from kws.models.counts import count_parameters, shared_tensors
    from kws.models.registry import PRETRAINED, build_from, configure

    config = configure(name, **changes)
    model = without_memory(build_from, name, config)
    total = count_parameters(model)
    if name in PRETRAINED:
        console.print(f"{name}: {total:,} trainable parameters; transformers builds it: no formula")
    elif table:
        console.print(parts_table(name, config, model))
    if shared := shared_tensors(model):
        console.print(f"shared tensors, counted once ({separate_count(model):,} if separate):")
        for names in shared:
            console.print(f"  {in_one(names)}", highlight=False, markup=False)
    if budget is not None:
        left = budget - total
        verdict = f"{left:,} left of" if left >= 0 else f"{-left:,} over"
        console.print(f"{total:,} parameters: {verdict} the budget of {budget:,}")
        if left < 0:
            raise typer.Exit(OVER_BUDGET)


def parts_table(name: str, config: Any, model: "nn.Module") -> "Table":
    """Formula, its value and the measured count of each part of a model."""
    from rich.table import Table

    from kws.models.counts import count_parameters, formulas, measured_parts

    by_formula, measured = formulas(config), measured_parts(model)
    table = Table("part", "formula", "with", show_footer=True)
    table.title = f"{name}, {config.num_features} features, {config.num_classes} classes"
    table.columns[0].footer = "total"
    expected = sum(formula.value for formula in by_formula.values())
    table.add_column("value", justify="right", footer=f"{expected:,}")
    table.add_column("measured", justify="right", footer=f"{count_parameters(model):,}")
    for part, count in measured.items():
        formula = by_formula[part]
        values = " ".join(f"{letter}={value}" for letter, value in formula.values.items())
        table.add_row(part, str(formula), values, f"{formula.value:,}", f"{count:,}")
    return table


def measured_table(name: str) -> "Table":
    """The measured count of each part of a model that no recipe trains."""
    from rich.table import Table

    from kws.models.counts import count_parameters, measured_parts
    from kws.models.generators import GENERATORS

    model = without_memory(GENERATORS[name].build)
    table = Table("part", show_footer=True, title=f"{name}, {GENERATORS[name].reads}")
    table.columns[0].footer = "total"
    table.add_column("measured", justify="right", footer=f"{count_parameters(model):,}")
    for part, count in measured_parts(model).items():
        table.add_row(part, f"{count:,}")
    return table


def shapes_table(
    name: str, config: Any, frames: int | None, batch_size: int, depth: int
) -> "Table":
    """What each module of a model, in training, makes of a batch."""
    from rich.table import Table

    from kws.models.registry import RECOGNIZERS, build_from
    from kws.models.shapes import summarize

    symbols = SYMBOLS * (name in RECOGNIZERS)
    sizes = {"batch_size": batch_size, "num_symbols": symbols}
    frames = frames or frames_of_a_second(name, config)
    model = without_memory(build_from, name, config)
    try:
        whole, *rows = summarize(model, config.num_features, frames=frames, **sizes)
    except RuntimeError as error:  # a layer that got fewer frames than its kernel has
        raise UsageError(f"{name} cannot read {frames} frames: raise --frames") from error
    table = Table("module", "class", show_footer=True)
    table.title = f"{name}, {batch_size} x {frames} frames x {config.num_features} features"
    table.title += f", {symbols} symbols" * (symbols > 0)
    table.columns[0].footer = "total"
    table.add_column("output", footer=by_size(whole.shape))
    table.add_column("parameters", justify="right", footer=f"{whole.parameters:,}")
    table.add_column("multiply-adds", justify="right", footer=f"{whole.multiply_adds:,}")
    table.add_column("kept bytes", justify="right", footer=f"{whole.kept_bytes:,}")
    table.caption = (
        "multiply-adds: of matrix products, convolutions and attention in the forward pass\n"
        "kept bytes: of float32 activations for the backward pass, attention maps included"
    )
    for row in rows:
        level = row.name.count(".")
        if level < depth:
            kind = row.kind if row.calls == 1 else f"{row.kind}, {row.calls} times"
            numbers = (row.parameters, row.multiply_adds, row.kept_bytes)
            shown = "  " * level + row.name.rpartition(".")[2]
            table.add_row(shown, kind, by_size(row.shape), *(f"{number:,}" for number in numbers))
    return table


def frames_of_a_second(name: str, config: Any) -> int:
    """As many as the model reads of a second of audio: samples, where it reads a waveform."""
    from kws.audio import SAMPLE_RATE
    from kws.features import HOP
    from kws.models.registry import PRETRAINED

    if name in PRETRAINED:
        return SAMPLE_RATE
    frames = 1 + SAMPLE_RATE // HOP
    if getattr(config, "stem", "") == "frames":  # a token each, and a position for each of them
        frames = min(frames, config.max_tokens)
    return frames


def by_size(shape: tuple[int, ...]) -> str:
    """A shape as it is read.

    >>> by_size((16, 417, 256))
    '16 x 417 x 256'
    """
    return " x ".join(map(str, shape))


def without_memory(build: Any, *arguments: Any) -> "nn.Module":
    """Build a model whose tensors have shapes and nothing else: quick for any size."""
    import torch

    with torch.device("meta"):
        return build(*arguments)


def separate_count(model: "nn.Module") -> int:
    """Parameters if every use of a tensor had one of its own."""
    named = model.named_parameters(remove_duplicate=False)
    return sum(parameter.numel() for _, parameter in named)


def in_one(names: list[str]) -> str:
    """Several names of one tensor, written as one where they differ in a single step.

    >>> in_one(["layers.0.weight", "layers.1.weight"])
    'layers.{0,1}.weight'
    >>> in_one(["embed.weight", "logits.kernel"])
    'embed.weight = logits.kernel'
    """
    steps = [name.split(".") for name in names]
    if len({len(path) for path in steps}) == 1:
        columns = [list(dict.fromkeys(column)) for column in zip(*steps, strict=True)]
        if sum(len(column) > 1 for column in columns) == 1:
            return ".".join(c[0] if len(c) == 1 else "{" + ",".join(c) + "}" for c in columns)
    return " = ".join(names)

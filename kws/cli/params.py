"""`kws params`: what a model consists of, by formula and measured, or what it computes."""

import json
import os
import sys
from typing import Annotated, Any

import typer

from kws.cli import app
from kws.cli.shared_options import refuse_given
from kws.errors import UsageError

OVER_BUDGET = 1  # exit code
SYMBOLS = 16  # of the text, with --shapes of a recognizer: three digits, spelled
WIDTH_OF_A_PIPE = 140  # columns, if the output is not a terminal


@app.command("params")
def params(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="A model's name; by default all.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Other settings of the model: d_model=128."),
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(help="Number of logits; by default as published.")
    ] = None,
    num_features: Annotated[
        int | None, typer.Option(help="Features of a frame; by default as published.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Exit with code 1 if the model has more than this.")
    ] = None,
    shapes: Annotated[
        bool,
        typer.Option("--shapes", help="Shapes, multiply-adds and bytes of every module instead."),
    ] = False,
    frames: Annotated[
        int | None, typer.Option(min=1, help="With --shapes: length of a clip, by default 1 s.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="With --shapes: clips at a time.")] = 1,
    depth: Annotated[
        int, typer.Option(min=1, help="With --shapes: modules within modules shown.")
    ] = 2,
) -> None:
    """Count a model's parameters, by formula and by measurement; list all models without a name.

    With --shapes: for every module the shape of its output, parameters, multiply-adds, and the
    bytes kept for the backward pass, attention maps included.
    """
    from rich.console import Console

    from kws.models.registry import configure

    is_terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if is_terminal else WIDTH_OF_A_PIPE)
    if model is None:
        refuse_given(context, "the list of models", *context.params)
        list_models(console)
        return
    if not shapes:
        refuse_given(context, "a count without --shapes", "frames", "batch_size", "depth")
    changes = dict(as_setting(text) for text in settings or [])
    for option, value in (("num_features", num_features), ("num_classes", num_classes)):
        if value is not None and option in changes:
            raise UsageError(f"{option} is an option and a setting here: remove one")
        changes.setdefault(option, value)
    config = configure(model, **changes)
    if shapes:
        console.print(shapes_table(model, config, frames, batch_size, depth))
    describe(console, model, config, budget, with_parts=not shapes)


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


def build_without_memory(name: str, config: Any) -> Any:
    """The model with shapes in place of numbers: quick for any size."""
    import torch

    from kws.models.registry import build_from

    with torch.device("meta"):
        return build_from(name, config)


def list_models(console: Any) -> None:
    from rich.table import Table

    from kws.models.counts import count_parameters
    from kws.models.registry import MODELS, PRETRAINED, RECOGNIZERS

    table = Table("model", title="models, as published")
    for heading in ("parameters", "features", "classes"):
        table.add_column(heading, justify="right")
    table.add_column("what it is")
    for name, entry in (MODELS | RECOGNIZERS).items():
        config, count = entry.config, count_parameters(build_without_memory(name, entry.config))
        sizes = (f"{count:,}", str(config.num_features), str(config.num_classes))
        table.add_row(name, *sizes, entry.about)
    console.print(table)
    console.print(
        f"with '.[pretrained]' installed, reading waveforms: {', '.join(PRETRAINED)}", markup=False
    )


def describe(console: Any, name: str, config: Any, budget: int | None, *, with_parts: bool) -> None:
    """Print the parts of a model, the tensors it shares, and whether it keeps to the budget."""
    from rich.table import Table

    from kws.models.counts import count_parameters, formulas, measured_parts, shared_tensors
    from kws.models.registry import PRETRAINED

    model = build_without_memory(name, config)
    total = count_parameters(model)
    if name in PRETRAINED:
        console.print(f"{name}: {total:,} trainable parameters; transformers builds it: no formula")
    elif with_parts:
        by_formula = formulas(config)
        expected = sum(formula.value for formula in by_formula.values())
        table = Table("part", "formula", "with", show_footer=True)
        table.title = f"{name}, {config.num_features} features, {config.num_classes} classes"
        table.columns[0].footer = "total"
        table.add_column("value", justify="right", footer=f"{expected:,}")
        table.add_column("measured", justify="right", footer=f"{total:,}")
        for part, count in measured_parts(model).items():
            formula = by_formula[part]
            values = " ".join(f"{letter}={value}" for letter, value in formula.values.items())
            table.add_row(part, str(formula), values, f"{formula.value:,}", f"{count:,}")
        console.print(table)
    if shared := shared_tensors(model):
        named = model.named_parameters(remove_duplicate=False)
        separate = sum(parameter.numel() for _, parameter in named)
        console.print(f"shared tensors, counted once ({separate:,} if separate):")
        for names in shared:
            console.print(f"  {' = '.join(names)}", highlight=False, markup=False, soft_wrap=True)
    if budget is not None:
        left = budget - total
        verdict = f"{left:,} left of" if left >= 0 else f"{-left:,} over"
        console.print(f"{total:,} parameters: {verdict} the budget of {budget:,}")
        if left < 0:
            raise typer.Exit(OVER_BUDGET)


def shapes_table(name: str, config: Any, frames: int | None, batch_size: int, depth: int) -> Any:
    """The output of each module of a model, in training, for a batch."""
    from rich.table import Table

    from kws.audio.features import HOP
    from kws.audio.recordings import SAMPLE_RATE
    from kws.models.registry import PRETRAINED, RECOGNIZERS
    from kws.models.shapes import summarize

    symbols = SYMBOLS * (name in RECOGNIZERS)
    if frames is None:
        frames = SAMPLE_RATE if name in PRETRAINED else 1 + SAMPLE_RATE // HOP
        if getattr(config, "stem", "") == "frames":  # a token each, and a position for each of them
            frames = min(frames, config.max_tokens)
    model, sizes = build_without_memory(name, config), {"batch_size": batch_size}
    try:
        whole, *rows = summarize(
            model, config.num_features, frames=frames, num_symbols=symbols, **sizes
        )
    except RuntimeError as error:  # a layer got fewer frames than its kernel has
        raise UsageError(f"{name} cannot read {frames} frames: raise --frames") from error
    title = f"{name}, {batch_size} x {frames} frames x {config.num_features} features"
    table = Table("module", "class", "output", title=title + f", {symbols} symbols" * (symbols > 0))
    table.show_footer = True
    table.columns[0].footer, table.columns[2].footer = "total", " x ".join(map(str, whole.shape))
    for heading in ("parameters", "multiply-adds", "kept bytes"):
        total = getattr(whole, heading.replace("-", "_").replace(" ", "_"))
        table.add_column(heading, justify="right", footer=f"{total:,}")
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
            shape = " x ".join(map(str, row.shape))
            table.add_row(shown, kind, shape, *(f"{number:,}" for number in numbers))
    return table

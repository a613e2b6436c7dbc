"""How evaluate handles voices, codecs and priors; the speech engine makes their data."""

import json
import sys
from typing import Annotated

import typer

from kws.cli.shared_options import Run, Split, folder_of
from kws.files import write_text


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

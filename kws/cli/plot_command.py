"""`kws plot`: the curves of a run, and what its model attends to."""

from pathlib import Path
from typing import Annotated

import typer

from kws.cli import app
from kws.cli.shared_options import Resample, Run, folder_of, refuse


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
    from kws.training.checkpoint import load_model

    if clip is None:
        refuse("a plot without --clip", resample=resample)
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

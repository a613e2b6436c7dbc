"""`kws web`: a page that listens, to put on a web server or to open here."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kws.cli import app
from kws.cli.shared_options import SHIPPED, Run, folder_of, refuse_given
from kws.errors import UsageError

OTHERS_EVERY = 4  # of 1,120 clips of other words, one for the page


@app.command("web")
def web(
    context: typer.Context,
    run: Run = SHIPPED,
    out: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="Folder to write, by default web in the run folder."),
    ] = None,
    runtime: Annotated[
        Path | None, typer.Option(help="Folder with ONNX Runtime Web, where npm cannot fetch it.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Keyword spotter",
    serve: Annotated[bool, typer.Option("--serve", help="Serve it here until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
) -> None:
    """Write a page on which a keyword model listens to the microphone, all in the browser.

    OUT alone gets a page of the model of kws. The folder goes on any web server: browsers give the
    microphone to https and localhost.
    """
    if not serve:
        refuse_given(context, "a page without --serve", "port")
    import torch

    from kws.data.own_words import spare_corpus
    from kws.data.speech_commands import load_speech_commands
    from kws.inference import web_page
    from kws.inference.torch_stream import TorchStream
    from kws.training.batches import Batch
    from kws.training.checkpoint import SHIPPED as CARDS
    from kws.training.checkpoint import load_model, near_run, require_kind
    from kws.training.new_head import embed

    named = run == SHIPPED or run.suffix == ".pt" or (run / "best.pt").is_file()
    mistyped = not run.exists() and (near_run(run) or not run.parent.is_dir())
    if out is None and not (named or mistyped):
        run, out = SHIPPED, run
    out = out or folder_of(run) / "web"
    trained = load_model(run)
    require_kind(run, trained.task, "keywords")
    kind = trained.recipe.features.kind
    if kind == "waveform":
        raise UsageError(
            f"{run}: {trained.recipe.model.name} is too large for a page: train another recipe, "
            "such as keywords"
        )
    print(f"making a page of the model {run} in {out}: it takes some seconds", file=sys.stderr)
    split = load_speech_commands(spare_corpus(), "embedded-35", "training")
    rows = torch.arange(0, len(split), OTHERS_EVERY)
    words = [split.names[row].partition("/")[0] for row in rows]
    features = trained.features(split.waveforms(rows))
    clips = Batch(features=features, valid=None, labels=split.labels[rows], index=rows)
    measured = folder_of(run) / "evaluation-stream.json"  # by kws evaluate --stream
    if run == SHIPPED:
        measured = CARDS[run.name].with_suffix(".md")
    folder = web_page.write_page(
        out,
        trained.model,
        trained.labels,
        trained.features,
        title=title,
        mel_features=kind != "mfcc",
        runtime=runtime,
        others=(words, embed(trained.model, [clips])),
        measured=measured.read_text(encoding="utf-8") if measured.is_file() else "",
        has_state=kind == "log_mel" and TorchStream(trained).step_frames > 0,
    )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"written: {folder}, {size / 1e6:.1f} MB, with the model {run}")
    if serve:
        web_page.serve(folder, port)

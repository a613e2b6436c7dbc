"""`kws evaluate`: measure a model on what its kind is measured by."""

from typing import Annotated, Any

import typer

from kws.cli import app
from kws.cli.evaluate_classifier import evaluate_keywords, evaluate_speakers, evaluate_stream
from kws.cli.shared_options import Run, accept_options, options_of
from kws.cli.speaking_models import evaluate_generator
from kws.cli.speech_to_text import evaluate_recognizer

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

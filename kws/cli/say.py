"""`kws say`: speech from text."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kws.cli import app


@app.command("say")
def say(
    text: Annotated[str, typer.Argument(help="What to say, in English.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The .wav file to write.")],
    pace: Annotated[
        float, typer.Option("--pace", help="How many times as long as usual: 1.3 is slower.")
    ] = 1.0,
    run: Annotated[
        Path | None, typer.Option("--run", help="A voice of kws train text-to-speech.")
    ] = None,
) -> None:
    """Say a text with a FastSpeech of our own and Griffin-Lim: 16 kHz, mono, 16 bits.

    Without --run a model is trained once, in two minutes or so, on phrases of the embedded engine.
    """
    from kws.audio.recordings import SAMPLE_RATE
    from kws.data.embedded.phrases import check_text
    from kws.data.embedded.recording import write_wav
    from kws.errors import UsageError
    from kws.files import atomic_path
    from kws.inference.synthesizer import load_voice, synthesizer

    check_text(text)
    if out.suffix.lower() != ".wav":
        raise UsageError(f"{out}: only .wav files are written: name it {out.with_suffix('.wav')}")
    if run is None and sys.stderr.isatty():
        print("the model is trained the first time, in about two minutes", file=sys.stderr)
    voice = load_voice(run) if run else synthesizer(progress=sys.stderr.isatty())
    waveform = voice.say(text, pace)
    with atomic_path(out) as path:
        write_wav(path, waveform.numpy())
    print(f"{out}: {len(waveform) / SAMPLE_RATE:.2f} s")

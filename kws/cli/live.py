"""Live audio: listen, record, and the long recordings of `kws data stream`."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kws.cli import INTERRUPTED, app, data_app
from kws.cli.predict_command import onnx_model, torch_model
from kws.cli.shared_options import SHIPPED, Device, Partial, Resample, TriggerText, refuse_given
from kws.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from kws.inference.detector import Event

Input = Annotated[
    str | None, typer.Option("--device-name", help="Another microphone than the default one.")
]


@app.command("listen")
def listen(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN] [FILE]",
            help="Run folder, checkpoint or ONNX file, by default the model of kws; a recording of "
            "any length, - is 16-bit mono samples at 16 kHz from a pipe.",
        ),
    ] = None,
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Listen to this machine's microphone.")
    ] = False,
    trigger: TriggerText = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    resample: Resample = False,
    device: Device = "auto",
    device_name: Input = None,
) -> None:
    """Spot a model's words in a recording or in live audio: the time, word and score of each.

    A microphone of any rate is converted; it listens until Ctrl-C.
    """
    from kws.data.listing import AUDIO_SUFFIXES
    from kws.inference.detector import parse_trigger
    from kws.inference.streaming import ListeningTime
    from kws.inference.streaming import listen as spot

    given = list(sources or ())
    only_run = len(given) == 1 and (Path(given[0]).is_dir() or given[0].endswith((".pt", ".onnx")))
    file = None if microphone or only_run or not given else given.pop()
    recordings = [one for one in given if Path(one).suffix.lower() in AUDIO_SUFFIXES]
    if (file is None and not microphone) or len(given) > 1 or recordings:
        named = "".join(f"{one}: " for one in sources or ())
        raise UsageError(f"{named}not one source to listen to: give one FILE, or --microphone")
    run = Path(given[0]) if given else SHIPPED
    if not microphone:
        refuse_given(context, "a file", "device_name")
    if file in (None, "-"):
        kind = "the microphone, which is converted anyway" if microphone else "a pipe"
        refuse_given(context, kind, "resample")
    settings, spent = parse_trigger(trigger), ListeningTime()
    if (model := onnx_model(run, device)) is None:
        from kws.inference.torch_stream import TorchStream

        model = TorchStream(torch_model(run, device))
    with ExitStack() as stack:
        blocks, event = source_of(stack, file, device_name, resample), None
        try:
            for event in spot(model, blocks, settings, newest=microphone, spent=spent):
                print(line_of(event, as_json), flush=True)
        except KeyboardInterrupt:
            print(f"kws: interrupted after {spent}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
    if file == "-" and not spent.seconds:
        raise UsageError("the pipe gave no samples: check the program that writes to it")
    if event is None and (best := spent.highest):
        print(
            f"no word reached the threshold, {settings.threshold:g}, for long enough: the highest "
            f"average was {best.score:.2f}, of {best.word}, at {best.time:.1f} s (--trigger)",
            file=sys.stderr,
        )
    print(spent, file=sys.stderr)


def source_of(
    stack: ExitStack, file: str | None, device_name: str | None, resample: bool
) -> "Iterator[np.ndarray]":
    """Blocks of the file, of the pipe, or of the microphone."""
    from kws.data.audio_blocks import PcmPipe, file_blocks, live_blocks

    if file is None:
        from kws.inference.microphone import open_microphone

        microphone = stack.enter_context(open_microphone(device_name))
        print("listening, Ctrl-C ends it", file=sys.stderr)
        return live_blocks(microphone)
    if file == "-":
        return live_blocks(PcmPipe(sys.stdin.buffer.read))
    return file_blocks(file, resample=resample)


def line_of(event: "Event", as_json: bool) -> str:
    """One event as text or as JSON."""
    if as_json:
        table = {"time": event.time, "word": event.word, "score": round(event.score, 6)}
        return json.dumps(table, ensure_ascii=False)
    return f"{event.time:10.2f} s  {event.word:16}  {100 * event.score:5.1f} %"


@app.command("record")
def record(
    context: typer.Context,
    word: Annotated[
        str, typer.Argument(help="The word, or _background_noise_ for a minute of the room.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of your words: recordings go to OUT/WORD.")],
    count: Annotated[int, typer.Option(min=1, help="Recordings to make.")] = 10,
    speaker: Annotated[
        str,
        typer.Option(help="Who speaks: written as a hash, so that a speaker is in one split only."),
    ] = "me",
    seconds: Annotated[
        float, typer.Option(min=1, help="Length of background noise, seconds.")
    ] = 60,
    device_name: Input = None,
) -> None:
    """Record a word from the microphone, in the layout that kws train --words reads."""
    from kws.data.listing import NOISE_FOLDER
    from kws.data.protocols import own_protocol
    from kws.inference.microphone import open_microphone, record_noise, record_takes

    if word == NOISE_FOLDER:
        refuse_given(context, "background noise", "count", "speaker")
    else:
        refuse_given(context, "a word", "seconds")
        own_protocol([word])
    with open_microphone(device_name) as microphone:
        if word == NOISE_FOLDER:
            record_noise(microphone, out, seconds=seconds)
            return
        record_takes(microphone, word, out, count=count, speaker=speaker)
    print(f"{out}: train with kws train keywords --data {out} --words all --head-only --out RUN")


@data_app.command("stream")
def stream(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    data: Annotated[Path, typer.Option(help="Folder with clips of words.")],
    words: Annotated[
        str | None, typer.Option(help="Words to be found, ja,nein; by default those of --protocol.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="Words to detect.")] = "v2-12",
    split: Annotated[
        Literal["training", "validation", "testing"], typer.Option(help="Speakers of this split.")
    ] = "testing",
    minutes: Annotated[float, typer.Option(help="Length of each recording.")] = 60.0,
    files: Annotated[int, typer.Option(help="Recordings to make.")] = 1,
    gap: Annotated[float, typer.Option(help="Mean seconds between clips.")] = 4.0,
    others: Annotated[float, typer.Option(help="Share of the clips that are other words.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Of every choice.")] = 0,
    resample: Resample = False,
    partial: Partial = False,
) -> None:
    """Make long recordings: words in noise, other words and silence, and a table of the truth."""
    from kws.data.protocols import get_protocol, own_protocol
    from kws.data.streams import TRUTH, make_streams, read_truth

    if words is not None:
        refuse_given(context, "a stream with --words", "protocol")
    chosen = get_protocol(protocol) if words is None else own_protocol(words.split(","))
    make_streams(
        out,
        data,
        words=chosen.words,
        split=split,
        minutes=minutes,
        files=files,
        gap=gap,
        others=others,
        seed=seed,
        resample=resample,
        partial=partial,
    )
    spoken = [each for inside in read_truth(out).values() for each in inside]
    wanted = [each.clip for each in spoken if each.word in chosen.words]
    other = [each.clip for each in spoken if each.word not in chosen.words]
    print(
        f"{out}: {files} recordings of {minutes:g} minutes, {len(wanted):,} words to be found "
        f"({len({*wanted}):,} different clips), {len(other):,} others ({len({*other}):,}): "
        f"{out / TRUTH}"
    )

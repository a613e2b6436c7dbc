"""The microphone of this machine, through sounddevice (`pip install '.[microphone]'`).

    with open_microphone() as microphone:
        for block in live_blocks(microphone): ...

Only `open_microphone` needs a device, and no torch; the rest accepts any object with sounddevice's
`read(frames)`. A recording of a word is cut to its loudest second.

Shape letters: N samples
"""

import hashlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from kws.audio import CLIP_SAMPLES, SAMPLE_RATE
from kws.data.audio_blocks import Microphone, live_blocks
from kws.data.listing import NOISE_FOLDER
from kws.data.protocols import own_protocol
from kws.errors import UsageError

ROOM = 2.0  # seconds recorded, of which the loudest one is kept
QUIETEST = 0.01  # a recording whose peak is below is silence: -40 dB
STEP = SAMPLE_RATE // 100


@contextmanager
def open_microphone(device: str | None = None) -> Iterator[Microphone]:
    """The default microphone, or the one called `device`, at 16 kHz or at the rate that it has.

    Raises UsageError: no sounddevice, no PortAudio, no microphone, or one that is refused.
    """
    if importlib.util.find_spec("sounddevice") is None:
        raise UsageError(
            "the microphone needs sounddevice: run pip install '.[microphone]' in the "
            "folder of kws, or give a file"
        )
    try:
        import sounddevice  # pyright: ignore[reportMissingImports]  (an extra)
    except OSError as error:
        raise UsageError(
            f"the microphone needs the PortAudio library ({error}): install libportaudio2, or "
            "give a file"
        ) from None
    stream = _stream(sounddevice, device)
    if round(stream.samplerate) != SAMPLE_RATE:  # torch takes seconds: not when sound comes already
        import kws.audio.resampling  # noqa: F401
    try:
        stream.start()
        yield stream
    except sounddevice.PortAudioError as error:
        raise UsageError(f"the microphone stopped ({error}): check it, or give a file") from None
    finally:
        stream.close()


def _stream(sounddevice: Any, device: str | None) -> Any:
    """An input stream that is not started; one channel, or as many as the device insists on."""
    try:
        about = sounddevice.query_devices(device, "input")
    except (ValueError, sounddevice.PortAudioError) as error:
        which = f"{device!r}" if device else "no microphone"
        raise UsageError(
            f"{which}: not found here ({str(error).rstrip('.')}): check that one is connected and "
            "that this program may use it, or give a file"
        ) from None
    reasons = []
    for rate in dict.fromkeys((SAMPLE_RATE, round(about["default_samplerate"]))):
        for channels in dict.fromkeys((1, min(2, about["max_input_channels"]))):
            try:
                return sounddevice.InputStream(
                    samplerate=rate, channels=channels, dtype="float32", device=device
                )
            except sounddevice.PortAudioError as error:
                reasons.append(str(error))
    raise UsageError(
        f"the microphone {about['name']!r} cannot be opened ({reasons[-1]}): check that this "
        "program may use it and that no other one does, or give a file"
    )


def record_takes(
    source: Microphone,
    word: str,
    out: str | Path,
    *,
    count: int = 10,
    speaker: str = "me",
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Record `count` recordings of `word` into `out/word/`, numbered after those that are there.

    A silent recording is asked for again, three times at most in a row. Each is written as soon as
    it is recorded. The name of the speaker is not written, only what its hash makes of it. Raises
    UsageError: not a word, a silent microphone, or one that ended.
    """
    from kws.audio.recordings import write_audio

    own_protocol([word])
    folder = Path(out) / word
    written: list[Path] = []
    silent = 0
    blocks = live_blocks(source)
    while len(written) < count:
        say(f"say {word!r} now ({len(written) + 1} of {count})")
        recording = loudest_second(_seconds(blocks, ROOM, written))
        loudest = float(np.abs(recording).max())
        if loudest < QUIETEST:
            silent += 1
            if silent == 3:
                raise UsageError(
                    f"the microphone gives silence, {len(written)} of {count} recordings are "
                    "written: check its level and that this program may use it"
                )
            say("  that was silent: again, a little louder")
            continue
        silent = 0
        path = next_name(folder, speaker)
        write_audio(path, recording)
        written.append(path)
        say(f"  written: {path}" + (", too loud: go back a little" if loudest >= 0.999 else ""))
    return written


def record_noise(
    source: Microphone, out: str | Path, *, seconds: float, say: Callable[[str], None] = print
) -> Path:
    """Record `seconds` of the room into `out/_background_noise_/`, the next free `room_N.wav`."""
    from kws.audio.recordings import write_audio

    folder = Path(out) / NOISE_FOLDER
    say(f"{seconds:g} seconds of the room, please say nothing")
    waveform = _seconds(live_blocks(source), seconds, [])
    path = _free(folder, "room")
    write_audio(path, waveform)
    say(f"  written: {path}")
    return path


def _seconds(blocks: Iterator[np.ndarray], seconds: float, written: list[Path]) -> np.ndarray:
    """The next `seconds`; UsageError where the microphone ends before."""
    parts, missing = [np.empty(0, np.float32)], round(seconds * SAMPLE_RATE)
    while missing > 0 and (block := next(blocks, None)) is not None:
        parts.append(block)
        missing -= len(block)
    samples = np.concatenate(parts)
    if len(samples) < CLIP_SAMPLES:
        raise UsageError(
            f"the microphone ended, {len(written)} recordings are written: check its connection "
            "and go on with the same command"
        )
    return samples


def loudest_second(waveform: Float[np.ndarray, "N"]) -> Float[np.ndarray, "M"]:
    """The second of a longer recording with the most energy, to a hundredth of a second."""
    power = np.append(0, np.square(waveform, dtype=np.float64).cumsum())
    start = STEP * int((power[CLIP_SAMPLES::STEP] - power[:-CLIP_SAMPLES:STEP]).argmax())
    return waveform[start : start + CLIP_SAMPLES]


def next_name(folder: Path, speaker: str) -> Path:
    """The next free `<8 hex>_nohash_<n>.wav` of a speaker.

    >>> next_name(Path("ja"), "me").name
    '2744ccd1_nohash_0.wav'
    """
    hashed = hashlib.sha256(speaker.encode()).hexdigest()[:8]
    return _free(folder, f"{hashed}_nohash")


def _free(folder: Path, stem: str) -> Path:
    paths = (folder / f"{stem}_{number}.wav" for number in count())
    return next(path for path in paths if not path.exists())

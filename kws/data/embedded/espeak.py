"""Texts to speech with espeak-ng, which runs as a tool in a process of its own
(`espeak_engine.py`).

The `espeakng-loader` wheel brings the library and its voices: nothing is downloaded and no system
package is needed. The library keeps state from one utterance to the next, so the same text twice
gives two results; one list of utterances spoken by one fresh process is the same bytes every time.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import espeakng_loader
import numpy as np

from kws.data.embedded.espeak_engine import SAMPLE_RATE as SAMPLE_RATE
from kws.errors import UsageError, did_you_mean

ENGINE_NAME = "espeak-ng 1.52.0 (espeakng-loader 0.2.4)"
ENGINE = Path(__file__).with_name("espeak_engine.py")
NEEDED = ("phondata", "phontab", "phonindex", "intonations", "en_dict")  # English: 1.2 MB of 18
VARIANTS = Path("voices", "!v")


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A text and how to speak it: `rate` in words per minute, `pitch` and `range` from 0 to 99."""

    text: str
    rate: int
    pitch: int
    range: int


@cache
def stock_variants() -> Mapping[str, str]:
    """The engine's own voice variants by name: each is a text of formants and pitches."""
    folder = Path(espeakng_loader.get_data_path(), VARIANTS)
    return {path.name: path.read_text(errors="replace") for path in sorted(folder.iterdir())}


def known_voice(name: str) -> str:
    """`name`, if there is a voice file called so, such as "gmw/de"; UsageError otherwise."""
    folder = Path(espeakng_loader.get_data_path(), "lang")
    there = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    if name not in there:
        raise UsageError(
            f"the engine has no voice {name!r}{did_you_mean(name, there)}: choose one of its "
            f"{len(there)} files, such as gmw/de or roa/fr"
        )
    return name


def lay_out_data(folder: Path, accent: str, variant: str) -> None:
    """Fill `folder` with what the engine needs for `accent`, and with `variant` as "own"."""
    source = Path(espeakng_loader.get_data_path())
    (folder / VARIANTS).mkdir(parents=True)
    (folder / "lang/gmw").mkdir(parents=True)
    for name in NEEDED:
        shutil.copyfile(source / name, folder / name)
    for path in source.glob("lang/gmw/en*"):
        shutil.copyfile(path, folder / "lang/gmw" / path.name)
    own = source / "lang" / accent
    dictionary = source / f"{own.name.partition('-')[0]}_dict"
    for path in (own, dictionary):
        target = folder / path.relative_to(source)
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    (folder / VARIANTS / "own").write_text(variant)


@dataclass(frozen=True, kw_only=True)
class SpeechEvent:
    """An event at a sample: the start of a "word" or a "phoneme", or the "end"."""

    kind: str
    sample: int  # at 22,050 Hz, from the beginning of the utterance; exact
    phoneme: str  # of a "phoneme" its name, with a stress mark in front


def speak(
    accent: str, variant: str, utterances: Sequence[Utterance], *, seed: int, scratch: Path
) -> list[np.ndarray]:
    """Speak `utterances` in order, with one fresh engine.

    `accent` is a voice file such as "gmw/en-US" and `variant` the text of a variant of it; `seed`,
    below 2**31, sets the engine's own noise (breath, flutter). Folder `scratch` holds 1 MB of the
    engine's data meanwhile. Returns for each utterance its samples, int16 (N,) at 22,050 Hz. Raises
    RuntimeError with the engine's own words when it fails.
    """
    answer = _ask(accent, variant, utterances, seed=seed, scratch=scratch)
    spoken, position = [], 0
    for _ in utterances:
        samples, position = _block(answer, position, width=2)
        spoken.append(np.frombuffer(samples, "<i2"))
    return spoken


def speak_with_events(
    accent: str, variant: str, utterances: Sequence[Utterance], *, seed: int, scratch: Path
) -> list[tuple[np.ndarray, list[SpeechEvent]]]:
    """The same samples as `speak`, and the events of each utterance in order."""
    answer = _ask(accent, variant, utterances, seed=seed, scratch=scratch, events=True)
    spoken, position = [], 0
    for _ in utterances:
        samples, position = _block(answer, position, width=2)
        line, position = _block(answer, position, width=1)
        events = [
            SpeechEvent(kind=kind, sample=sample, phoneme=phoneme)
            for kind, sample, phoneme in json.loads(line)
        ]
        spoken.append((np.frombuffer(samples, "<i2"), events))
    return spoken


def _ask(
    accent: str,
    variant: str,
    utterances: Sequence[Utterance],
    *,
    seed: int,
    scratch: Path,
    events: bool = False,
) -> bytes:
    """The engine's output, as `espeak_engine.py` describes it."""
    request = {
        "library": espeakng_loader.get_library_path(),
        "voice": f"{accent}+own",
        "seed": seed,
        "events": events,
        "utterances": [asdict(utterance) for utterance in utterances],
    }
    with tempfile.TemporaryDirectory(
        dir=scratch
    ) as data:  # the engine lists all the voices it sees
        lay_out_data(Path(data), accent, variant)
        done = subprocess.run(
            [sys.executable, "-I", "-S", ENGINE],
            input=json.dumps(request).encode(),
            capture_output=True,
            cwd=data,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(
            f"the speech engine failed with code {done.returncode}: "
            f"{done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout


def _block(answer: bytes, position: int, *, width: int) -> tuple[bytes, int]:
    """A counted block of items of `width` bytes, and where the next one begins."""
    start = position + 4
    end = start + width * int.from_bytes(answer[position:start], "little")
    return answer[start:end], end

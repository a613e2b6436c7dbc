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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import espeakng_loader
import numpy as np

from kws.data.espeak_engine import SAMPLE_RATE as SAMPLE_RATE

ENGINE_NAME = "espeak-ng 1.52.0 (espeakng-loader 0.2.4)"
ENGINE = Path(__file__).with_name("espeak_engine.py")
NEEDED = ("phondata", "phontab", "phonindex", "intonations", "en_dict")  # English: 1.2 MB of 18
VARIANTS = Path("voices", "!v")


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """What to say and how: `rate` in words per minute, `pitch` and `range` from 0 to 99."""

    voice: str
    text: str
    rate: int
    pitch: int
    range: int


def stock_variants() -> dict[str, str]:
    """The engine's own voice variants by name: each is a text of formants and pitches."""
    folder = Path(espeakng_loader.get_data_path(), VARIANTS)
    return {path.name: path.read_text(errors="replace") for path in sorted(folder.iterdir())}


def lay_out_data(folder: Path, variants: dict[str, str]) -> None:
    """Fill `folder` with what the engine needs to speak English, and with own `variants`, by name.

    A variant NAME is then the voice `gmw/en-US+NAME`, and the same with every other accent.
    """
    source = Path(espeakng_loader.get_data_path())
    (folder / VARIANTS).mkdir(parents=True)
    (folder / "lang/gmw").mkdir(parents=True)
    for name in NEEDED:
        shutil.copyfile(source / name, folder / name)
    for path in source.glob("lang/gmw/en*"):
        shutil.copyfile(path, folder / "lang/gmw" / path.name)
    for name, text in variants.items():
        (folder / VARIANTS / name).write_text(text)


def speak(data: Path, utterances: Sequence[Utterance], *, seed: int) -> list[np.ndarray]:
    """Speak `utterances` in order with one fresh engine on the data in folder `data`.

    `seed` below 2**31 sets the engine's own noise (breath, flutter). Returns one int16 array (N,)
    of samples at 22,050 Hz for each utterance. Raises RuntimeError with the engine's own words when
    it fails.
    """
    request = {
        "library": espeakng_loader.get_library_path(),
        "seed": seed,
        "utterances": [asdict(utterance) for utterance in utterances],
    }
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
    spoken, position = [], 0
    for _ in utterances:
        count = int.from_bytes(done.stdout[position : position + 4], "little")
        spoken.append(np.frombuffer(done.stdout, "<i2", count, position + 4))
        position += 4 + 2 * count
    return spoken

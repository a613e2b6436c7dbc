"""Strings of spoken digits with transcripts and word starts, for speech to text.

    transcripts.csv        file,speaker,split,text,starts: a line for each utterance
    <speaker>/<number>.wav PCM16, 16 kHz, mono
    strings.json           how each voice and recording was made

The voices are those of the word corpus (`kws.data.embedded.corpus`), each with its microphone, room
and noise; neither a speaker nor a voice variant is in two splits. `text` is spelled, "seven
three"; `starts` has the seconds from the beginning of the file to each of its words, by the
engine's own events. A seed fixes every byte.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kws.data.embedded.corpus import FEWEST_SPEAKERS, draw_cast
from kws.data.embedded.espeak import ENGINE_NAME, SpeechEvent
from kws.data.embedded.espeak import SAMPLE_RATE as ENGINE_RATE
from kws.data.embedded.provenance import corpus_folder, describe_seed
from kws.data.embedded.recording import (
    BLOCK,
    ENGINE_BLOCK,
    Setup,
    amplitude,
    noise,
    record,
    rms,
    write_wav,
)
from kws.data.embedded.voices import generator, say_with_events, speaker_splits
from kws.data.transcripts import TABLE, write_transcripts
from kws.errors import UsageError
from kws.parallel import thread_map

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SHORTEST, LONGEST = 2, 5  # words of a string
RECORD = "strings.json"
VERSION = 1  # of the bytes that a seed gives


@dataclass(frozen=True, kw_only=True)
class _Spoken:
    """One utterance: text, start of each word in seconds, and float32 at 16 kHz."""

    text: str
    starts: tuple[float, ...]
    waveform: np.ndarray


def make_strings(
    out: str | Path,
    *,
    speakers: int = 120,
    strings: int = 30,
    words: Sequence[str] = DIGITS,
    seed: int | str = 0,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Make strings of 2 to 5 `words` at `out`, or find them; the rest as `make_corpus`."""
    out = Path(out)
    if speakers < FEWEST_SPEAKERS:
        raise UsageError(
            f"speakers={speakers} leaves a split empty: choose at least {FEWEST_SPEAKERS}"
        )
    if strings < 1:
        raise UsageError(f"strings={strings} must be 1 or more")
    check_words(words)
    recipe = {
        "corpus": "embedded strings",
        "version": VERSION,
        "seed": describe_seed(seed),
        "words": list(words),
        "speakers": speakers,
        "strings": strings,
    }
    with corpus_folder(out, RECORD, recipe) as folder:
        if folder is None:
            return out
        splits, cast = speaker_splits(speakers, seed), draw_cast(speakers, seed)
        scratch = folder / ".engine"
        for name in (*cast, scratch.name):
            (folder / name).mkdir()

        def say_strings(speaker: str) -> list[dict[str, str]]:
            voice, setup = cast[speaker]
            rng = generator(seed, "strings", speaker)
            texts = [draw_string(rng, words) for _ in range(strings)]
            spoken = say_with_events(voice, [f"{text}." for text in texts], rng, scratch)
            rows = []
            for number, one in enumerate(recorded(texts, spoken, setup, rng)):
                file = f"{speaker}/{number:03}.wav"
                write_wav(folder / file, one.waveform)
                starts = " ".join(f"{start:.4f}" for start in one.starts)
                split = splits[speaker]
                row = {"file": file, "speaker": speaker, "split": split, "text": one.text}
                rows.append(row | {"starts": starts})
            return rows

        title = f"speaking into {out}"
        made = thread_map(say_strings, list(cast), workers=workers, title=title, progress=progress)
        scratch.rmdir()
        write_transcripts(folder / TABLE, [row for rows in made for row in rows])
        about = {
            speaker: asdict(voice) | {"recording": asdict(setup)}
            for speaker, (voice, setup) in cast.items()
        }
        table = {"recipe": recipe, "engine": ENGINE_NAME, "speakers": about}
        (folder / RECORD).write_text(json.dumps(table, indent=1) + "\n")
    return out


def check_words(words: Sequence[str]) -> None:
    """Raise UsageError for words that cannot be spoken, or not be distinguished in a transcript."""
    if not words:
        raise UsageError("no words to speak: name at least one")
    for word in words:
        if not (word.isascii() and word.isalpha() and word.islower()):
            raise UsageError(
                f"{word!r} cannot be a word of a string: use small letters a to z only"
            )


def draw_string(rng: np.random.Generator, words: Sequence[str]) -> str:
    """2 to 5 of `words`, each as likely as the others, with spaces between them."""
    count = rng.integers(SHORTEST, LONGEST + 1)
    return " ".join(words[int(i)] for i in rng.integers(len(words), size=count))


def recorded(
    texts: Sequence[str],
    spoken: Sequence[tuple[np.ndarray, list[SpeechEvent]]],
    setup: Setup,
    rng: np.random.Generator,
) -> list[_Spoken]:
    """One speaker's utterances through its microphone, untrimmed: the engine's times stay true."""
    recordings = record([samples for samples, _ in spoken], setup)
    background = noise(rng, max(map(len, recordings)) + 1, setup.noise_slope, setup)
    found = []
    for text, (samples, events), wave in zip(texts, spoken, recordings, strict=True):
        wave = wave[: len(samples) * BLOCK // ENGINE_BLOCK]
        loudness = rms(wave) * amplitude(-setup.signal_to_noise + rng.normal(0, 3))
        wave = wave + loudness * background[: len(wave)]
        wave = wave * (amplitude(-0.5 - 20 * rng.random() ** 2) / np.abs(wave).max())
        starts = tuple(event.sample / ENGINE_RATE for event in events if event.kind == "word")
        found.append(_Spoken(text=text, starts=starts, waveform=wave))
    return found

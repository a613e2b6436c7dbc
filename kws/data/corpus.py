"""The embedded corpus: spoken keywords in exactly the layout of Speech Commands, made on the spot.

Nothing is downloaded. Word folders hold `<8 hex of the speaker>_nohash_<take>.wav` (PCM16, 16 kHz,
mono, at most 1 s), `validation_list.txt` and `testing_list.txt` agree with the official hash rule,
`_background_noise_` holds six recordings, and `speakers.json` says how each voice and recording was
made. Neither a speaker nor a voice variant is heard in two splits. A seed fixes every byte, however
many cores work on it.

Some clips are awkward on purpose, as people's are: one in ten is shorter than a second, a few are
quiet.
"""

import json
import shutil
import wave
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from kws.data.backgrounds import BABBLE_TEXT, backgrounds
from kws.data.building import folder_beside, in_parallel, is_made, recorded_seed
from kws.data.espeak import ENGINE_NAME, lay_out_data, speak
from kws.data.espeak import SAMPLE_RATE as ENGINE_RATE
from kws.data.recording import (
    SAMPLE_RATE,
    Setup,
    decibels,
    draw_setup,
    noise,
    record,
    rms,
    trim,
)
from kws.data.speaker_corpus import make_speaker_corpus as make_speaker_corpus
from kws.data.voices import Voice, draw_word_voice, generator, speaker_ids, take_of, variant_pools
from kws.errors import UsageError, did_you_mean
from kws.protocols import SPLITS, V2_WORDS, which_split

SIZES = {"tiny": 20, "mini": 120, "standard": 200}  # speakers
TAKES = 2  # times that a speaker says each word
RECORD = "speakers.json"
SHORT, QUIET = 0.1, 0.03  # shares of the clips
ENDINGS = ("", "", "", ".", ".", ".", "!", "!", "?", ",")  # they bend the melody of a word
VERSION = 1  # of the bytes that a seed stands for


def make_corpus(
    out: str | Path,
    *,
    size: str = "mini",
    seed: int | str = 0,
    words: Sequence[str] = V2_WORDS,
    speakers: int | None = None,
    takes: int = TAKES,
    noise_seconds: int = 60,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Make the corpus at folder `out`, or find it there already, and return the folder.

    `size` sets the number of speakers, unless `speakers` does; each says each of `words` `takes`
    times. A text as `seed` is a secret: only its fingerprint is written down. `workers` is the
    number of threads, None one for each core. Raises UsageError for arguments out of range and
    where something else is in the way at `out`; OSError where it cannot be written. `out` is whole
    or absent, whenever the process ends.
    """
    out = Path(out)
    if size not in SIZES:
        raise UsageError(
            f"unknown size {size!r}{did_you_mean(size, list(SIZES))}: "
            f"choose one of {', '.join(SIZES)}"
        )
    speakers = SIZES[size] if speakers is None else speakers
    if speakers < 10:
        raise UsageError(f"speakers={speakers} leaves a split empty: choose at least 10")
    if takes < 1 or noise_seconds < 1:
        raise UsageError(f"takes={takes} and noise_seconds={noise_seconds} must be 1 or more")
    recipe = {
        "corpus": "embedded words",
        "version": VERSION,
        "seed": recorded_seed(seed),
        "words": list(words),
        "speakers": speakers,
        "takes": takes,
        "noise_seconds": noise_seconds,
    }
    if is_made(out, RECORD, recipe):
        return out
    with folder_beside(out) as folder:
        made_by = cast(speakers, seed)
        engine = folder / ".engine"
        lay_out_data(engine, {name: voice.definition for name, (voice, _) in made_by.items()})
        for word in words:
            (folder / word).mkdir()

        def say_all_words(speaker: str) -> None:
            voice, setup = made_by[speaker]
            rng = generator(seed, "takes", speaker)
            texts = [word + rng.choice(ENDINGS) for word in words for _ in range(takes)]
            utterances = [take_of(voice, speaker, text, rng) for text in texts]
            spoken = speak(engine, utterances, seed=int(rng.integers(1 << 31)))
            for i, clip in enumerate(as_clips(spoken, setup, rng)):
                name = f"{words[i // takes]}/{speaker}_nohash_{i % takes}.wav"
                write_wav(folder / name, clip)

        in_parallel(
            say_all_words,
            list(made_by),
            workers=workers,
            title=f"speaking into {out}",
            progress=progress,
        )
        write_backgrounds(folder / "_background_noise_", engine, noise_seconds, made_by, seed)
        shutil.rmtree(engine)
        for split in SPLITS[1:]:
            names = [
                f"{word}/{speaker}_nohash_{take}.wav\n"
                for word in sorted(words)
                for speaker in sorted(made_by)
                for take in range(takes)
                if split_of(speaker) == split
            ]
            (folder / f"{split}_list.txt").write_text("".join(names))
        about = {
            speaker: {"split": split_of(speaker), **asdict(voice), "recording": asdict(setup)}
            for speaker, (voice, setup) in made_by.items()
        }
        text = json.dumps({"recipe": recipe, "engine": ENGINE_NAME, "speakers": about}, indent=1)
        (folder / RECORD).write_text(text + "\n")
    return out


def write_backgrounds(
    folder: Path, engine: Path, seconds: int, made_by: dict, seed: int | str
) -> None:
    """The six background recordings; the first training speakers make the babble."""
    rng = generator(seed, "backgrounds")
    talkers = [name for name in made_by if split_of(name) == "training"][:6]
    spoken = []
    for name in talkers:
        utterance = take_of(made_by[name][0], name, BABBLE_TEXT, rng)
        spoken += speak(engine, [utterance], seed=int(rng.integers(1 << 31)))
    folder.mkdir()
    for name, recording in backgrounds(rng, seconds * SAMPLE_RATE, record(spoken, None)).items():
        write_wav(folder / f"{name}.wav", recording)


def split_of(speaker: str) -> str:
    """The official split of a speaker's clips."""
    return which_split(f"{speaker}_nohash_0.wav")


def cast(count: int, seed: int | str) -> dict[str, tuple[Voice, Setup]]:
    """`count` speakers by id: how each speaks and is recorded. Variants are dealt out in turn."""
    decks = {
        split: deal(pool, generator(seed, "deck", split)) for split, pool in variant_pools().items()
    }
    drawn = {}
    for speaker in speaker_ids(count, seed):
        rng = generator(seed, "voice", speaker)
        drawn[speaker] = (draw_word_voice(rng, next(decks[split_of(speaker)])), draw_setup(rng))
    return drawn


def deal(cards: tuple[str, ...], rng: np.random.Generator) -> Iterator[str]:
    """All of `cards` in random order, then all again in another order, and so on without end."""
    while True:
        yield from (cards[i] for i in rng.permutation(len(cards)))


def as_clips(spoken: list[np.ndarray], setup: Setup, rng: np.random.Generator) -> list[np.ndarray]:
    """One speaker's utterances (int16, 22,050 Hz) as clips of at most 1 s: float32 at 16 kHz."""
    words = [trim(samples)[:ENGINE_RATE] for samples in spoken]
    background = noise(rng, 4 * SAMPLE_RATE, setup.noise_slope)
    clips = []
    for word, heard in zip(words, record(words, setup), strict=True):
        length = len(word) * SAMPLE_RATE // ENGINE_RATE
        total = SAMPLE_RATE
        if rng.random() < SHORT:
            total = max(length, int(rng.uniform(0.4, 0.99) * SAMPLE_RATE))
        onset = int(min(max(rng.normal(0.5, 0.18), 0), 1) * (total - length))
        start = rng.integers(len(background) - total)
        loudness = rms(heard[:length]) * decibels(-setup.signal_to_noise + rng.normal(0, 3))
        clip = loudness * background[start : start + total]
        heard = heard[: total - onset]
        clip[onset : onset + len(heard)] += heard
        quiet = rng.random() < QUIET
        level = rng.uniform(-42, -26) if quiet else rng.uniform(-20, -1.5)
        clips.append(clip * (decibels(level) / np.abs(clip).max()))
    return clips


def write_wav(path: Path, clip: np.ndarray) -> None:
    """Write float samples in [-1, 1] as 16-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, len(clip), "NONE", ""))
        file.writeframes(np.round(clip * 32767).astype("<i2").tobytes())

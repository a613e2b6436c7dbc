"""The embedded corpus: synthetic spoken keywords in the layout of Speech Commands.

Nothing is downloaded. Word folders contain `<8 hex of the speaker>_nohash_<number>.wav` (PCM16, 16
kHz, mono, at most 1 s); `validation_list.txt` and `testing_list.txt` follow the official hash rule;
`_background_noise_` has six recordings, `speakers.json` the settings of each voice and recording.
Speakers and voice variants are in one split only. A seed fixes every byte for any number of cores.
As in human recordings, one clip in ten is shorter than a second, and a few are quiet.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from kws.data.embedded.backgrounds import BABBLE_TEXT, backgrounds
from kws.data.embedded.espeak import ENGINE_NAME, known_voice
from kws.data.embedded.espeak import SAMPLE_RATE as ENGINE_RATE
from kws.data.embedded.provenance import corpus_folder, describe_seed
from kws.data.embedded.recording import (
    SAMPLE_RATE,
    Setup,
    amplitude,
    draw_setup,
    noise,
    record,
    rms,
    trim,
    write_wav,
)
from kws.data.embedded.voices import (
    Voice,
    draw_word_voice,
    generator,
    say,
    speaker_splits,
    variant_pools,
)
from kws.data.protocols import SPLITS, V2_WORDS
from kws.errors import UsageError, did_you_mean
from kws.parallel import thread_map

SIZES = {"tiny": 20, "mini": 120, "standard": 200}  # speakers
FEWEST_SPEAKERS = 10  # that fill every split
TALKERS = 6  # voices in the babble
REPETITIONS = 2  # of each word by each speaker
RECORD = "speakers.json"
SHORT, QUIET = 0.1, 0.03  # shares of the clips
ENDINGS = ("", "", "", ".", ".", ".", "!", "!", "?", ",")  # they bend the melody of a word
VERSION = 1  # of the bytes that a seed gives


def make_corpus(
    out: str | Path,
    *,
    size: str = "mini",
    seed: int | str = 0,
    words: Sequence[str] = V2_WORDS,
    speakers: int | None = None,
    repetitions: int = REPETITIONS,
    noise_seconds: int = 60,
    voice: str | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Make the corpus at folder `out` unless it exists, and return the folder.

    `size` sets the number of speakers, unless `speakers` does; each says each of `words`
    `repetitions` times. A string as `seed` is secret: only its fingerprint is saved. `voice` is a
    voice file of the engine for all, such as "gmw/de", instead of English. `workers` is the number
    of threads, None one for each core. Raises UsageError for arguments out of range and if `out` is
    something else; OSError if it cannot be written. `out` is always whole or absent.
    """
    out = Path(out)
    if size not in SIZES:
        raise UsageError(
            f"unknown size {size!r}{did_you_mean(size, list(SIZES))}: "
            f"choose one of {', '.join(SIZES)}"
        )
    speakers = SIZES[size] if speakers is None else speakers
    check(words, speakers, repetitions, noise_seconds)
    recipe = {
        "corpus": "embedded words",
        "version": VERSION,
        "seed": describe_seed(seed),
        "words": list(words),
        "speakers": speakers,
        "takes": repetitions,  # as in corpora that were made before
        "noise_seconds": noise_seconds,
    }
    if voice is not None:
        recipe["voice"] = known_voice(voice)
    with corpus_folder(out, RECORD, recipe) as folder:
        if folder is None:
            return out
        splits, cast = speaker_splits(speakers, seed), draw_cast(speakers, seed)
        if voice is not None:
            cast = {id_: (replace(own, accent=voice), setup) for id_, (own, setup) in cast.items()}
        scratch = folder / ".engine"
        for name in (*words, scratch.name):
            (folder / name).mkdir()

        def say_all_words(speaker: str) -> None:
            voice, setup = cast[speaker]
            rng = generator(seed, "takes", speaker)
            texts = [word + rng.choice(ENDINGS) for word in words for _ in range(repetitions)]
            spoken = say(voice, texts, rng, scratch)
            for i, clip in enumerate(as_clips(spoken, setup, rng)):
                name = clip_name(words[i // repetitions], speaker, i % repetitions)
                write_wav(folder / name, clip)

        title = f"speaking into {out}"
        thread_map(say_all_words, list(cast), workers=workers, title=title, progress=progress)
        write_backgrounds(
            folder / "_background_noise_",
            [cast[speaker][0] for speaker in cast if splits[speaker] == "training"][:TALKERS],
            noise_seconds,
            seed,
            scratch,
        )
        scratch.rmdir()
        write_lists(folder, sorted(words), splits, repetitions)
        about = {
            speaker: {"split": splits[speaker], **asdict(voice), "recording": asdict(setup)}
            for speaker, (voice, setup) in cast.items()
        }
        record = {"recipe": recipe, "engine": ENGINE_NAME, "speakers": about}
        (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return out


def check(words: Sequence[str], speakers: int, repetitions: int, noise_seconds: int) -> None:
    """Raise UsageError for what cannot be spoken, or would leave a split or a folder empty."""
    if not words:
        raise UsageError("no words to speak: name at least one")
    for word in words:
        if not re.fullmatch("[a-z]+", word):
            raise UsageError(
                f"{word!r} cannot be a word of a corpus: use small letters a to z only"
            )
        if words.count(word) > 1:
            raise UsageError(f"the words contain {word!r} twice: name each once")
    if speakers < FEWEST_SPEAKERS:
        raise UsageError(
            f"speakers={speakers} leaves a split empty: choose at least {FEWEST_SPEAKERS}"
        )
    if repetitions < 1 or noise_seconds < 1:
        raise UsageError(
            f"repetitions={repetitions} and noise_seconds={noise_seconds} must be 1 or more"
        )


def clip_name(word: str, speaker: str, number: int) -> str:
    return f"{word}/{speaker}_nohash_{number}.wav"


def write_lists(
    folder: Path, words: list[str], splits: Mapping[str, str], repetitions: int
) -> None:
    """Write the clips of the validation and the testing split, by their speakers' `splits`."""
    for split in SPLITS[1:]:
        names = [
            clip_name(word, speaker, number) + "\n"
            for word in words
            for speaker in sorted(splits)
            for number in range(repetitions)
            if splits[speaker] == split
        ]
        (folder / f"{split}_list.txt").write_text("".join(names))


def write_backgrounds(
    folder: Path, talkers: Sequence[Voice], seconds: int, seed: int | str, scratch: Path
) -> None:
    rng = generator(seed, "backgrounds")
    chatter = [say(voice, [BABBLE_TEXT], rng, scratch)[0] for voice in talkers]
    folder.mkdir()
    for name, wave in backgrounds(rng, seconds * SAMPLE_RATE, record(chatter, None)).items():
        write_wav(folder / f"{name}.wav", wave)


def draw_cast(count: int, seed: int | str) -> dict[str, tuple[Voice, Setup]]:
    """`count` speakers by id: how each speaks and is recorded. Variants are dealt out in turn."""
    decks = {
        split: deal(pool, generator(seed, "deck", split)) for split, pool in variant_pools().items()
    }
    drawn = {}
    for speaker, split in speaker_splits(count, seed).items():
        rng = generator(seed, "voice", speaker)
        drawn[speaker] = (draw_word_voice(rng, next(decks[split])), draw_setup(rng))
    return drawn


def deal(cards: tuple[str, ...], rng: np.random.Generator) -> Iterator[str]:
    """All of `cards` in random order, then all again in another order, and so on without end."""
    while True:
        yield from (cards[i] for i in rng.permutation(len(cards)))


def as_clips(spoken: list[np.ndarray], setup: Setup, rng: np.random.Generator) -> list[np.ndarray]:
    """One speaker's utterances (int16, 22,050 Hz) as clips of at most 1 s: float32 at 16 kHz."""
    words = [trim(samples)[:ENGINE_RATE] for samples in spoken]
    background = noise(rng, 4 * SAMPLE_RATE, setup.noise_slope, setup)
    clips = []
    for word, recorded in zip(words, record(words, setup), strict=True):
        length = len(word) * SAMPLE_RATE // ENGINE_RATE
        total = SAMPLE_RATE
        if rng.random() < SHORT:
            total = max(length, int(rng.uniform(0.4, 0.99) * SAMPLE_RATE))
        onset = int(min(max(rng.normal(0.5, 0.28), 0), 1) * (total - length))
        start = rng.integers(len(background) - total)
        loudness = rms(recorded[:length]) * amplitude(-setup.signal_to_noise + rng.normal(0, 3))
        clip = loudness * background[start : start + total]
        recorded = recorded[: total - onset]
        clip[onset : onset + len(recorded)] += recorded
        quiet = rng.random() < QUIET
        level = rng.uniform(-42, -26) if quiet else -0.5 - 20 * rng.random() ** 2
        clips.append(clip * (amplitude(level) / np.abs(clip).max()))
    return clips

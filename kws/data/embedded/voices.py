"""The speakers of the embedded corpus: accents, voice variants, and the split of each.

espeak-ng ships 104 voice variants, small text files that scale formants and pitch. 22 are effects
or hard to understand; the other 82 sound human. Those with the same vocal tract (formant
scales 1 to 3) are one family, and a family belongs to one split for good, whatever the seed: a
corpus made from a secret seed is still tested on voices that no training split has spoken with.

A speaker is a variant, slightly changed, with an accent, a rate and a pitch of its own, and perhaps
with the habits of another language. A parametric speaker has a vocal tract and a pitch drawn from
nothing: better distinguished, worse understood, so it serves speaker recognition.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from kws.data.embedded.espeak import (
    SpeechEvent,
    Utterance,
    speak,
    speak_with_events,
    stock_variants,
)
from kws.data.embedded.lists import read_list

ACCENTS = {  # voice file: share of the speakers
    "gmw/en-US": 0.50,
    "gmw/en": 0.14,
    "gmw/en-GB-x-rp": 0.10,
    "gmw/en-GB-scotland": 0.08,
    "gmw/en-GB-x-gbclan": 0.07,
    "gmw/en-029": 0.04,
    "gmw/en-US-nyc": 0.04,
    "gmw/en-GB-x-gbcwmd": 0.03,
}
NOT_PEOPLE, SPEAKERS = read_list("not_people"), read_list("speakers")
HABITS = (  # of speakers who grew up with another language: (phoneme, what it becomes)
    ("T", "s"), ("T", "f"), ("w", "v"), ("v", "f"), ("z", "s"),
    ("I", "i"), ("oU", "o:"), ("eI", "e:"), ("r", "R"),
)  # fmt: skip
FOREIGN = 0.4  # share of the speakers who have some of them
FORMANTS = 9  # 0 is the nasal or glottal one, 1 to 3 make the vowels
DROPPED = ("language", "name", "gender", "maintainer", "status", "echo")  # rooms are ours to draw
BASE_PITCH = (82.0, 118.0)  # Hz: lower and upper, where a variant has none
PEOPLE = (  # share, lower pitch in Hz, scale of the vocal tract's resonances: man, woman, child
    (0.48, (82.0, 150.0), (0.90, 1.06)),
    (0.42, (155.0, 250.0), (1.06, 1.22)),
    (0.10, (230.0, 330.0), (1.20, 1.38)),
)
TURNS = (  # the splits of ten speakers
    *("training",) * 3, "validation", *("training",) * 3, "testing", *("training",) * 2
)  # fmt: skip
BLOCK = 6  # families in a row, of which one is for validation and one for testing


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One speaker's settings for the engine.

    `definition` is the text of a voice variant file; `rate` is in words per minute, `pitch` and
    `range` are the engine's 0 to 99. `variant` is the stock variant, None for a parametric voice.
    """

    accent: str
    variant: str | None
    definition: str
    rate: float
    pitch: float
    range: float


def generator(*key: object) -> np.random.Generator:
    """Random numbers that depend on `key` alone, such as a seed and a speaker's id."""
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def speaker_splits(count: int, seed: int | str) -> dict[str, str]:
    """`count` ids with the split of the official hash; of any ten eight are for training."""
    found = [*SPEAKERS[:count]] if str(seed) == "0" else []
    if len(found) < count:
        found = _search(count, seed)
    return {name: TURNS[place % len(TURNS)] for place, name in enumerate(found)}


def _search(count: int, seed: int | str) -> list[str]:
    from kws.data.split_rule import which_split  # which students of assignment 1 do not have yet

    ids: dict[str, None] = {}  # a set that keeps its order
    candidate = 0
    while len(ids) < count:
        name = hashlib.sha256(f"{seed}:{candidate}".encode()).hexdigest()[:8]
        candidate += 1
        if which_split(f"{name}_nohash_0.wav") == TURNS[len(ids) % len(TURNS)]:
            ids[name] = None
    return list(ids)


def read_definition(text: str) -> dict[tuple[str, ...], list[float | str]]:
    """A variant file as {("formant", "1"): [scale, ...], ("pitch",): [low, high], ...}."""
    entries: dict[tuple[str, ...], list[float | str]] = {}
    for line in text.splitlines():
        words = line.split("//")[0].split("#")[0].split()
        if len(words) < 2 or words[0] in DROPPED:
            continue
        size = 2 if words[0] == "formant" else 1
        values = [
            float(word) if word.lstrip("-").replace(".", "", 1).isdigit() else word
            for word in words[size:]
        ]
        entries[tuple(words[:size])] = values
    return entries


def write_definition(entries: dict[tuple[str, ...], list[float | str]]) -> str:
    """The text of a variant file, the inverse of `read_definition`: whole numbers only."""
    lines = ["language variant", "name own"]
    for key, values in entries.items():
        words = [value if isinstance(value, str) else f"{value:.0f}" for value in values]
        lines.append(" ".join([*key, *words]))
    return "\n".join(lines) + "\n"


def vocal_tract(text: str) -> tuple[float, float, float]:
    """Scales in percent of the first three formants, which distinguish voices most."""
    entries = read_definition(text)
    return tuple(entries.get(("formant", str(i)), [100.0])[0] for i in (1, 2, 3))  # type: ignore[return-value]


def voice_size(text: str) -> float:
    """Vocal tract and pitch in one number: small for a giant's voice, large for a child's."""
    low = read_definition(text).get(("pitch",), list(BASE_PITCH))[0]
    return sum(vocal_tract(text)) / 3 + 0.35 * float(low)


@lru_cache(maxsize=1)
def variant_pools() -> dict[str, tuple[str, ...]]:
    """The human-like stock variants of each split: disjoint, with similar formants and pitch.

    Families are sorted from giants to children; of every six in a row one goes to validation and
    one to testing. The largest, 16 variants with the engine's own vocal tract, is for training.
    """
    families = defaultdict(list)
    for name, text in stock_variants().items():
        if name not in NOT_PEOPLE:
            families[vocal_tract(text)].append(name)
    largest, *others = sorted(
        families.values(),
        key=lambda names: (-len(names), voice_size(stock_variants()[names[0]]), names),
    )
    others.sort(key=lambda names: (voice_size(stock_variants()[names[0]]), names))
    pools: dict[str, list[str]] = {"training": largest, "validation": [], "testing": []}
    rng = generator("variant pools")
    for start in range(0, len(others), BLOCK):
        order = rng.permutation(min(BLOCK, len(others) - start)) + start
        for place, index in enumerate(order):
            split = ("validation", "testing", "training")[min(place, 2)]
            pools[split] += others[index]
    return {split: tuple(sorted(names)) for split, names in pools.items()}


def draw_accent(rng: np.random.Generator) -> str:
    """One accent, with the shares of `ACCENTS`."""
    shares = np.cumsum(list(ACCENTS.values()))
    return list(ACCENTS)[int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))]


def vary(text: str, rng: np.random.Generator) -> str:
    """A sibling of a variant: vocal tract ±3 %, each formant another ±1.2 %, pitch ±8 %."""
    entries = read_definition(text)
    size = math.exp(rng.normal(0, 0.03))
    for i in range(FORMANTS):
        values = entries.setdefault(("formant", str(i)), [100.0, 100.0, 100.0])
        own = math.exp(rng.normal(0, 0.012))
        if i and isinstance(values[0], float):
            values[0] *= size * own
    low, high = entries.get(("pitch",), list(BASE_PITCH))[:2]
    scale, spread = math.exp(rng.normal(0, 0.08)), math.exp(rng.normal(0, 0.1))
    entries["pitch",] = [float(low) * scale, float(high) * scale * spread]
    return write_definition(entries)


def foreign_habits(rng: np.random.Generator) -> str:
    """Lines of a variant file that replace one to four phonemes, for FOREIGN of the speakers."""
    if rng.random() >= FOREIGN:
        return ""
    chosen = rng.permutation(len(HABITS))[: rng.integers(1, 5)]
    habits = dict(HABITS[i] for i in sorted(chosen))  # one substitute for each phoneme
    return "".join(f"replace 00 {phoneme} {other}\n" for phoneme, other in habits.items())


def draw_word_voice(rng: np.random.Generator, variant: str) -> Voice:
    """A speaker of words: a sibling of stock `variant` with its own accent, rate and pitch."""
    return Voice(
        accent=draw_accent(rng),
        variant=variant,
        definition=vary(stock_variants()[variant], rng) + foreign_habits(rng),
        rate=rng.uniform(80, 200),
        pitch=rng.uniform(25, 75),
        range=rng.uniform(25, 80),
    )


def draw_parametric_voice(rng: np.random.Generator) -> Voice:
    """A speaker with a random vocal tract and pitch: a man, a woman or a child."""
    kind = rng.choice(len(PEOPLE), p=[share for share, _, _ in PEOPLE])
    _, pitches, tracts = PEOPLE[kind]
    low, tract = rng.uniform(*pitches), rng.uniform(*tracts)
    entries: dict[tuple[str, ...], list[float | str]] = {
        ("pitch",): [low, low * rng.uniform(1.15, 1.8)],
        ("flutter",): [float(rng.integers(0, 7))],
        ("roughness",): [float(rng.integers(0, 4))],
        ("consonants",): [rng.uniform(60, 150), rng.uniform(60, 150)],
        ("voicing",): [rng.uniform(80, 120)],
    }
    for i in range(FORMANTS):
        own = math.exp(rng.normal(0, 0.035 if i < 4 else 0.05)) if i else 1.0
        height, width = math.exp(rng.normal(-0.08, 0.15)), math.exp(rng.normal(0.15, 0.2))
        entries["formant", str(i)] = [100 * tract * own, 100 * height, 100 * width]
    if rng.random() < 0.5:
        breath = rng.uniform(1, 6)
        entries["breath",] = [breath * part for part in (0, 0.7, 1, 1, 1, 1, 1, 0.7)]
    if rng.random() < 0.2:
        entries["klatt",] = [float(rng.integers(1, 5))]
    return Voice(
        accent=draw_accent(rng),
        variant=None,
        definition=write_definition(entries),
        rate=rng.uniform(100, 200),
        pitch=50.0,
        range=rng.uniform(35, 75),
    )


def say(
    voice: Voice, texts: Sequence[str], rng: np.random.Generator, scratch: Path
) -> list[np.ndarray]:
    """Speak each of `texts` with random variation: int16 (N,) at 22,050 Hz for each."""
    utterances, seed = vary_utterances(voice, texts, rng)
    return speak(voice.accent, voice.definition, utterances, seed=seed, scratch=scratch)


def say_with_events(
    voice: Voice, texts: Sequence[str], rng: np.random.Generator, scratch: Path
) -> list[tuple[np.ndarray, list[SpeechEvent]]]:
    """The same samples as `say`, and the starts of the words and phonemes of each text."""
    utterances, seed = vary_utterances(voice, texts, rng)
    return speak_with_events(voice.accent, voice.definition, utterances, seed=seed, scratch=scratch)


def vary_utterances(
    voice: Voice, texts: Sequence[str], rng: np.random.Generator
) -> tuple[list[Utterance], int]:
    """Rate and pitch for each of `texts` this time, and a seed for the engine's noise."""
    utterances = [
        Utterance(
            text=text,
            rate=round(min(max(voice.rate * math.exp(rng.normal(0, 0.1)), 80), 300)),
            pitch=round(min(max(voice.pitch + rng.normal(0, 5), 0), 99)),
            range=round(min(max(voice.range + rng.normal(0, 10), 0), 99)),
        )
        for text in texts
    ]
    return utterances, int(rng.integers(1 << 31))

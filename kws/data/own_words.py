"""Your own words: a folder that has them, and nothing else that Speech Commands has.

    FOLDER/ja/<speaker>_nohash_<n>.wav …   also without `_nohash_`, but then nobody knows who spoke

Split. The hash of the speaker decides, as in Speech Commands. Where it leaves a split or a word's
training without a clip, as it does with few speakers, the speakers in the order of their hashes are
dealt out: a tenth to validation, the next tenth to testing, one of them at least. Fewer than three
speakers cannot fill three splits: then each word's recordings are dealt out in the same way, with
a warning, because a model is measured on voices that it knows.

What is not there comes from the embedded corpus: noise, and other words for a split that has none.
With `unknown="all"` they are added in training to those of the folder, however many it has, because
a model that knows a few other words takes the rest for one of yours.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from kws.audio.recordings import CLIP_SAMPLES, to_int16
from kws.data.embedded.corpus import make_corpus
from kws.data.embedded.speaker_corpus import talk_seconds
from kws.data.listing import Choice, Listing, read_listing
from kws.data.packed import PackedClips, pack_clips
from kws.data.protocols import SPLITS, Protocol
from kws.data.split_rule import hash_percentage
from kws.errors import UsageError
from kws.files import cache_dir

FEWEST = 3  # speakers, or recordings of a word: one for each split
SPARE_SPEAKERS = 40  # 35 words each: 1,400 clips, made in two seconds


def divide(listing: Listing, words: Sequence[str]) -> Listing:
    """The same clips with splits that all have some; UsageError for too few of a word."""
    counts = listing.words
    for word in words:
        if counts[word] < FEWEST:
            raise UsageError(
                f"{listing.root / word}: {counts[word]} recording{'s' * (counts[word] != 1)}, at "
                f"least {FEWEST} are needed, one each to train, choose and test: record more, ten "
                "or more are better"
            )
    if listing.has_lists:
        return listing
    speakers = [speaker_of(name) for name in listing.names]
    known = {speaker for speaker in speakers if speaker}
    if len(known) < FEWEST or "" in speakers:
        who = "who spoke is not in every name (<speaker>_nohash_<n>.wav)"
        if "" not in speakers:
            who = "one speaker" if len(known) == 1 else f"{len(known)} speakers"
        warning = (
            f"{who}: split by recording, so accuracy is that on known voices; other voices will do "
            "worse"
        )
        return replace(listing, splits=_by_recording(listing.names)).noted(warning)
    if _fills(listing.names, listing.splits, words):
        return listing
    dealt = _deal(sorted(known, key=lambda speaker: (hash_percentage(speaker), speaker)))
    splits = [dealt[speaker] for speaker in speakers]
    how = f"{len(known)} speakers, dealt out in the order of their hashes: a split was empty"
    return replace(listing, splits=splits).noted(how)


def speaker_of(name: str) -> str:
    """The speaker in a clip's name; empty if there is none.

    >>> speaker_of("ja/0a1b2c3d_nohash_4.wav"), speaker_of("ja/monday.wav")
    ('0a1b2c3d', '')
    """
    found = re.fullmatch(r"(.+)_nohash_.*", PurePosixPath(name).name)
    return found[1] if found else ""


def _fills(names: Sequence[str], splits: Sequence[str], words: Collection[str]) -> bool:
    """Whether every word can be trained, and validation and testing have words."""
    there = Counter(
        (split, name.partition("/")[0]) for name, split in zip(names, splits, strict=True)
    )
    trained = all(there["training", word] for word in words)
    return trained and all(any(there[split, word] for word in words) for split in SPLITS[1:])


def _deal(ordered: Sequence[str]) -> dict[str, str]:
    """The first tenth for validation, the next for testing, one at least; the rest for training."""
    share = max(1, len(ordered) // 10)
    names = ["validation"] * share + ["testing"] * share
    names += ["training"] * max(0, len(ordered) - 2 * share)
    return dict(zip(ordered, names, strict=False))


def _by_recording(names: Sequence[str]) -> list[str]:
    """Every word's recordings dealt out by their own hashes; of one or two all are for training."""
    by_word: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_word[name.partition("/")[0]].append(name)
    dealt: dict[str, str] = {}
    for inside in by_word.values():
        # the whole name is hashed: including the number after `_nohash_`, unique to a recording
        ordered = sorted(inside, key=lambda n: (hash_percentage(n.replace("_nohash_", "-")), n))
        few = len(ordered) < FEWEST
        dealt |= dict.fromkeys(ordered, "training") if few else _deal(ordered)
    return [dealt[name] for name in names]


def words_in(folder: str | Path) -> list[str]:
    """All word folders of a folder, sorted, without those of silence and unknown."""
    listing = read_listing(folder, partial=True)
    return sorted(word for word in listing.words if not word.startswith("_"))


def spare_corpus() -> Path:
    """English words of 40 embedded speakers, and noise, made once and kept in the cache."""
    out = cache_dir() / "spare-words"
    return make_corpus(out, seed=0, speakers=SPARE_SPEAKERS, repetitions=1, progress=False)


def with_spare_words(
    choice: Choice,
    clips: PackedClips,
    protocol: Protocol,
    split: str,
    count: int | None,
    seed: int,
    talk: int = 0,
) -> tuple[Choice, PackedClips, str]:
    """`choice` of `clips` with `count` spare words (None: all), `talk` seconds of talk; a note."""
    listing = read_listing(spare_corpus())
    pairs = zip(listing.names, listing.splits, strict=True)
    rows = [
        row
        for row, (name, own) in enumerate(pairs)
        if own == split and name.partition("/")[0] not in protocol.words
    ]
    random.Random(seed).shuffle(rows)
    rows = sorted(rows if count is None else rows[:count])
    spare = pack_clips(listing.root, listing.names)
    own = sorted(set(choice.rows))
    audio, names = spare.audio[rows], [f"spare/{spare.names[row]}" for row in rows]
    note = f"{len(rows):,} clips of English words by embedded voices are {protocol.unknown_label}"
    if talk:
        audio = np.concatenate([audio, to_int16(talk_seconds(talk, seed))])
        names += [f"spare/talk/{number}" for number in range(talk)]
        note += f", and {talk:,} seconds of their sentences"
    joined = PackedClips(
        audio=np.concatenate([clips.audio[own], audio]),
        names=[*(clips.names[row] for row in own), *names],
        lengths=np.concatenate([clips.lengths[own], np.full(len(names), CLIP_SAMPLES)]),
        path=clips.path,
    )
    place = {row: index for index, row in enumerate(own)}
    longer = Choice(
        rows=[*(place[row] for row in choice.rows), *range(len(own), len(joined))],
        labels=[*choice.labels, *([protocol.unknown_label or ""] * len(names))],
        made_silence=choice.made_silence,
    )
    return longer, joined, note

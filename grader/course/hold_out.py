"""Divides recordings of people: a folder for students, and one that only the grader sees.

    OUT/course     for students (KWS_COURSE): words/ and speakers/, as the notebooks read them
    OUT/held-out   for the grader (KWS_GRADER_DATA): words/ and speakers/, never handed out

Words: half of the testing speakers of Speech Commands are held out, in the order of a hash;
training, validation and the other half go to the students. Speakers: of every speaker's labeled
utterances a tenth is held out and a tenth becomes the students' test, at least one each; what has
more than LONGEST frames is trained on. Files are linked where that is possible, and else copied.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kws.data.course_data import SPEAKERS, WORDS
from kws.data.embedded.speaker_corpus import write_tables
from kws.data.listing import LIST_FILES, NOISE_FOLDER, audio_files, read_listing
from kws.data.own_words import speaker_of
from kws.data.protocols import SPLITS
from kws.data.speaker_layout import MAPPING, METADATA, Utterance, read_mapping, read_metadata
from kws.errors import UsageError
from kws.files import atomic_folder, write_text

COURSE, HELD_OUT = "course", "held-out"
SHARE = 10  # one utterance in ten is held out, and one in ten is the students' test
LEAST = 4  # utterances of a speaker: two to learn from and validate on, one for each test
LONGEST = 1400  # frames: 95 % of the homework's utterances are shorter
SALT = "held out"


def hold_out(out: str | Path, *, words: Path | None, speakers: Path | None) -> Path:
    """Make `out` from Speech Commands at `words` and the homework's features at `speakers`.

    UsageError: neither is given, `out` is in use, or there is too little to divide.
    """
    out = Path(out)
    if words is None and speakers is None:
        raise UsageError(
            "hold-out divides recordings: give --words FOLDER, --speakers FOLDER or both"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: something is there already: choose a new folder, or remove it")
    with atomic_folder(out) as folder:
        if words is not None:
            _divide_words(words, folder)
        if speakers is not None:
            _divide_speakers(speakers, folder)
    return out


def _divide_words(source: Path, out: Path) -> None:
    listing = read_listing(source)
    clips = list(zip(listing.names, listing.splits, strict=True))
    tested = sorted({speaker_of(name) for name, split in clips if split == "testing"}, key=_hash)
    kept = set(tested[: len(tested) // 2])
    lists: dict[tuple[str, str], list[str]] = {
        (side, split): [] for side in (COURSE, HELD_OUT) for split in SPLITS
    }
    for name, split in clips:
        own = split == "testing" and speaker_of(name) in kept
        lists[HELD_OUT if own else COURSE, split].append(name)
    if not kept or not all(lists[COURSE, split] for split in SPLITS):
        raise UsageError(
            f"{source}: too few clips to divide: give training, validation and testing clips, the "
            "last of two speakers or more"
        )
    noise = listing.root / NOISE_FOLDER
    background = [f"{NOISE_FOLDER}/{name}" for name in audio_files(noise)] if noise.is_dir() else []
    for side in (COURSE, HELD_OUT):
        names = [name for split in SPLITS for name in lists[side, split]]
        _place(listing.root, out / side / WORDS, [*names, *background])
        for split, file in LIST_FILES.items():
            write_text(out / side / WORDS / file, "".join(f"{n}\n" for n in lists[side, split]))


def _divide_speakers(source: Path, out: Path) -> None:
    speakers = read_mapping(source / MAPPING)
    n_mels, utterances = read_metadata(source / METADATA, speakers)
    parts: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {
        side: {name: {"training": [], "testing": []} for name in speakers}
        for side in (COURSE, HELD_OUT)
    }
    for number, name in enumerate(speakers):
        own = [one for one in utterances if one.speaker == number]
        if len(own) < LEAST:
            raise UsageError(
                f"{source / METADATA}: {name} has {len(own)} utterances, {LEAST} are needed to "
                "learn from, validate, test and hold out: remove the speaker"
            )
        kept, test, rest = _dealt(own)
        parts[HELD_OUT][name]["training"] = _entries(kept)
        parts[COURSE][name]["testing"] = _entries(test)
        parts[COURSE][name]["training"] = _entries(rest)
    for side, made in parts.items():
        names = [
            entry["feature_path"]
            for entries in made.values()
            for split in entries.values()
            for entry in split
        ]
        _place(source, out / side / SPEAKERS, sorted(names))
        write_tables(out / side / SPEAKERS, made, n_mels=n_mels)


def _dealt(own: Sequence[Utterance]) -> tuple[list[Utterance], list[Utterance], list[Utterance]]:
    order = sorted(own, key=lambda one: (one.mel_len > LONGEST, _hash(one.name)))
    count = max(1, len(own) // SHARE)
    return order[:count], order[count : 2 * count], order[2 * count :]


def _entries(utterances: Iterable[Utterance]) -> list[dict[str, Any]]:
    ordered = sorted(utterances, key=lambda one: one.name)
    return [{"feature_path": one.name, "mel_len": one.mel_len} for one in ordered]


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{SALT} {name}".encode()).digest()[:8], "big")


def _place(source: Path, out: Path, names: Sequence[str]) -> None:
    for folder in sorted({(out / name).parent for name in names}):
        folder.mkdir(parents=True, exist_ok=True)
    title = "/".join(out.parts[-2:])
    for name in tqdm(names, desc=title, unit=" files", disable=None):
        try:
            os.link((source / name).resolve(), out / name)
        except FileNotFoundError:
            raise UsageError(f"{source / name}: no such file: copy or download it again") from None
        except OSError:  # another disk, or one without links
            shutil.copyfile(source / name, out / name)

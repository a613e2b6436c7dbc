"""The split and label of each clip, from the names in a folder; no recording is opened.

The layout is that of the Speech Commands archives: a folder a word, `<speaker>_nohash_<number>.wav`
inside, `validation_list.txt` and `testing_list.txt` beside them, `_background_noise_/`. Without the
lists the hash rule decides. The challenge's training folder keeps its words one level down, in
`audio/`. The official test archives have no lists and two folders more, `_silence_` and
`_unknown_`: all of their clips are for testing, and none is left to be chosen.
"""

import os
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from kws.data.extra_clips import silence_count, unknown_count
from kws.data.protocols import SPLITS, V1_LISTS, V2_LISTS, Protocol
from kws.data.split_rule import which_split
from kws.errors import UsageError, did_you_mean

NOISE_FOLDER = "_background_noise_"
SILENCE_FOLDER, UNKNOWN_FOLDER = "_silence_", "_unknown_"
AUDIO_SUFFIXES = (".wav", ".flac")
CURE_OF_LISTS = "unpack the archive again, correct the list, or read what is there with --partial"
LIST_FILES = {"validation": "validation_list.txt", "testing": "testing_list.txt"}

ARCHIVES = {V1_LISTS: "v0.01", V2_LISTS: "v0.02"}  # by (validation, testing) clips
TEST_ARCHIVES = {257: "v0.01", 408: "v0.02"}  # official test archives, by clips in `_silence_`


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Clips of a folder: `names` sorted, as `word/clip.wav` below `root`, and the split of each."""

    root: Path
    names: list[str]
    splits: list[str]
    is_test_archive: bool = False
    has_lists: bool = False
    missing: int = 0  # clips that the lists name and that are not there: a partial copy
    notes: tuple[str, ...] = ()

    @cached_property
    def words(self) -> Counter[str]:
        return Counter(name.partition("/")[0] for name in self.names)

    def noted(self, note: str) -> "Listing":
        return replace(self, notes=(*self.notes, note))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The clips of one split as indices, ascending, and the silence clips still to be made."""

    rows: list[int]
    labels: list[str]
    made_silence: int

    def __len__(self) -> int:
        return len(self.rows) + self.made_silence


def read_listing(folder: str | Path, *, partial: bool = False) -> Listing:
    """List the clips of `folder` and decide the split of each.

    Raises UsageError for a folder that is missing, empty or in another layout, and for lists with
    missing clips; `partial` counts those instead.
    """
    folder = require_folder(folder)
    root = folder / "audio" if has_word_folders(folder / "audio") else folder
    names = []
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.is_dir() and entry.name != NOISE_FOLDER and not entry.name.startswith("."):
            names += [f"{entry.name}/{clip}" for clip in audio_files(Path(entry.path))]
    if not names:
        raise UsageError(
            f"{folder}: contains no word folders with recordings, such as yes/…_nohash_0.wav: "
            "check the path"
        )
    listed, missing = _read_lists(folder, names, partial)
    is_test_archive = not listed and any(
        name.startswith((SILENCE_FOLDER, UNKNOWN_FOLDER)) for name in names
    )
    if is_test_archive:
        splits = ["testing"] * len(names)
    elif listed:
        splits = [listed.get(name, "training") for name in names]
    else:
        splits = [which_split(name) for name in names]
    notes = ()
    if missing:
        total = len(listed) + missing
        notes = (f"{missing:,} of {total:,} clips that the lists name are not there",)
    return Listing(
        root=root,
        names=names,
        splits=splits,
        is_test_archive=is_test_archive,
        has_lists=bool(listed or missing),
        missing=missing,
        notes=notes,
    )


def require_folder(folder: str | Path) -> Path:
    """`folder` as a path; UsageError unless it is a folder."""
    folder = Path(folder)
    if folder.is_file():
        raise UsageError(f"{folder}: a file, expected a folder: unpack an archive first")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder: check the path")
    return folder


def has_word_folders(folder: Path) -> bool:
    return folder.is_dir() and any(path.is_dir() for path in folder.iterdir())


def audio_files(folder: Path) -> list[str]:
    """Names of the recordings directly in `folder`, sorted; hidden files left out."""
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.name.lower().endswith(AUDIO_SUFFIXES) and not entry.name.startswith(".")
    )


def _read_lists(folder: Path, names: list[str], partial: bool) -> tuple[dict[str, str], int]:
    """Clip -> split from the two lists, empty without them; how many clips are not there."""
    paths = {split: folder / name for split, name in LIST_FILES.items()}
    there = [path for path in paths.values() if path.exists()]
    if not there:
        return {}, 0
    if len(there) == 1:
        missing = next(path for path in paths.values() if path not in there)
        raise UsageError(
            f"{missing}: missing, although {there[0].name} is there: restore it, or remove both "
            "lists to split by hash"
        )
    known, listed, missing = set(names), {}, set()
    for split, path in paths.items():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            if not (name := line.strip()):
                continue
            if name not in known:
                if not partial:
                    raise UsageError(f"{path}: line {number}: {_why_unknown(name, names)}")
                missing.add(name)
                continue
            if listed.setdefault(name, split) != split:
                raise UsageError(
                    f"{path}: line {number}: {name} is in {paths[listed[name]].name} too: "
                    "remove it from one of the lists"
                )
    return listed, len(missing)


def _why_unknown(name: str, names: list[str]) -> str:
    word = name.partition("/")[0]
    words = sorted({name.partition("/")[0] for name in names})
    if word not in words:
        return (
            f"{name} names the word folder {word!r}, which is not there"
            f"{did_you_mean(word, words)}: {CURE_OF_LISTS}"
        )
    return f"{name} is not there: {CURE_OF_LISTS}"


def choose(
    listing: Listing,
    protocol: Protocol,
    split: str,
    seed: int = 0,
    unknown_clips: Literal["protocol", "all"] | int = "protocol",
) -> Choice:
    """Clips and labels of `split`: all wanted words, then silence and unknown beside them.

    Unknown clips are the first ones of a seeded shuffle of the sorted other words, as many as the
    protocol says (10 % of the wanted ones, rounded up) or as there are; or all of them, or a number
    of them: `unknown_clips`. Fewer are always a part of more. Clips in folders called after the two
    classes, `_unknown_` and `_silence_`, are taken as they are, all of them, in place of that.
    """
    by_label: dict[str | None, list[int]] = defaultdict(list)
    others = []
    silence, unknown = protocol.silence_label, protocol.unknown_label
    given = {SILENCE_FOLDER: silence, silence: silence, UNKNOWN_FOLDER: unknown, unknown: unknown}
    for row, (name, own_split) in enumerate(zip(listing.names, listing.splits, strict=True)):
        if own_split != split:
            continue
        word = name.partition("/")[0]
        if word in protocol.left_out:
            continue
        label = given.get(word) or protocol.label_of(word)
        if label == unknown and word not in given:
            others.append(row)
        else:
            by_label[label].append(row)
    wanted = sum(len(by_label[word]) for word in protocol.words)
    if not by_label[unknown]:
        random.Random(seed).shuffle(others)
        if unknown_clips == "protocol":
            unknown_clips = unknown_count(protocol, wanted)
        by_label[unknown] = others if unknown_clips == "all" else others[:unknown_clips]
    pairs = sorted((row, label) for label, rows in by_label.items() for row in rows if label)
    return Choice(
        rows=[row for row, _ in pairs],
        labels=[label for _, label in pairs],
        made_silence=0 if by_label[silence] else silence_count(protocol, wanted),
    )


def check_listing(listing: Listing, protocol: Protocol) -> None:
    """Refuse a folder that does not fit `protocol`.

    Raises UsageError for a word folder without a label, for wanted words without a clip, for
    another archive than the protocol's, and for an official one with other than its counts.
    """
    root, words = listing.root, listing.words
    special = {SILENCE_FOLDER, UNKNOWN_FOLDER} & set(words)
    if special and protocol.unknown_label is None:
        raise UsageError(
            f"{root}: has the folder {min(special)} of a 12-class test archive, and protocol "
            f"{protocol.name} has no such class: choose a 12-class protocol or another folder"
        )
    for word in sorted(set(words) - special - set(protocol.left_out)):
        try:
            protocol.label_of(word)
        except UsageError as error:
            raise UsageError(f"{root / word}: {error}") from None
    if missing := [word for word in protocol.words if not words[word]]:
        others = sorted(set(words) - {*protocol.words, *protocol.left_out})
        raise UsageError(
            f"{root}: no recordings of {', '.join(missing)}{did_you_mean(missing[0], others)}: "
            f"protocol {protocol.name} needs a folder for each of its "
            f"{len(protocol.words)} words, restore it or choose another protocol"
        )
    _check_official(listing, protocol)


def _check_official(listing: Listing, protocol: Protocol) -> None:
    if protocol.expected_counts is None or listing.missing:
        return
    if listing.is_test_archive:
        archive = TEST_ARCHIVES.get(listing.words[SILENCE_FOLDER])
    else:
        sizes = Counter(listing.splits)
        archive = ARCHIVES.get((sizes["validation"], sizes["testing"]))
    if archive is None:
        return  # an excerpt, or a corpus of another origin: nothing is known about its counts
    if archive != protocol.archive:
        raise UsageError(
            f"{listing.root}: this is the {archive} archive and protocol {protocol.name} is for "
            f"{protocol.archive}: choose a protocol of {archive}"
        )
    for split in ("testing",) if listing.is_test_archive else SPLITS:
        expected, found = protocol.expected_counts[split], len(choose(listing, protocol, split))
        if found != expected:
            raise UsageError(
                f"{listing.root}: {split} comes to {found} clips under {protocol.name}, expected "
                f"{expected} in the complete {archive} archive: unpack it again"
            )

"""What is in a folder of data, counted and read to the last file: the words of `kws data check`."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from kws.data.clips import ClipSplit
from kws.data.frames import FrameSplit
from kws.data.listing import Listing, audio_files, has_word_folders, read_listing, require_folder
from kws.data.own_words import speaker_of
from kws.data.packed import pack_clips
from kws.data.protocols import SPLITS, get_protocol
from kws.data.speaker_layout import METADATA
from kws.data.speakers import load_speakers
from kws.data.speech_commands import load_speech_commands, load_unlabeled
from kws.errors import UsageError


def kind_of(folder: Path) -> str:
    """ "speakers" (the homework's layout), "unlabeled" (recordings directly in it) or "words"."""
    require_folder(folder)
    if (folder / METADATA).exists():
        return "speakers"
    inner = folder / "audio" if (folder / "audio").is_dir() else folder
    return "unlabeled" if audio_files(inner) and not has_word_folders(inner) else "words"


def pack(folder: Path, *, resample: bool = False) -> list[str]:
    """Pack `folder` and describe its contents in lines. Errors: those of the readers."""
    kind = kind_of(folder)
    if kind == "speakers":
        data = load_speakers(folder)
        splits = [split for split in (data.train, data.validation, data.test) if split is not None]
        frames = sum(int(split.lengths.sum()) for split in splits)
        what = f"{sum(map(len, splits)):,} utterances, {frames:,} frames"
        return [f"{folder}: {what}, {len(data.speakers)} speakers", _packed(data.train.packed.path)]
    if kind == "unlabeled":
        clips = load_unlabeled(folder, resample=resample)
        return [f"{folder}: {len(clips):,} recordings without labels", _packed(clips.clips.path)]
    listing = read_listing(folder)
    clips = pack_clips(listing.root, listing.names, resample=resample)
    what = f"{len(clips):,} recordings in {len(listing.words)} word folders"
    return [f"{folder}: {what}", _packed(clips.path)]


def _packed(path: Path) -> str:
    return f"packed: {path} ({path.stat().st_size / 1e6:,.0f} MB)"


def check(
    folder: Path,
    protocol: str,
    *,
    test_silence: str = "noise",
    resample: bool = False,
    unknown: Literal["protocol", "all"] = "protocol",
    plot: Path | None = None,
    partial: bool = False,
) -> list[str]:
    """Read `folder` under `protocol` and count it, in lines; draw the counts to `plot`."""
    kind = kind_of(folder)
    if kind != "words" and plot is not None:
        raise UsageError(f"--plot {plot}: {folder} has no folders of words to count: leave it out")
    if kind == "speakers":
        return _check_speakers(folder)
    if kind == "unlabeled":
        clips = load_unlabeled(folder, resample=resample)
        notes = [f"note: {text}" for text in clips.notes]
        return [f"{folder}: {len(clips):,} recordings without labels", *notes]
    rules = get_protocol(protocol)
    listing = read_listing(folder, partial=partial)
    names = ("testing",) if listing.is_test_archive else SPLITS
    settings: dict[str, Any] = {
        "test_silence": test_silence,
        "resample": resample,
        "unknown": unknown,
        "partial": partial,
    }
    splits = [load_speech_commands(folder, rules, name, **settings) for name in names]
    counts = {split.split: split.counts() for split in splits}
    silence = ", ".join(f"{split.split} {split.silence}" for split in splits)
    notes = dict.fromkeys(f"{split.split}: {text}" for split in splits for text in split.notes)
    notes = [*notes, *_shared_speakers(listing), *_empty_labels(splits)]
    lines = [f"{folder} under {rules.name}", *table(counts), f"silence: {silence}"]
    lines += [f"note: {text}" for text in notes]
    if plot is not None:
        from kws import plots  # here: counting needs no matplotlib

        title = f"{folder.name} under {rules.name}"
        lines.append(f"written: {plots.save(plots.class_balance(counts, title=title), plot)}")
    return lines


def _check_speakers(folder: Path) -> list[str]:
    data = load_speakers(folder)
    splits: list[FrameSplit] = [data.train, data.validation]
    splits += [data.test] if data.test is not None else []
    lines = [f"{folder}: {len(data.speakers)} speakers, {data.train.num_features} mel bands"]
    for split in splits:
        known = len(set(split.labels.tolist()) - {-1})
        whose = f"of {known} speakers" if known else "without answers"
        lines.append(f"{split.split}: {len(split):,} utterances {whose}")
    return lines


def table(columns: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Counts by label (rows) and split (columns), with a total, in aligned lines.

    >>> counts = {"training": {"yes": 1200, "no": 7}, "testing": {"yes": 9, "no": 0}}
    >>> print(*table(counts), sep="\\n")
    label  training  testing
    yes       1,200        9
    no            7        0
    total     1,207        9
    """
    labels = list(next(iter(columns.values())))
    rows = [["label", *columns]]
    rows += [[label, *(f"{counts[label]:,}" for counts in columns.values())] for label in labels]
    rows.append(["total", *(f"{sum(counts.values()):,}" for counts in columns.values())])
    first, *widths = (max(map(len, cells)) for cells in zip(*rows, strict=True))
    return [
        row[0].ljust(first)
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths, strict=True))
        for row in rows
    ]


def _shared_speakers(listing: Listing) -> list[str]:
    splits = defaultdict(set)
    for name, split in zip(listing.names, listing.splits, strict=True):
        if speaker := speaker_of(name):
            splits[speaker].add(split)
    shared = sorted(speaker for speaker, where in splits.items() if len(where) > 1)
    if not shared:
        return []
    return [f"{len(shared)} speakers occur in more than one split, {shared[0]} for one"]


def _empty_labels(splits: Sequence[ClipSplit]) -> list[str]:
    notes = []
    for split in splits:
        if empty := [label for label, count in split.counts().items() if not count]:
            notes.append(f"{split.split}: no clips of {', '.join(empty)}")
    return notes

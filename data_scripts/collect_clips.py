"""Clips of Speech Commands out of other folders, to learn more from: nobody of the official test.

    python data_scripts/collect_clips.py OUT FOLDER... [--without RECORDINGS] [--most 450]

Public repositories contain parts of Speech Commands (Pete Warden, CC BY 4.0). A FOLDER is a copy of
one, with `<word>/<speaker>_nohash_<n>.wav` or `.flac` anywhere inside. Clips of 16 kHz and one
channel are written to OUT/<word>, as FLAC. Left out are

    speakers of the official test, by the hash of their name (`kws.data.split_rule`)
    a third of the others: those for whom SHA-256 of "holdout:" and the name is a multiple of 3;
        whoever wants to test on people who are in no training here takes them
    samples that are in RECORDINGS or in another clip, and files that are not such clips
    of each word more than --most, in the order of the SHA-256 of their names

The same folders give the same clips. What is in OUT already is kept: an interrupted run goes on.
"""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from kws.audio.audio_reading import read_samples
from kws.audio.recordings import read_audio, to_int16, write_audio
from kws.cli import exit_code
from kws.data.split_rule import which_split
from kws.errors import UsageError

SUFFIXES = (".flac", ".wav")


def collect_clips(
    out: Path, folders: Iterable[Path], *, without: Path | None = None, most: int = 450
) -> Counter[str]:
    """Fill `out`; how many clips there are now of each word, and, under "(why)", are left out.

    Raises:
        UsageError: a folder without clips.
    """
    seen = {digest(path) for path in clips_in(without)} if without else set()
    found = [path for folder in folders for path in clips_in(folder)]
    counts: Counter[str] = Counter()
    kept: dict[tuple[str, str], Path] = {}
    for path in tqdm(found, unit="clip", disable=None):
        word, speaker = path.parent.name.lower(), path.name.partition("_nohash_")[0]
        if which_split(path.name) == "testing":
            counts["(official test)"] += 1
        elif is_held_out(speaker):
            counts["(held out)"] += 1
        elif (samples := digest(path)) is None:
            counts["(not a clip)"] += 1
        elif samples in seen or (word, path.stem) in kept:
            counts["(known)"] += 1
        else:
            seen.add(samples)
            kept[word, path.stem] = path
    for word, name in sorted(kept, key=in_order):
        if counts[word] == most:
            counts["(more than --most)"] += 1
            continue
        counts[word] += 1
        if not (to := out / word / f"{name}.flac").exists():
            write_audio(to, read_audio(kept[word, name]))
    return counts


def clips_in(folder: Path) -> list[Path]:
    """Paths that are named as clips are."""
    found = [path for path in folder.rglob("*_nohash_*") if path.suffix.lower() in SUFFIXES]
    if not found:
        raise UsageError(
            f"{folder}: no <word>/<speaker>_nohash_<n>.wav or .flac inside: choose a folder with "
            "clips of Speech Commands"
        )
    return sorted(found)


def in_order(clip: tuple[str, str]) -> str:
    """By a hash of the name: a fair draw, wherever the clips came from."""
    return hashlib.sha256(f"{clip[1]}.flac".encode()).hexdigest()


def is_held_out(speaker: str) -> bool:
    """Whether the speaker is kept for tests of others.

    >>> [name for name in ("c2d15ea5", "f9af823e", "0a7c2a8d") if is_held_out(name)]
    ['c2d15ea5']
    """
    return int(hashlib.sha256(f"holdout:{speaker}".encode()).hexdigest(), 16) % 3 == 0


def digest(path: Path) -> str | None:
    """SHA-256 of the samples, None for what is not a clip of 16 kHz and one channel."""
    try:
        return hashlib.sha256(to_int16(read_samples(path)).tobytes()).hexdigest()
    except UsageError:
        return None


def main(arguments: list[str] | None = None) -> int:
    """Collect, and print the counts; returns the exit code."""
    return exit_code("collect_clips", lambda: collect_and_print(arguments))


def collect_and_print(arguments: list[str] | None) -> int:
    """What `main` does, with errors as exceptions."""
    parser = argparse.ArgumentParser(prog="collect_clips.py", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--without", type=Path)
    parser.add_argument("--most", type=int, default=450)
    options = vars(parser.parse_args(arguments))
    counts = collect_clips(**options)
    print(", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())))
    kept = sum(count for name, count in counts.items() if not name.startswith("("))
    print(f"{options['out']}: {kept:,} clips")
    return 0


if __name__ == "__main__":
    sys.exit(main())

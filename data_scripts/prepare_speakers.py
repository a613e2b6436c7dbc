"""Folders of recordings become features in the layout of the speaker homework.

    python data_scripts/prepare_speakers.py SRC OUT     or: python -m data_scripts.prepare_speakers

Each folder in SRC is a speaker. The recordings (wav or flac, any rate) may lie deeper, as do
VoxCeleb's id10001/video/00001.wav and LibriSpeech's 19/198/19-198-0001.flac. In OUT are then

    mapping.json      speaker <-> number
    metadata.json     the labeled utterances of each speaker
    testdata.json     the utterances held out for testing
    test_labels.csv   their speakers, header Id,Category
    uttr-<32 hex>.pt  the features of one utterance, float32 (mel_len, 40)
    skipped.txt       what --skip-bad left out, if anything, and why

and `kws.data.speakers.load_speakers(OUT)` reads it. The features are the homework's,
`kws.audio.features.speaker_log_mel`. A run that was interrupted goes on where it stopped.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from kws.audio.features import speaker_log_mel
from kws.audio.recordings import read_audio
from kws.cli import exit_code
from kws.errors import UsageError
from kws.files import write_bytes, write_text
from kws.parallel import Pool

N_MELS = 40
SUFFIXES = (".wav", ".flac")
OTHER_AUDIO = (".m4a", ".mp3", ".aac", ".ogg", ".opus", ".sph")


def prepare_speakers(
    source: str | Path,
    out: str | Path,
    *,
    test_utterances: int | float = 0.1,
    seed: int = 0,
    skip_bad: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> dict[str, int]:
    """Fill `out` with the features of the recordings in `source`; see the module for the layouts.

    `test_utterances` of each speaker are held out: a whole number, or a fraction below 1 of all the
    speaker has. They are drawn with `seed`, which also goes into the file names. `skip_bad` leaves
    out and lists what cannot be used. `workers` is the number of processes, None one for each core.

    Returns the numbers of speakers, of labeled, test and skipped utterances. Raises `UsageError`
    for a source without two speakers, a bad recording unless `skip_bad`, a speaker with too few
    recordings, and an `out` that holds features from elsewhere.
    """
    source, out = Path(source), Path(out)
    if test_utterances < 0 or (isinstance(test_utterances, float) and test_utterances >= 1):
        raise UsageError(
            f"test_utterances={test_utterances}: give a whole number, or a fraction below 1"
        )
    speakers, skipped = find_speakers(source, out, skip_bad)
    names = {path: file_name(path, seed) for paths in speakers.values() for path in paths}
    refuse_foreign(out, set(names.values()))
    lengths: dict[str, int] = {}
    jobs = [(source / path, out / name) for path, name in names.items()]
    with Pool(workers, processes=True) as pool:
        results = pool.map(partial(prepare_one, skip_bad=skip_bad), jobs)
        bar = tqdm(results, f"preparing {out}", len(jobs), unit=" files", disable=not progress)
        for path, result in zip(names, bar, strict=True):
            if isinstance(result, int):
                lengths[path] = result
            else:
                skipped.append(result)

    labeled, test = {}, {}
    for speaker, paths in speakers.items():
        good = [path for path in paths if path in lengths]
        held_out = hold_out(speaker, good, test_utterances, seed)
        labeled[speaker] = [entry(names, lengths, path) for path in good if path not in held_out]
        test |= {names[path]: (speaker, entry(names, lengths, path)) for path in held_out}
    write_tables(out, labeled, dict(sorted(test.items())))
    (out / "skipped.txt").unlink(missing_ok=True)
    if skipped:
        write_text(out / "skipped.txt", "\n".join([*skipped, ""]))
    return {
        "speakers": len(labeled),
        "labeled": sum(map(len, labeled.values())),
        "test": len(test),
        "skipped": len(skipped),
    }


def find_speakers(
    source: Path, out: Path, skip_bad: bool
) -> tuple[dict[str, list[str]], list[str]]:
    """Sorted recordings of each speaker, relative to `source`; sentences on folders without any."""
    if not source.is_dir():
        raise UsageError(f"{source}: no such folder: check the path")
    if out.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{out}: lies in {source}: choose a folder outside of the recordings")
    speakers: dict[str, list[str]] = {}
    skipped, others = [], set[str]()
    for folder in sorted(entry.name for entry in os.scandir(source) if entry.is_dir()):
        if folder.startswith("."):
            continue
        files = [
            (Path(top) / name).relative_to(source).as_posix()
            for top, _, names in os.walk(source / folder)
            for name in names
            if not name.startswith(".")
        ]
        others |= {Path(name).suffix.lower() for name in files}
        if found := sorted(name for name in files if name.lower().endswith(SUFFIXES)):
            speakers[folder] = found
        else:
            skipped.append(f"{source / folder}: no wav or flac: fill it, remove it or --skip-bad")
    if not speakers:
        convert = ", ".join(sorted(others & set(OTHER_AUDIO)))
        raise UsageError(
            f"{source}: no folders with wav or flac in them: "
            + (f"convert its {convert} files to wav" if convert else "give the speakers' folder")
        )
    if skipped and not skip_bad:
        raise UsageError(skipped[0])
    if len(speakers) < 2:
        raise UsageError(
            f"{source}: one speaker only, {next(iter(speakers))}: "
            "two are needed, give the folder that holds a folder for each"
        )
    return speakers, skipped


def file_name(path: str, seed: int) -> str:
    """Tells nothing about the speaker, and is the same on every run.

    >>> file_name("id10001/video/00001.wav", 0)
    'uttr-84dbd04bac2354e4117a1f66ef951f0b.pt'
    """
    return f"uttr-{hashlib.sha256(f'{seed}/{path}'.encode()).hexdigest()[:32]}.pt"


def refuse_foreign(out: Path, names: set[str]) -> None:
    """Features of other recordings, or of another seed, must not mix with these."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: a file: choose a folder")
    if foreign := sorted({path.name for path in out.glob("uttr-*.pt")} - names):
        raise UsageError(
            f"{out / foreign[0]}: not from these recordings and this seed: "
            "choose a new folder, or empty this one"
        )


def prepare_one(job: tuple[Path, Path], skip_bad: bool) -> int | str:
    """mel_len of one recording; its features are made unless there. A sentence if it is bad."""
    path, target = job
    if (done := finished(path, target)) is not None:
        return done
    try:
        mel = speaker_log_mel(read_audio(path, resample=True))
    except ValueError as error:
        sentence = str(error) if isinstance(error, UsageError) else f"{path}: {error}"
        if not skip_bad:
            raise UsageError(f"{sentence} (or leave it out with --skip-bad)") from None
        target.unlink(missing_ok=True)
        return sentence
    file = io.BytesIO()
    torch.save(mel.clone(), file)
    write_bytes(target, file.getvalue())
    return len(mel)


def finished(path: Path, target: Path) -> int | None:
    """mel_len of `target` if it is whole and newer than the recording."""
    try:
        if target.stat().st_mtime_ns < path.stat().st_mtime_ns:
            return None
        mel = torch.load(target, weights_only=True)
        return len(mel) if mel.dtype == torch.float32 and mel.shape[1:] == (N_MELS,) else None
    except Exception:  # absent or damaged in one of many ways: it is made again
        return None


def hold_out(speaker: str, paths: list[str], wanted: int | float, seed: int) -> set[str]:
    """The utterances of one speaker that are for testing, at least one if any are wanted at all."""
    count = wanted if isinstance(wanted, int) else max(round(wanted * len(paths)), wanted > 0)
    if len(paths) <= count:
        raise UsageError(
            f"speaker {speaker} has {len(paths)} usable recordings and {count} are for testing: "
            "add some, hold out fewer, or remove the speaker"
        )
    return set(sorted(paths, key=lambda path: file_name(f"hold out {path}", seed))[:count])


def entry(names: dict[str, str], lengths: dict[str, int], path: str) -> dict[str, str | int]:
    return {"feature_path": names[path], "mel_len": lengths[path]}


def write_tables(out: Path, labeled: dict, test: dict) -> None:
    """The homework's three json files, and the answers."""
    number = {speaker: i for i, speaker in enumerate(labeled)}
    mapping = {
        "speaker2id": number,
        "id2speaker": {str(i): speaker for speaker, i in number.items()},
    }
    tables = {
        "mapping": mapping,
        "metadata": {"n_mels": N_MELS, "speakers": labeled},
        "testdata": {"n_mels": N_MELS, "utterances": [item for _, item in test.values()]},
    }
    for name, table in tables.items():
        write_text(out / f"{name}.json", json.dumps(table, indent=2, ensure_ascii=False) + "\n")
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerows([("Id", "Category"), *((name, who) for name, (who, _) in test.items())])
    write_text(out / "test_labels.csv", rows.getvalue())


def number_or_fraction(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, 2 for bad input (one sentence on stderr), 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="prepare_speakers", description="Folders of recordings to speaker features."
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="folder with one for each speaker")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to fill")
    parser.add_argument(
        "--test-utterances",
        type=number_or_fraction,
        default=0.1,
        metavar="N",
        help="held out of each speaker: a number, or a fraction below 1 (default 0.1)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the held-out part and the names")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave bad recordings out, list them"
    )
    parser.add_argument("--workers", type=int, help="processes (default: one for each core)")
    options = vars(parser.parse_args(arguments))
    return exit_code("prepare_speakers", lambda: prepare_and_print(options))


def prepare_and_print(options: dict[str, Any]) -> int:
    """What `main` does, with errors as exceptions."""
    try:
        made = prepare_speakers(**options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the same command goes on from here") from None
    print(
        "{out}: {speakers} speakers, {labeled:,} labeled and {test:,} test utterances".format(
            out=options["out"], **made
        )
    )
    if made["skipped"]:
        print(f"{made['skipped']:,} left out, see {options['out'] / 'skipped.txt'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

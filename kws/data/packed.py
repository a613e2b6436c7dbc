"""A data set as one memory-mapped array, made once from its folder and rebuilt when that changes.

    PackedClips   int16 (clips, 16000): one second each, zeros appended, longer clips cut
    PackedFrames  float16 (frames of all utterances, F), and where each utterance begins

A batch is then one gather, without a file opened or a worker process. Packs live in the cache
folder (`kws.files.cache_dir`), named after the folder they were made from, which may be read-only.
A pack is used while every source file has the path, size and modification time that it had; a
changed source or a damaged pack is packed again. Two processes may pack at once: each writes a
whole file, and the last one to finish stays.

Shape letters: N samples of a clip   F features of a frame
"""

import hashlib
import logging
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kws.audio.recordings import CLIP_SAMPLES, SAMPLE_RATE, read_audio, to_int16
from kws.data.array_file import ArrayWriter, DamagedArrayError, open_array, write_array
from kws.errors import UsageError
from kws.files import cache_dir

PADDING = -20.0  # value of padded frames, near the floor of the features, ln(1e-9) = -20.7
BLOCK = 256  # clips written at a time: 8 MB
HEADER_BYTES = 44  # of the plainest wav: RIFF, a format of 16 bytes, then the samples
PLAIN_FORMAT = struct.pack("<IHHIIHH", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)

logger = logging.getLogger("kws")


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedClips:
    """Clips of one second, memory-mapped, in the order of `names` (paths relative to the folder).

    `audio` is int16 (n, 16000), full scale 32768; `lengths` (n,) the number of samples that each
    clip had at 16 kHz, before zeros were appended or its end was cut.
    """

    audio: np.ndarray
    names: list[str]
    lengths: np.ndarray
    path: Path

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedFrames:
    """Utterances of different lengths, one after the other, memory-mapped, then one padding frame.

    Utterance `i`, called `names[i]`, is `frames[offsets[i]:offsets[i + 1]]`; `frames` is float16
    (total + 1, F), `offsets` int64 (n + 1,). Its last row is PADDING throughout, so that a gather
    can read padding like any other frame.
    """

    frames: np.memmap
    offsets: np.ndarray
    names: list[str]
    path: Path

    def __len__(self) -> int:
        return len(self.names)


def pack_clips(
    folder: str | Path,
    names: Sequence[str],
    out: str | Path | None = None,
    *,
    resample: bool = False,
) -> PackedClips:
    """Pack the recordings `names` of `folder` into `out` (default: the cache), or open them there.

    `resample=True` converts other rates and channels. Raises UsageError naming the first recording
    that cannot be used, OSError where the disk refuses.
    """
    folder = Path(folder)
    out = Path(out) if out else _cached(folder, "clips")
    if not names:
        raise UsageError(f"{folder}: contains no recordings to pack: check the path")
    fingerprint = _fingerprint("clips-1", folder, names)

    def build(writer: ArrayWriter) -> dict[str, Any]:
        block = np.zeros((BLOCK, CLIP_SAMPLES), "<i2")
        lengths, converted, filled = [], 0, 0
        for name in _progress(names, folder):
            if (plain := read_plain_wav(folder / name)) is None:
                whole = read_audio(folder / name, resample=resample)
                plain = to_int16(whole[:CLIP_SAMPLES]), len(whole)
                converted += resample
            samples, length = plain
            block[filled, : len(samples)] = samples
            block[filled, len(samples) :] = 0
            lengths.append(length)
            filled += 1
            if filled == BLOCK:
                writer.append(block)
                filled = 0
        writer.append(block[:filled])
        return {"lengths": lengths, "converted": converted}

    def usable(fields: dict[str, Any]) -> bool:
        return fields["fingerprint"] == fingerprint and (resample or not fields["converted"])

    audio, fields = _open_or_build(out, usable, build, fingerprint, names, "<i2", CLIP_SAMPLES)
    lengths = np.asarray(fields["lengths"], np.int32)
    return PackedClips(audio=audio, names=fields["names"], lengths=lengths, path=out)


def pack_frames(
    folder: str | Path,
    names: Sequence[str],
    read: Callable[[Path], np.ndarray],
    num_features: int,
) -> PackedFrames:
    """Pack the utterances `names` of `folder` into the cache, or open them there.

    `read` turns one file into its frames (T, num_features), and raises UsageError for a bad one.
    """
    folder = Path(folder)
    out = _cached(folder, "frames")
    if not names:
        raise UsageError(f"{folder}: names no utterances to pack: check its metadata.json")
    fingerprint = _fingerprint(f"frames-2-{num_features}", folder, names)

    def build(writer: ArrayWriter) -> dict[str, Any]:
        offsets = [0]
        for name in _progress(names, folder):
            frames = read(folder / name).astype("<f2")
            writer.append(frames)
            offsets.append(offsets[-1] + len(frames))
        writer.append(np.full((1, num_features), PADDING, "<f2"))
        return {"offsets": offsets}

    def usable(fields: dict[str, Any]) -> bool:
        return fields["fingerprint"] == fingerprint

    frames, fields = _open_or_build(out, usable, build, fingerprint, names, "<f2", num_features)
    offsets = np.asarray(fields["offsets"], np.int64)
    return PackedFrames(frames=frames, offsets=offsets, names=fields["names"], path=out)


def _open_or_build(
    out: Path,
    usable: Callable[[dict[str, Any]], bool],
    build: Callable[[ArrayWriter], dict[str, Any]],
    fingerprint: str,
    names: Sequence[str],
    dtype: str,
    width: int,
) -> tuple[np.memmap, dict[str, Any]]:
    try:
        array, fields = open_array(out)
        if usable(fields):
            return array, fields
        del array  # unmapped, so that its disk space is free again when the file is replaced
    except FileNotFoundError:
        pass
    except DamagedArrayError as damage:
        logger.warning("%s: packing again", damage)
    with write_array(out, dtype, (width,)) as writer:
        writer.fields = build(writer) | {"fingerprint": fingerprint, "names": list(names)}
    return open_array(out)


def read_plain_wav(path: Path) -> tuple[np.ndarray, int] | None:
    """The first second of a 16 kHz mono 16-bit wav with the plain 44-byte header, and its length.

    None for everything else, bad files included: `kws.audio.recordings.read_audio` reports those.
    One system call instead of libsndfile's dozen, as Speech Commands has 105,829 clips.
    """
    try:
        with path.open("rb", buffering=0) as file:
            data = file.read(HEADER_BYTES + 2 * CLIP_SAMPLES)
            total = os.fstat(file.fileno()).st_size
    except (FileNotFoundError, IsADirectoryError):
        return None
    if data[:4] != b"RIFF" or data[8:16] != b"WAVEfmt " or data[16:40] != PLAIN_FORMAT + b"data":
        return None
    size = int.from_bytes(data[40:44], "little")
    if size == 0 or size % 2 or HEADER_BYTES + size > total:
        return None
    count = min(size // 2, CLIP_SAMPLES)
    return np.frombuffer(data, "<i2", count, HEADER_BYTES), size // 2


def _fingerprint(kind: str, folder: Path, names: Sequence[str]) -> str:
    digest = hashlib.sha256(kind.encode())
    for name in names:
        try:
            status = (folder / name).stat()
        except FileNotFoundError:
            raise UsageError(f"{folder / name}: no such file: check the path") from None
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _cached(folder: Path, kind: str) -> Path:
    source = os.fspath(folder.resolve())
    return (
        cache_dir()
        / f"{folder.resolve().name}-{hashlib.sha256(source.encode()).hexdigest()[:16]}.{kind}"
    )


def _progress(names: Sequence[str], folder: Path) -> "tqdm[str]":
    return tqdm(names, desc=f"packing {folder.name}", unit=" files", disable=None, mininterval=0.5)

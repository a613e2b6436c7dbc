"""Read recordings as arrays, with a clear error for those that cannot be read; without torch.

libsndfile does the reading (wav, flac ...).

Shape letters: N samples
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float

from kws.audio import SAMPLE_RATE
from kws.errors import UsageError

READ_BLOCK = 1 << 20  # samples of each channel decoded at a time
LFS_POINTER = b"version https://git-lfs"
STREAMED = 0xFFFFFFFF  # size of the data chunk in a wav that was written to a pipe: unknown
SILENT = (b"RIFF", b"fLaC", b"OggS")  # beginnings of files whose decoders print nothing
STDERR = Lock()


def read_samples(path: str | Path, *, resample: bool = False) -> Float[np.ndarray, "N"]:
    """Read one recording as 16 kHz mono float32 in [-1, 1].

    `resample=True` converts other sample rates and averages several channels; without it they are
    refused. Samples beyond ±1 in a floating-point file are clipped, as in any 16-bit copy of it.

    Raises `UsageError`, naming the file, if it is missing, empty, a git-LFS pointer, cut short, not
    audio, without samples, of another rate or number of channels, or if it holds NaN or infinity.
    """
    return np.concatenate(list(read_blocks(path, READ_BLOCK, resample=resample)))


def read_blocks(
    path: str | Path, size: int, *, resample: bool = False
) -> Iterator[Float[np.ndarray, "_"]]:
    """`read_samples` in blocks of `size` samples of the file; damage is noticed when it is met."""
    path = Path(path)
    hush = nullcontext if _refuse_broken(path)[:4] in SILENT else _quiet
    try:
        with hush():
            # bytes, as a name may not be text
            file = soundfile.SoundFile(os.fsencode(path))  # pyright: ignore[reportArgumentType]
    except soundfile.LibsndfileError:
        path.open("rb").close()  # a file that may not be opened raises its own OSError
        raise UsageError(f"{path}: not audio that can be read: convert it to wav or flac") from None
    rate, channels = file.samplerate, file.channels
    if not resample and (rate, channels) != (SAMPLE_RATE, 1):
        file.close()
        raise UsageError(
            f"{path}: {rate} Hz with {channels} channel{'s' * (channels > 1)}, "
            f"expected {SAMPLE_RATE} Hz mono: convert it, or let it be resampled (--resample)"
        )
    return at_sample_rate(_decode(file, path, size, hush), rate)


def at_sample_rate(blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """The same at 16 kHz; what has that rate needs no torch."""
    if rate == SAMPLE_RATE:
        return blocks
    from kws.audio.resampling import resample_blocks

    return resample_blocks(blocks, rate)


def _decode(
    file: soundfile.SoundFile, path: Path, size: int, hush: Callable[[], AbstractContextManager]
) -> Iterator[np.ndarray]:
    """Blocks, as a damaged header may promise more than the memory."""
    count, promised = 0, file.frames
    with file:
        while True:
            try:
                with hush():
                    samples = file.read(size, "float32", always_2d=True)
            except soundfile.LibsndfileError:
                raise UsageError(
                    f"{path}: damaged or cut short: copy or download it again"
                ) from None
            if not len(samples):
                break
            count += len(samples)
            yield mixed(samples, path)
    if not promised:
        raise UsageError(f"{path}: contains no samples: record it again or delete it")
    if count < promised:
        raise UsageError(
            f"{path}: cut short, {promised} samples promised and {count} there: "
            "copy or download it again"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stderr: libmpg123, the decoder of mp3, comments there on faults that we report."""
    with STDERR, Path(os.devnull).open("wb") as nowhere:
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def mixed(samples: np.ndarray, path: object) -> Float[np.ndarray, "N"]:
    """Samples (N, channels) as one channel, their mean; UsageError, naming `path`, for NaN."""
    if not np.isfinite(samples).all():
        raise UsageError(f"{path}: contains NaN or infinite samples: export it as 16-bit PCM again")
    samples = samples.clip(-1, 1)  # before they are mixed: huge ones would overflow
    return np.ascontiguousarray(samples[:, 0]) if samples.shape[1] == 1 else samples.mean(1)


def _refuse_broken(path: Path) -> bytes:
    """The first bytes; faults that libsndfile takes for another format, or overlooks, are named."""
    if path.is_dir():
        raise UsageError(f"{path}: a folder, expected an audio file: check the path")
    if not path.exists():
        raise UsageError(f"{path}: no such file: check the path")
    with path.open("rb") as file:
        head = file.read(len(LFS_POINTER))
        if not head:
            raise UsageError(f"{path}: empty (0 bytes): copy or download it again")
        if head == LFS_POINTER:
            raise UsageError(
                f"{path}: a git-LFS pointer, not audio: run `git lfs pull` in its repository"
            )
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            _refuse_cut_wav(path, file)
    return head


def _refuse_cut_wav(path: Path, file: BinaryIO) -> None:
    """Compare the size of the wav chunk that has the samples with the file's.

    A wav is 12 bytes, then chunks: name (4 bytes), size (4), content, padded to an even length.
    """
    total, start = file.seek(0, 2), 12
    while start + 8 <= total:
        file.seek(start)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        start += 8
        if name == b"data":
            if size != STREAMED and start + size > total:
                raise UsageError(
                    f"{path}: cut short, its header promises {size} bytes of samples and "
                    f"{total - start} are there: copy or download it again"
                )
            return
        start += size + size % 2
    raise UsageError(f"{path}: cut short before its first sample: copy or download it again")

"""One array in one file that is whole or absent: rows, description, seal.

    rows         little endian, memory-mapped from offset 0
    description  JSON: dtype, shape, SHA-256 of the rows, and the writer's own fields
    seal         48 bytes: MAGIC, length of the description (8 bytes), SHA-256 of the description

Rows are streamed to a temporary file, so memory stays small and a full disk is an OSError (a write
to a memory map would be killed by SIGBUS). A file without its seal is refused.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kws.files import CHUNK, atomic_path

MAGIC = b"kws-st01"
SEAL_BYTES = len(MAGIC) + 8 + 32
ABANDONED_SECONDS = 3600  # a temporary file untouched for so long has lost its writer

_verified: set[tuple[str, int, int, int]] = set()  # files whose rows this process has checked


class DamagedArrayError(Exception):
    """The file is not an array file, or its bytes have changed: the caller makes it again."""


class ArrayWriter:
    """Takes rows in order; `fields` goes into the description."""

    def __init__(self, file: BinaryIO, dtype: str, row_shape: tuple[int, ...]) -> None:
        self.fields: dict[str, Any] = {}
        self._file, self._dtype, self._row_shape = file, np.dtype(dtype), row_shape
        self._digest, self._rows = hashlib.sha256(), 0

    def append(self, rows: np.ndarray) -> None:
        """Write (n, *row_shape) more rows."""
        assert (rows.dtype, rows.shape[1:]) == (self._dtype, self._row_shape)
        data = np.ascontiguousarray(rows).data.cast("B")
        self._digest.update(data)
        self._file.write(data)
        self._rows += len(rows)

    def seal(self) -> None:
        description = {
            "dtype": self._dtype.str,
            "shape": [self._rows, *self._row_shape],
            "sha256": self._digest.hexdigest(),
            "fields": self.fields,
        }
        text = json.dumps(description).encode()
        length = len(text).to_bytes(8, "little")
        self._file.write(text + MAGIC + length + hashlib.sha256(text).digest())


@contextmanager
def write_array(path: Path, dtype: str, row_shape: tuple[int, ...]) -> Iterator[ArrayWriter]:
    """Stream rows into `path`, which appears, whole, at the end of the block."""
    _remove_abandoned(path)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        writer = ArrayWriter(file, dtype, row_shape)
        yield writer
        writer.seal()


def _remove_abandoned(path: Path) -> None:
    for temporary in sorted(path.parent.glob(f".{path.name}.*.tmp")):
        try:
            if time.time() - temporary.stat().st_mtime > ABANDONED_SECONDS:
                temporary.unlink()
        except FileNotFoundError:
            pass  # another process was quicker


def open_array(path: Path) -> tuple[np.memmap, dict[str, Any]]:
    """Map the rows of `path`, verified once per process, and return them with their fields."""
    with path.open("rb") as file:
        description = _read_description(path, file)
        dtype, shape = np.dtype(description["dtype"]), tuple(description["shape"])
        status = os.fstat(file.fileno())
        identity = (os.fspath(path), status.st_ino, status.st_mtime_ns, status.st_size)
        if identity not in _verified:
            size = dtype.itemsize * int(np.prod(shape))
            if _sha256_of_first(file, size) != description["sha256"]:
                raise DamagedArrayError(f"{path}: its checksum does not agree")
            _verified.add(identity)
        return np.memmap(file, dtype=dtype, mode="c", shape=shape), description["fields"]


def _read_description(path: Path, file: BinaryIO) -> dict[str, Any]:
    total = file.seek(0, os.SEEK_END)
    file.seek(max(0, total - SEAL_BYTES))
    seal = file.read()
    length = int.from_bytes(seal[8:16], "little")
    if len(seal) != SEAL_BYTES or seal[:8] != MAGIC or length > total - SEAL_BYTES:
        raise DamagedArrayError(f"{path}: not a whole pack")
    file.seek(total - SEAL_BYTES - length)
    text = file.read(length)
    if hashlib.sha256(text).digest() != seal[16:]:
        raise DamagedArrayError(f"{path}: its description is damaged")
    return json.loads(text)


def _sha256_of_first(file: BinaryIO, size: int) -> str:
    digest, left = hashlib.sha256(), size
    file.seek(0)
    while left and (chunk := file.read(min(CHUNK, left))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()

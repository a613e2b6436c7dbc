"""Files that are whole or absent: write to a temporary name, then rename."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = 1 << 20  # bytes read at a time


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary sibling of `path` to write to: renamed to `path` on success, removed on failure.

    The parent folder is made. A reader sees the old file or the new one, never a part; a kill
    leaves at most a `.NAME.*.tmp` beside it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _unused_sibling(path)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes 0600; a result is for others to read
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # a full disk names no file at all
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _unused_sibling(path: Path) -> Path:
    """A new empty file beside `path`; the OSError of a folder that refuses names `path`."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        error.filename = str(path)
        raise
    os.close(handle)
    return Path(name)


def write_bytes(path: str | Path, data: bytes | memoryview) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8 with Unix newlines, whole or not at all."""
    write_bytes(path, text.encode())


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits, read a chunk at a time."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def cache_dir() -> Path:
    """Where packed data sets live: `$KWS_CACHE`, or `~/.cache/kws`."""
    return Path(os.environ.get("KWS_CACHE") or Path.home() / ".cache" / "kws")

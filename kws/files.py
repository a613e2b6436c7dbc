"""Files and folders that are whole or absent: fill a temporary name, then rename. Locks. Zips."""

import glob
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

CHUNK = 1 << 20  # bytes read at a time
FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can store


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


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary sibling folder of `path` to fill: renamed on success, removed on failure.

    `path` is absent or empty. After kill -9 a `.NAME.*.tmp` stays behind; the next call for `path`
    removes it, unless the process that made it is still at work.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name[:100]}."
    for left in sorted(path.parent.glob(f"{glob.escape(prefix)}*.tmp")):
        with hold_lock(left) as held:
            if held:
                shutil.rmtree(left, ignore_errors=True)
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".tmp", dir=path.parent))
        with hold_lock(folder):
            yield folder
            folder.chmod(0o755)  # mkdtemp makes 0700; a data set is for others to read
            if path.exists():
                path.rmdir()
            folder.rename(path)
    except OSError as error:
        error.filename = os.fspath(path)  # not a name that was made up here
        raise
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def lock(file: IO[bytes] | int) -> bool | None:
    """Lock an open file until it is closed; False if locked elsewhere, None if unsupported."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True


@contextmanager
def hold_lock(path: Path) -> Iterator[bool | None]:
    """Hold the `lock` on an existing file or folder; yields what `lock` returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        yield lock(handle)
    finally:
        os.close(handle)


def zip_bytes(files: Mapping[str, bytes], executable: Collection[str] = ()) -> bytes:
    """A zip of `files`, by their paths in it; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, FIRST_DATE)
            entry.create_system = 3  # Unix, wherever it is made
            entry.external_attr = (0o100755 if path in executable else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[path])
    return buffer.getvalue()


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

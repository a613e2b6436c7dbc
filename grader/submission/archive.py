"""The files of a submission: a file, a folder, a zip or a tar, read into memory, never unpacked.

Links are skipped, and paths in an archive are only names. Limits apply to the bytes unpacked, not
to the sizes in headers. Damaged, encrypted and unknown archives need a person.
"""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from grader.core.text import short
from grader.submission.ipynb import MAX_NOTEBOOK, Stream, read_notebook_bytes

MAX_FILE = 64 << 20  # bytes of one notebook without its outputs, script or weights
MAX_TOTAL = 256 << 20  # bytes of all that is read
MAX_ENTRIES = 20_000  # files looked at
MAX_LISTED = 100_000  # entries of archives, and folders, whatever they are
MAX_UNPACKED = 512 << 20  # bytes that come out of archives
MAX_NAME = 1_000  # characters of a path in an archive; of a longer one the end
MAX_NESTED = 2  # archives within archives
MAX_DEPTH = 100  # folders within folders
MAX_HEADER, MAX_HEADERS = 1 << 16, 100  # bytes of a PAX header, and how many may be for all entries
PICKLED = (".pt", ".pth", ".bin")  # weights that could run code
CLOSED = (".7z", ".rar", ".pdf", ".html", ".htm", ".docx", ".doc", ".odt", ".rtf", *PICKLED)
TEXT_SUFFIXES = (".ipynb", ".py", ".json", ".txt", "")
PACKED_SUFFIXES = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".tar")
WEIGHTS = ".safetensors"
BROKEN = (  # what zipfile, tarfile and the unpackers raise
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError,
    OSError, ValueError, ArithmeticError, LookupError, RuntimeError, MemoryError,
)  # fmt: skip
ZIP, LISTED = b"PK\x03\x04", b"PK\1\2"  # begin a zip, and an entry of its table of contents
UNPACK: dict[bytes, Callable[[Any], Any]] = {  # how a file begins -> what unpacks it
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
SKIPPED = {"__MACOSX", "__pycache__", "node_modules", "site-packages", "venv", "env"}
LIBRARIES = {"kws", "data_scripts", "build", "dist"}  # their scripts are not answers


class _Entry(tarfile.TarInfo):
    """An entry whose PAX headers are few and short, as those for all entries are copied to each."""

    def _proc_pax(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size > MAX_HEADER or len(archive.pax_headers) > MAX_HEADERS:
            raise tarfile.TarError("these headers would fill the memory")
        return super()._proc_pax(archive)  # type: ignore[misc]  (not in the stubs)


@dataclass(frozen=True, kw_only=True)
class File:
    path: PurePosixPath
    data: bytes


@dataclass(kw_only=True)
class Collected:
    """All files that may matter, sorted by path; `closed` were not read and need a person."""

    files: list[File] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    left: int = MAX_TOTAL
    entries: int = MAX_ENTRIES
    listed: int = MAX_LISTED
    unpacking: int = MAX_UNPACKED

    def add_from_disk(self, file: Path, name: str, *, links: bool = True) -> None:
        """Add a file under a name, or note why it was left out; a link only with `links`."""
        path = PurePosixPath(name)
        if self.is_closed(path):
            return
        try:
            kind = file.stat() if links else file.lstat()
            if stat.S_ISLNK(kind.st_mode):
                self.leave_closed(path, "is a link: hand in the file itself")
            elif not stat.S_ISREG(kind.st_mode):
                self.leave_closed(path, "is not a file and was left out")
            else:
                with file.open("rb") as stream:
                    self.add_stream(path, stream)
        except OSError as error:
            self.note(f"{short(name)} could not be read ({error.strerror}): hand it in again")
            self.closed.append(name)

    def add_stream(self, path: PurePosixPath, stream: Stream, nested: int = 0) -> None:
        most = min(MAX_FILE, self.left)
        is_notebook = ".ipynb" in path.name.lower()
        data = read_notebook_bytes(stream, most) if is_notebook else stream.read(most + 1)
        if data is not None and len(data) <= most:
            self.left -= len(data)
            self.add(path, data, nested)
            return
        if most < MAX_FILE:
            self.note(f"{short(path)} was not read: all files exceed {MAX_TOTAL >> 20} MiB")
        else:
            size = f"{MAX_NOTEBOOK >> 20} MiB, or {MAX_FILE >> 20} MiB without its outputs,"
            size = size if is_notebook else f"{MAX_FILE >> 20} MiB"
            self.note(f"{short(path)} is larger than {size} and was not read")
        if path.suffix.lower() != WEIGHTS:
            self.closed.append(str(path))

    def add(self, path: PurePosixPath, data: bytes, nested: int = 0) -> None:
        suffix = path.suffix.lower()
        unpack = next((how for begin, how in UNPACK.items() if data.startswith(begin)), None)
        is_zip = data.startswith(ZIP) and suffix in (*TEXT_SUFFIXES, ".zip")
        is_tar = data[257:262] == b"ustar"
        if suffix == WEIGHTS or not (is_zip or is_tar or unpack):
            if suffix in PACKED_SUFFIXES:
                self.leave_closed(path, "is damaged and could not be opened: zip it again")
            else:
                self.files.append(File(path=path, data=data))
        elif nested == MAX_NESTED:
            self.leave_closed(path, "is an archive within archives: hand in one zip")
        else:
            try:
                if is_zip:
                    self._add_zip(data, nested + 1)
                elif is_tar:
                    self._add_tar(data, nested + 1)
                elif unpack:
                    with unpack(io.BytesIO(data)) as stream:
                        self._count_unpacked(stream, path.with_suffix(""), nested + 1)
            except BROKEN:
                self.leave_closed(path, "is damaged, or too large: zip it again")

    def _add_zip(self, data: bytes, nested: int) -> None:
        if data.count(LISTED) > self.listed:
            raise zipfile.BadZipFile("its table of contents alone would fill the memory")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = sorted(archive.infolist(), key=lambda entry: entry.filename)
            # notebooks first, so that no other file uses up the limits
            listed.sort(key=lambda entry: not entry.filename.lower().endswith(".ipynb"))
            self.listed -= len(listed)
            for entry in listed:
                path = _inside(entry.filename)
                if entry.is_dir() or not self.is_looked_at(path):
                    continue
                if stat.S_ISLNK(entry.external_attr >> 16):
                    self.leave_closed(path, "is a link: hand in the file itself")
                elif entry.flag_bits & 1:
                    self.leave_closed(path, "is encrypted: zip it without a password")
                else:
                    try:
                        with archive.open(entry) as stream:
                            self._count_unpacked(stream, path, nested)
                    except BROKEN:
                        self.leave_closed(path, "is damaged in the zip: zip it again")

    def _add_tar(self, data: bytes, nested: int) -> None:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", tarinfo=_Entry) as archive:
            while (member := archive.next()) is not None:
                vars(archive)["members"].clear()  # it would keep all
                self.listed -= 1
                path = _inside(member.name)
                if self.listed < 0 or member.isdir() or not self.is_looked_at(path):
                    continue
                plain = member.isreg() and not member.issparse()  # a sparse file may be endless
                stream = archive.extractfile(member) if plain else None
                if stream is None:
                    self.leave_closed(path, "is a link: hand in the file itself")
                else:
                    self._count_unpacked(stream, path, nested)

    def _count_unpacked(self, stream: Any, path: PurePosixPath, nested: int) -> None:
        if self.unpacking <= 0:
            self.leave_closed(path, "was not read: unpacking takes too long")
            return
        try:
            self.add_stream(path, stream, nested)
        finally:
            self.unpacking -= stream.tell()

    def is_looked_at(self, path: PurePosixPath) -> bool:
        return is_wanted(path) and self.count(path) and not self.is_closed(path)

    def is_closed(self, path: PurePosixPath) -> bool:
        closed = path.suffix.lower() in CLOSED
        if closed:
            self.closed.append(str(path))
        return closed

    def leave_closed(self, path: PurePosixPath, why: str) -> None:
        self.closed.append(str(path))
        self.note(f"{short(path)} {why}")

    def count(self, name: PurePosixPath) -> bool:
        self.entries -= 1
        if self.entries == -1:
            self.leave_closed(name, f"and more were not read: the most is {MAX_ENTRIES} files")
        return self.entries >= 0

    def note(self, sentence: str) -> None:
        self.notes[sentence] = None


def collect(path: Path) -> Collected:
    """The files of the submission at `path`, which exists: a file, or a folder however deep."""
    found = Collected()
    if not path.is_dir():
        found.add_from_disk(path, _shown(path.name))
        return found
    for file in _walk(found, path):
        inside = PurePosixPath(_shown(file.relative_to(path).as_posix()))
        if is_wanted(inside) and found.count(inside):
            found.add_from_disk(file, str(inside), links=False)
    found.files.sort(key=lambda file: file.path.as_posix())
    return found


def _walk(found: Collected, root: Path) -> Iterable[Path]:
    def note(error: OSError) -> None:
        name = short(_shown(os.path.relpath(error.filename or root, root)))
        found.note(f"{name} could not be read ({error.strerror}): hand it in again")
        found.closed.append(name)

    for folder, folders, names in os.walk(root, onerror=note):
        found.listed -= 1
        if found.listed < 0:
            found.note(f"more than {MAX_LISTED} folders were handed in: not all were read")
            return
        folders[:] = sorted(name for name in folders if not is_skipped(name))
        if folders and folder.count(os.sep) - str(root).count(os.sep) > MAX_DEPTH:
            inside = PurePosixPath(short(_shown(os.path.relpath(folder, root))))
            found.leave_closed(inside, "was not read: too many folders are nested")
            folders.clear()
        for name in sorted(names):
            yield Path(folder, name)


def _inside(name: str) -> PurePosixPath:
    name = name[-MAX_NAME:]
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return PurePosixPath(*parts) if parts else PurePosixPath("unnamed")


def _shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", errors="replace")


def is_skipped(name: str) -> bool:
    """Whether a folder of this name never contains the student's own work."""
    return name in SKIPPED or (name.startswith(".") and name != ".")


def is_wanted(path: PurePosixPath) -> bool:
    """Whether a file may be an answer: not hidden, not the course's, of a known kind."""
    if any(map(is_skipped, path.parts[:-1])) or path.name.startswith("."):
        return False
    if path.suffix == ".py" and path.parent.name in LIBRARIES | {"models", "data", "cli"}:
        return False
    called = path.name.lower()  # "01_features.ipynb のコピー", ".ipynb.download", ".ipynb~"
    known = (*TEXT_SUFFIXES, *PACKED_SUFFIXES, WEIGHTS, *CLOSED)
    return path.suffix.lower() in known or ".ipynb" in called

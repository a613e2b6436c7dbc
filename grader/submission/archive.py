"""The files of a submission: a file, a folder, a zip or a tar, read into memory, never unpacked.

Nothing is followed out of what was handed in: links are skipped, an archive's paths are names and
no places. What it unpacks to is bounded by the bytes that come, not by what it says about itself;
of one that breaks off, the files in front of the break are read.
"""

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from grader.submission import tarball
from grader.submission.decoding import short
from grader.submission.headers import ZIP, Unpacking, entries

MAX_FILE = 64 << 20  # bytes of one notebook, script or weights
MAX_TOTAL = 256 << 20  # bytes of all that is read
MAX_ENTRIES = 20_000  # files looked at
MAX_LISTED = 100_000  # entries of zips, and folders, whatever they are
MAX_NAME = 1_000  # characters of a path in a zip; of a longer one the end
MAX_NESTED = 2  # archives within archives
PICKLED = (".pt", ".pth", ".bin")  # weights that could run code
CLOSED = (".7z", ".rar", ".pdf", ".html", ".htm", ".docx", ".doc", ".odt", ".rtf", *PICKLED)
TEXT_SUFFIXES = (".ipynb", ".py", ".json", ".txt", "")
WEIGHTS = ".safetensors"
BROKEN_ZIP = (  # what zipfile raises for one
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    MemoryError,
)
LISTED = b"PK\1\2"  # begins an entry in a zip's table of contents
SKIPPED = {"__MACOSX", "__pycache__", "node_modules", "site-packages", "venv", "env"}
LIBRARIES = {"kws", "data_scripts", "build", "dist"}  # their scripts are no answers


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a submission: its path within it, and its bytes."""

    path: PurePosixPath
    data: bytes


@dataclass(kw_only=True)
class Collected:
    """All files that may matter, sorted by path, and what was left out, in words."""

    files: list[File] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)  # what may hold answers and cannot be opened
    notes: dict[str, None] = field(default_factory=dict)
    left: int = MAX_TOTAL
    entries: int = MAX_ENTRIES
    listed: int = MAX_LISTED
    unpacking: Unpacking = field(default_factory=Unpacking)

    def take(self, name: str, data: bytes, nested: int = 0) -> None:
        """Add a file; a zip is looked into."""
        path = PurePosixPath(name)
        suffix = path.suffix.lower()
        archive = data.startswith(ZIP) and suffix in (*TEXT_SUFFIXES, ".zip")
        if suffix == WEIGHTS or not (archive or tarball.is_packed(data) or tarball.is_tar(data)):
            if suffix in (".zip", *tarball.SUFFIXES):
                self.closed.append(name)
                self.note(f"{short(name)} is damaged and could not be opened: zip it again")
            else:
                self.files.append(File(path=path, data=data))
        elif nested == MAX_NESTED:
            self.closed.append(name)
            self.note(f"{short(name)}: a zip within zips was not opened: hand in one zip")
        elif archive:
            self.take_zip(name, data, nested + 1)
        elif tarball.is_tar(data):
            self.take_tar(data, nested + 1)
        else:
            self.take_packed(name, data, nested + 1)

    def take_packed(self, name: str, data: bytes, nested: int) -> None:
        """Add what gzip, bzip2 or xz made of a file or a tar, or the part of it that is whole."""
        content, whole = tarball.unpacked(data, min(self.left, max(self.unpacking.left, 0)) + 1)
        self.unpacking.left -= len(data) + len(content)
        if not content:
            self.closed.append(name)
        if not whole:
            self.note(f"{short(name)} is damaged, or too large: zip it again")
        if tarball.is_tar(content):
            self.take_tar(content, nested)
        elif content and self.fits(name, len(content)):
            self.take(str(PurePosixPath(name).with_suffix("")), content, nested)

    def take_tar(self, data: bytes, nested: int) -> None:
        """Add the files of a tar."""
        for name, content in tarball.members(data):
            self.listed -= 1
            path = _inside(name)
            if self.listed < 0 or (wanted(path) and not self.counts(name)):
                return
            if not wanted(path) or self.closes(path):
                continue
            if content is None:
                self.note(f"{short(path)}: a link was not followed: hand in the file itself")
            elif self.fits(path, len(content)):
                self.take(path.as_posix(), content, nested)

    def take_zip(self, name: str, data: bytes, nested: int) -> None:
        """Add the files of a zip, or of the part of it that is whole."""
        most = max(self.listed, 0)
        full = data.count(LISTED) > most
        try:
            if full:
                raise zipfile.BadZipFile("its table of contents alone would fill the memory")
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                listed = sorted(archive.infolist(), key=_notebooks_first)
                self.listed -= len(listed)
                for entry in listed:
                    self._take_entry(archive, entry, nested)
        except BROKEN_ZIP:
            before = len(self.files)
            for path, content in self._scan(data):
                if wanted(path) and not self.closes(path):
                    self.take(path.as_posix(), content, nested)
            read = len(self.files) - before
            if not read:
                self.closed.append(name)
            what = f"holds more than {most} entries" if full else "is damaged"
            cure = "hand in your own files alone" if full else "zip it again"
            self.note(f"{short(name)} {what}: {read} files could still be read from it: {cure}")

    def _scan(self, data: bytes) -> Iterator[tuple[PurePosixPath, bytes]]:
        """The files of a zip without its table of contents, by their own headers."""
        for name, content in entries(data, self._most, self.unpacking):
            path = _inside(name)
            if not self.counts(name):
                return
            if content and self.fits(path, len(content)):
                yield path, content

    def _most(self) -> int:
        """How many bytes of one file are unpacked: one more tells that it is too large."""
        return min(MAX_FILE, self.left) + 1

    def _take_entry(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, nested: int) -> None:
        path = _inside(entry.filename)
        looked_at = not entry.is_dir() and wanted(path) and self.counts(entry.filename)
        if not looked_at or self.closes(path):
            return
        if stat.S_ISLNK(entry.external_attr >> 16):
            self.note(f"{short(path)}: a link was not followed: hand in the file itself")
            return
        if entry.flag_bits & 1:
            self.closed.append(str(path))
            self.note(f"{short(path)} is encrypted: zip it without a password")
            return
        if self.unpacking.left <= 0:
            self.note(f"from {short(path)} on none was read: unpacking takes too long")
            return
        try:
            with archive.open(entry) as stream:
                content = stream.read(self._most())
            self.unpacking.left -= min(entry.compress_size, MAX_FILE) + len(content)
        except BROKEN_ZIP:
            content = self._partly(archive, entry)
            self.note(f"{short(path)} is damaged in the zip: what could be unpacked was read")
        if self.fits(path, len(content)):
            self.take(path.as_posix(), content, nested)

    def _partly(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
        """As much of a damaged entry as unpacks."""
        source = archive.fp
        if source is None:
            return b""
        source.seek(entry.header_offset)
        data = source.read(min(entry.compress_size + 100_000, MAX_FILE))
        self.unpacking.left -= len(data)
        return next((content for _, content in entries(data, self._most, self.unpacking)), b"")

    def closes(self, path: PurePosixPath) -> bool:
        """Whether this is of a kind that is not opened; a person may look at it."""
        closed = path.suffix.lower() in CLOSED
        if closed:
            self.closed.append(str(path))
        return closed

    def counts(self, name: str) -> bool:
        """Whether one more file may be looked at."""
        self.entries -= 1
        if self.entries == -1:
            self.note(
                f"more than {MAX_ENTRIES} files were handed in: from {short(name)} on none was read"
            )
        return self.entries >= 0

    def fits(self, path: PurePosixPath | str, size: int) -> bool:
        """Whether so many more bytes may be kept."""
        fine = size <= min(MAX_FILE, self.left)
        if size > MAX_FILE:
            self.note(f"{short(path)} is larger than {MAX_FILE >> 20} MiB and was not read")
        elif not fine:
            self.note(
                f"{short(path)} was not read: all together is more than {MAX_TOTAL >> 20} MiB"
            )
        self.left = max(0, self.left - size)  # unpacking it took its time, kept or not
        return fine

    def note(self, sentence: str) -> None:
        """Tell the student, once."""
        self.notes[sentence] = None


def _notebooks_first(entry: zipfile.ZipInfo) -> tuple[bool, str]:
    """So that nothing else uses up what may be read."""
    return not entry.filename.lower().endswith(".ipynb"), entry.filename


def _inside(name: str) -> PurePosixPath:
    """The name of an entry as a path that leads nowhere else."""
    name = name[-MAX_NAME:]
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return PurePosixPath(*parts) if parts else PurePosixPath("unnamed")


def skipped(name: str) -> bool:
    """Whether nothing in a folder of this name is the student's own work."""
    return name in SKIPPED or (name.startswith(".") and name != ".")


def wanted(path: PurePosixPath) -> bool:
    """Whether a file may be somebody's answer: not hidden, not the course's, of a known kind."""
    if any(map(skipped, path.parts[:-1])) or path.name.startswith("."):
        return False
    if path.suffix == ".py" and path.parent.name in LIBRARIES | {"models", "data", "cli"}:
        return False
    called = path.name.lower()  # "01_features.ipynb のコピー", ".ipynb.download", ".ipynb~"
    known = (*TEXT_SUFFIXES, ".zip", WEIGHTS, *tarball.SUFFIXES, *CLOSED)
    return path.suffix.lower() in known or ".ipynb" in called

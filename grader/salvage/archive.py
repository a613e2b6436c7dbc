"""The files of a submission: a file, a folder or a zip, read into memory and never unpacked.

Nothing is followed out of what was handed in: links are skipped, a zip's paths are names and no
places. What a zip unpacks to is bounded by the bytes that come, not by what it says about itself;
of a zip that breaks off, the files in front of the break are read.
"""

import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.salvage.headers import ZIP, Unpacking, entries
from grader.salvage.text import short

MAX_FILE = 64 << 20  # bytes of one notebook, script or weights
MAX_TOTAL = 256 << 20  # bytes of all that is read
MAX_ENTRIES = 20_000  # files looked at
MAX_LISTED = 100_000  # entries of zips, and folders, whatever they are
MAX_NAME = 1_000  # characters of a path in a zip; of a longer one the end
MAX_NESTED = 2  # zips within zips
TEXT_SUFFIXES = (".ipynb", ".py", ".json", ".txt", "")
WEIGHTS = ".safetensors"
BROKEN_ZIP = (  # what zipfile raises for one
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, ArithmeticError, LookupError, RuntimeError, MemoryError),
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
    notes: dict[str, None] = field(default_factory=dict)
    left: int = MAX_TOTAL
    entries: int = MAX_ENTRIES
    listed: int = MAX_LISTED
    unpacking: Unpacking = field(default_factory=Unpacking)

    def take(self, name: str, data: bytes, nested: int = 0) -> None:
        """Add a file; a zip is looked into."""
        path = PurePosixPath(name)
        if data.startswith(ZIP) and path.suffix.lower() in (*TEXT_SUFFIXES, ".zip"):
            if nested == MAX_NESTED:
                self.note(f"{short(name)}: a zip within zips was not opened: hand in one zip")
            else:
                self.take_zip(name, data, nested + 1)
        elif path.suffix.lower() == ".zip":
            self.note(f"{short(name)} is damaged, or no zip, and could not be opened: zip it again")
        else:
            self.files.append(File(path=path, data=data))

    def take_zip(self, name: str, data: bytes, nested: int) -> None:
        """Add the files of a zip, or of the part of it that is whole."""
        try:
            if data.count(LISTED) > max(self.listed, 0):
                raise zipfile.BadZipFile("its table of contents alone would fill the memory")
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                listed = sorted(archive.infolist(), key=_notebooks_first)
                self.listed -= len(listed)
                for entry in listed:
                    self._take_entry(archive, entry, nested)
        except BROKEN_ZIP:
            before = len(self.files)
            for path, content in self._scan(data):
                if _wanted(path):
                    self.take(path.as_posix(), content, nested)
            read = len(self.files) - before
            self.note(
                f"{short(name)} is damaged: {read} files could still be read from it: zip it again"
            )

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
        if entry.is_dir() or not _wanted(path) or not self.counts(entry.filename):
            return
        if stat.S_ISLNK(entry.external_attr >> 16):
            self.note(f"{short(path)}: a link was not followed: hand in the file itself")
            return
        if entry.flag_bits & 1:
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


def collect(path: Path) -> Collected:
    """The files of the submission at `path`, which exists."""
    found = Collected()
    if not path.is_dir():
        _take_from_disk(found, path, _shown(path.name))
        return found
    for file in _walk(found, path):
        inside = PurePosixPath(_shown(file.relative_to(path).as_posix()))
        if _wanted(inside) and found.counts(str(inside)):
            _take_from_disk(found, file, str(inside), links=False)
    found.files.sort(key=lambda file: file.path.as_posix())
    return found


def _walk(found: Collected, root: Path) -> Iterator[Path]:
    """All files below a folder, however deep, sorted; of links, those to files."""
    ahead = [str(root)]
    while ahead:
        folder = ahead.pop()
        name = short(_shown(os.path.relpath(folder, root)))
        found.listed -= 1
        if found.listed == -1:
            found.note(f"more than {MAX_LISTED} folders were handed in: {name} was not read")
        if found.listed < 0:
            return
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.note(f"{name} could not be read ({error.strerror}): hand it in again")
            continue
        folders = []
        for entry in inside:
            if not _leads_on(entry):
                yield Path(entry.path)
            elif not entry.is_symlink() and not _skipped(entry.name):
                folders.append(entry.path)
        ahead += reversed(folders)


def _leads_on(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _take_from_disk(found: Collected, file: Path, name: str, links: bool = True) -> None:
    try:
        kind = file.stat() if links else file.lstat()
        if stat.S_ISLNK(kind.st_mode):
            found.note(f"{short(name)}: a link was not followed: hand in the file itself")
        elif not stat.S_ISREG(kind.st_mode):
            found.note(f"{short(name)} is no file and was left out")
        elif found.fits(name, kind.st_size):
            with file.open("rb") as stream:
                found.take(name, stream.read(kind.st_size))
    except OSError as error:
        found.note(f"{short(name)} could not be read ({error.strerror}): hand it in again")


def _shown(name: str) -> str:
    """A name as text, whatever bytes the disk has for it."""
    return os.fsencode(name).decode("utf-8", errors="replace")


def _notebooks_first(entry: zipfile.ZipInfo) -> tuple[bool, str]:
    """So that nothing else uses up what may be read."""
    return not entry.filename.lower().endswith(".ipynb"), entry.filename


def _inside(name: str) -> PurePosixPath:
    """The name of an entry as a path that leads nowhere else."""
    name = name[-MAX_NAME:]
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return PurePosixPath(*parts) if parts else PurePosixPath("unnamed")


def _skipped(name: str) -> bool:
    return name in SKIPPED or (name.startswith(".") and name != ".")


def _wanted(path: PurePosixPath) -> bool:
    """Whether a file may be somebody's answer: not hidden, not the course's, of a known kind."""
    if any(map(_skipped, path.parts[:-1])) or path.name.startswith("."):
        return False
    if path.suffix == ".py" and path.parent.name in LIBRARIES | {"models", "data", "cli"}:
        return False
    called = path.name.lower()  # "01_features.ipynb のコピー", ".ipynb.download", ".ipynb~"
    return path.suffix.lower() in (*TEXT_SUFFIXES, ".zip", WEIGHTS) or ".ipynb" in called

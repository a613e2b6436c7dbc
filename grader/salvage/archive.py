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

MAX_FILE = 64 << 20  # bytes of one notebook, script or weights
MAX_TOTAL = 256 << 20  # bytes of all that is read
MAX_ENTRIES = 20_000  # files looked at
MAX_NESTED = 2  # zips within zips
ZIP = b"PK\x03\x04"
TEXT_SUFFIXES = (".ipynb", ".py", ".json", ".txt", "")
WEIGHTS = ".safetensors"
BROKEN_ZIP = (  # what zipfile raises for one
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, ArithmeticError, LookupError, RuntimeError),
)
STEP = 256  # bytes unpacked at a time
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
    notes: list[str] = field(default_factory=list)
    left: int = MAX_TOTAL
    entries: int = MAX_ENTRIES

    def take(self, name: str, data: bytes, nested: int = 0) -> None:
        """Add a file; a zip is looked into."""
        path = PurePosixPath(name)
        if data.startswith(ZIP) and path.suffix.lower() in (*TEXT_SUFFIXES, ".zip"):
            if nested == MAX_NESTED:
                self.note(f"{name}: a zip within zips was not opened: hand in one zip")
            else:
                self.take_zip(name, data, nested + 1)
        elif path.suffix.lower() == ".zip":
            self.note(f"{name} is damaged, or no zip, and could not be opened: zip it again")
        else:
            self.files.append(File(path=path, data=data))

    def take_zip(self, name: str, data: bytes, nested: int) -> None:
        """Add the files of a zip, or of the part of it that is whole."""
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for entry in sorted(archive.infolist(), key=_notebooks_first):
                    self._take_entry(archive, entry, nested)
        except BROKEN_ZIP:
            before = len(self.files)
            for path, content in _scan(data, self):
                if _wanted(path):
                    self.take(path.as_posix(), content, nested)
            read = len(self.files) - before
            self.note(f"{name} is damaged: {read} files could still be read from it: zip it again")

    def _take_entry(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, nested: int) -> None:
        path = _inside(entry.filename)
        if entry.is_dir() or not _wanted(path) or not self.counts(entry.filename):
            return
        if stat.S_ISLNK(entry.external_attr >> 16):
            self.note(f"{path}: a link was not followed: hand in the file itself")
            return
        if entry.flag_bits & 1:
            self.note(f"{path} is encrypted: zip it without a password")
            return
        try:
            with archive.open(entry) as stream:
                content = stream.read(min(MAX_FILE, self.left) + 1)
        except BROKEN_ZIP:
            content = _partly(archive, entry, min(MAX_FILE, self.left) + 1)
            self.note(f"{path} is damaged in the zip: what could be unpacked was read")
        if self.fits(path, len(content)):
            self.take(path.as_posix(), content, nested)

    def counts(self, name: str) -> bool:
        """Whether one more file may be looked at."""
        self.entries -= 1
        if self.entries == -1:
            self.note(f"more than {MAX_ENTRIES} files were handed in: from {name} on none was read")
        return self.entries >= 0

    def fits(self, path: PurePosixPath | str, size: int) -> bool:
        """Whether so many more bytes may be kept."""
        fine = size <= min(MAX_FILE, self.left)
        if size > MAX_FILE:
            self.note(f"{path} is larger than {MAX_FILE >> 20} MiB and was not read")
        elif not fine:
            self.note(f"{path} was not read: all together is more than {MAX_TOTAL >> 20} MiB")
        self.left = max(0, self.left - size)  # unpacking it took its time, kept or not
        return fine

    def note(self, sentence: str) -> None:
        """Tell the student, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)


def collect(path: Path) -> Collected:
    """The files of the submission at `path`, which exists."""
    found = Collected()

    def refused(error: OSError) -> None:
        name = os.path.relpath(str(error.filename), path)
        found.note(f"{_shown(name)} could not be read ({error.strerror}): hand it in again")

    if not path.is_dir():
        _take_from_disk(found, path, _shown(path.name))
        return found
    for folder, folders, names in os.walk(path, onerror=refused, followlinks=False):
        folders[:] = sorted(name for name in folders if not _skipped(name))
        for name in sorted(names):
            file = Path(folder, name)
            inside = PurePosixPath(_shown(file.relative_to(path).as_posix()))
            if _wanted(inside) and found.counts(str(inside)):
                _take_from_disk(found, file, str(inside), links=False)
    found.files.sort(key=lambda file: file.path.as_posix())
    return found


def _take_from_disk(found: Collected, file: Path, name: str, links: bool = True) -> None:
    try:
        kind = file.stat() if links else file.lstat()
        if stat.S_ISLNK(kind.st_mode):
            found.note(f"{name}: a link was not followed: hand in the file itself")
        elif not stat.S_ISREG(kind.st_mode):
            found.note(f"{name} is no file and was left out")
        elif found.fits(name, kind.st_size):
            with file.open("rb") as stream:
                found.take(name, stream.read(kind.st_size))
    except OSError as error:
        found.note(f"{name} could not be read ({error.strerror}): hand it in again")


def _shown(name: str) -> str:
    """A name as text, whatever bytes the disk has for it."""
    return os.fsencode(name).decode("utf-8", errors="replace")


def _notebooks_first(entry: zipfile.ZipInfo) -> tuple[bool, str]:
    """So that nothing else uses up what may be read."""
    return not entry.filename.lower().endswith(".ipynb"), entry.filename


def _inside(name: str) -> PurePosixPath:
    """The name of an entry as a path that leads nowhere else."""
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


def _partly(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """As much of a damaged entry as unpacks."""
    source = archive.fp
    if source is None:
        return b""
    source.seek(entry.header_offset)
    data = source.read(min(entry.compress_size + 100_000, MAX_FILE))
    return next((content for _, content in _entries(data, most)), b"")


def _scan(data: bytes, found: Collected) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files of a zip without its table of contents, by their own headers."""
    for name, content in _entries(data, max(1, min(MAX_FILE, found.left))):
        path = _inside(name)
        if not found.counts(name):
            return
        if content and found.fits(path, len(content)):
            yield path, content


def _entries(data: bytes, most: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of everything that starts like an entry of a zip."""
    start = data.find(ZIP)
    while start >= 0 and len(data) >= start + 30:
        method, _, _, _, size, _, name_size, extra = struct.unpack_from(
            "<HHHIIIHH", data, start + 8
        )
        begin = start + 30 + name_size + extra
        name = data[start + 30 : start + 30 + name_size].decode("utf-8", errors="replace")
        if method == zipfile.ZIP_STORED:
            content = data[begin : begin + min(size, most)]
            after = begin + len(content)
        else:
            content, after = _inflate(data, begin, most)
        yield name, content
        start = data.find(ZIP, max(after, start + len(ZIP)))


def _inflate(data: bytes, begin: int, most: int) -> tuple[bytes, int]:
    """What unpacks from `begin` on, in front of any damage, and where it ends."""
    unpacker, content = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    position = begin
    try:
        while position < len(data) and not unpacker.eof and len(content) < most:
            step = unpacker.unconsumed_tail + data[position : position + STEP]
            position += STEP
            content += unpacker.decompress(step, most - len(content))
    except zlib.error:
        position = begin  # what looked like an entry may be none: the next may lie within it
    return bytes(content), min(position, len(data)) - len(unpacker.unused_data)

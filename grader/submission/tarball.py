"""What gzip, bzip2 and xz hold, and the files of a tar: Linux' and macOS' archives.

Unpacked in memory and no further than allowed, whatever the file says of its size.
"""

import bz2
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

OPENERS: tuple[tuple[bytes, Callable[[], Any]], ...] = (  # how a file begins -> what unpacks it
    (b"\x1f\x8b", lambda: zlib.decompressobj(zlib.MAX_WBITS | 16)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(memlimit=256 << 20)),
)
BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError)
SUFFIXES = (".gz", ".tgz", ".bz2", ".xz", ".tar")
STEP = 1 << 20
MAX_HEADER, MAX_HEADERS = 1 << 16, 100  # bytes of a PAX header, and how many may be for all entries


class _Entry(tarfile.TarInfo):
    """An entry whose PAX headers are few and short, as those for all entries are copied to each."""

    def _proc_pax(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size > MAX_HEADER or len(archive.pax_headers) > MAX_HEADERS:
            raise tarfile.TarError("these headers would fill the memory")
        return super()._proc_pax(archive)  # type: ignore[misc]  (not in the stubs)


def is_packed(data: bytes) -> bool:
    """Whether the bytes begin as one of these does."""
    return data.startswith(tuple(begin for begin, _ in OPENERS))


def is_tar(data: bytes) -> bool:
    """Whether the bytes are a tar, to judge by its first header."""
    return data[257:262] == b"ustar"


def unpacked(data: bytes, most: int) -> tuple[bytes, bool]:
    """At most so many bytes of what is packed, and whether that is all and undamaged."""
    unpacker = next(make for begin, make in OPENERS if data.startswith(begin))()
    content, position = bytearray(), 0
    try:
        while position < len(data) and not unpacker.eof and len(content) < most:
            content += unpacker.decompress(data[position : position + STEP], most - len(content))
            position += STEP
            while len(content) < most and not unpacker.eof and _waits(unpacker):
                rest = getattr(unpacker, "unconsumed_tail", b"")
                content += unpacker.decompress(rest, most - len(content))
    except BROKEN:
        return bytes(content), False
    return bytes(content), unpacker.eof


def _waits(unpacker: Any) -> bool:
    """Whether something that was given is not unpacked yet."""
    return bool(getattr(unpacker, "unconsumed_tail", b"")) or not getattr(
        unpacker, "needs_input", True
    )


def members(data: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Name and content of each entry of a tar that is no folder; None for what is no plain file.

    What breaks off is read in front of the break.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", tarinfo=_Entry) as archive:
            while (member := archive.next()) is not None:
                vars(archive)["members"].clear()  # it would keep all
                if member.isdir():
                    continue
                plain = member.isreg() and not member.issparse()  # a sparse file may be endless
                file = archive.extractfile(member) if plain else None
                yield member.name, None if file is None else file.read()
    except (tarfile.TarError, *BROKEN):
        return

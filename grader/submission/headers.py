"""The entries of a zip by the headers in front of them, where its table of contents is of no use.

What looks like a header may lie within another entry, and one stretch may be unpacked for every
header in front of it: all unpacking together is limited.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ZIP = b"PK\x03\x04"
STEP = 256  # bytes unpacked at a time
MAX_WORK = 512 << 20  # bytes that go into unpacking and come out of it, of all zips together


@dataclass(kw_only=True)
class Unpacking:
    """How many bytes may still be unpacked, those that go in and those that come out."""

    left: int = MAX_WORK


def entries(
    data: bytes, most: Callable[[], int], unpacking: Unpacking
) -> Iterator[tuple[str, bytes]]:
    """Name and content of everything that starts like an entry of a zip, `most` bytes of each."""
    start = data.find(ZIP)
    while start >= 0 and len(data) >= start + 30 and unpacking.left > 0:
        method, _, _, _, size, _, name_size, extra = struct.unpack_from(
            "<HHHIIIHH", data, start + 8
        )
        begin = start + 30 + name_size + extra
        name = data[start + 30 : start + 30 + name_size].decode("utf-8", errors="replace")
        if method == zipfile.ZIP_STORED:
            content = data[begin : begin + min(size, most())]
            after = begin + len(content)
        else:
            content, after, tried = _inflate(data, begin, most())
            unpacking.left -= tried + len(content)
        yield name, content
        start = data.find(ZIP, max(after, start + len(ZIP)))


def _inflate(data: bytes, begin: int, most: int) -> tuple[bytes, int, int]:
    """What unpacks from `begin` on, in front of any damage, where it ends, and how far it went."""
    unpacker, content = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    position = tried = begin
    try:
        while position < len(data) and not unpacker.eof and len(content) < most:
            step = unpacker.unconsumed_tail + data[position : position + STEP]
            position = tried = position + STEP
            content += unpacker.decompress(step, most - len(content))
    except zlib.error:
        position = begin  # what looked like an entry may be none: the next may lie within it
    end = min(position, len(data)) - len(unpacker.unused_data)
    return bytes(content), end, tried - begin

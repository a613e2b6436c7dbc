"""A notebook of any size without its printed outputs, read in little memory; figures stay."""

import re
from typing import Protocol

LARGE = 8 << 20  # bytes from which on outputs are dropped
MAX_NOTEBOOK = 256 << 20  # bytes of a notebook with its outputs
MAX_FIGURE = 4 << 20  # bytes of one output that is kept
CHUNK = 1 << 18
RUN = re.compile(rb'(?:[^"\[\]{}]+|"[^"\\]*(?:\\.[^"\\]*)*"){1,500}', re.DOTALL)
TEXT = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)  # of a string, up to its end
OUTPUTS = re.compile(rb'"outputs"\s*:\s*\[$')


class Stream(Protocol):
    """What can be read from, piece by piece."""

    def read(self, size: int, /) -> bytes: ...


def read_notebook_bytes(stream: Stream, most: int) -> bytes | None:
    head = stream.read(LARGE)
    if len(head) < LARGE:
        return head
    slim, size, chunk = Slim(), 0, head
    while chunk:
        size += len(chunk)
        slim.feed(chunk)
        if size > MAX_NOTEBOOK or len(slim.kept) > most:
            return None
        chunk = stream.read(CHUNK)
    return bytes(slim.kept)


class Slim:
    """Takes the bytes of a notebook in parts and keeps all but outputs that are not figures."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self._output: bytearray | None = None  # the one that is read; None if it is too large
        self._depth = 0  # of brackets within a list of outputs; 0 outside
        self._in_text = False
        self._left = b""  # a part of a pair of characters

    def feed(self, chunk: bytes) -> None:
        chunk, position = self._left + chunk, 0
        self._left = b""
        while position < len(chunk):
            begin = position
            if self._in_text:
                position = self._match(TEXT, chunk, begin)
                if chunk[position : position + 1] == b"\\":  # what it escapes comes with the rest
                    self._left = chunk[position:]
                    self._keep(chunk[begin:position])
                    return
                self._in_text = position == len(chunk)
                position += not self._in_text
            elif (position := self._match(RUN, chunk, begin)) == begin:
                position += 1
                if chunk[begin : begin + 1] == b'"':
                    self._in_text = True
                else:
                    self._bracket(chunk[begin:position])
                    continue
            self._keep(chunk[begin:position])

    @staticmethod
    def _match(pattern: re.Pattern[bytes], chunk: bytes, position: int) -> int:
        found = pattern.match(chunk, position)
        return found.end() if found else position

    def _keep(self, data: bytes) -> None:
        if not self._depth:
            self.kept += data
        elif self._depth > 1 and self._output is not None:
            self._output += data
            if len(self._output) > MAX_FIGURE:
                self._output = None

    def _bracket(self, bracket: bytes) -> None:
        opens = bracket in b"[{"
        if not self._depth:
            self.kept += bracket
            self._depth = int(opens and bool(OUTPUTS.search(self.kept[-40:])))
            return
        self._depth += 1 if opens else -1
        if opens and self._depth == 2:
            self._output = bytearray()
        if self._depth:
            self._keep(bracket)
        else:
            self.kept += bracket
        if not opens and self._depth == 1 and self._output is not None:
            self._output += bracket
            if b'"image/' in self._output:
                comma = b"" if self.kept.endswith(b"[") else b","
                self.kept += comma + self._output

"""A CSV that a person wrote: UTF-8, with commas, semicolons or tabs."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from kws.errors import UsageError

WIDE = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 begins, Excel's "Unicode text"
LARGEST = 16 << 20


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Read line numbers and cells; UsageError names file and line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}: name the CSV") from None
    if len(data) > LARGEST:
        raise UsageError(f"{path} has {len(data) >> 20} MiB: name a CSV")
    try:
        if data.startswith(WIDE):
            raise UnicodeDecodeError("utf-8", data, 0, 2, "UTF-16")
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line} is not UTF-8: save it as CSV UTF-8") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UsageError(f"{path}, line {line} is not text: export it as CSV UTF-8")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True)
    before = 0
    try:
        for row in reader:
            yield before + 1, row
            before = reader.line_num
    except csv.Error as error:
        raise UsageError(
            f"{path}, line {before + 1} is not a line of a CSV ({error}): is a quote left open?"
        ) from None


def delimiter_of(text: str) -> str:
    """Spreadsheets of some countries write semicolons, some write tabs."""
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)

"""The two result files: Kaggle's keyword CSV and the homework's speaker CSV.

    fname,label                 Id,Category
    clip_000044442.wav,yes      uttr-0123….pt,id00464

Source: TensorFlow Speech Recognition Challenge
(https://www.kaggle.com/c/tensorflow-speech-recognition-challenge) and the 600-speaker homework. A
file is written whole or not at all, sorted by name, and only after it has passed the same check
that `check_csv` makes on a file from elsewhere.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kws.data.protocols import PROTOCOLS
from kws.errors import UsageError, did_you_mean
from kws.files import write_text

KAGGLE_LABELS = PROTOCOLS["kaggle-12"].labels


@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """Header of a result file, and the file names in its first column."""

    name: str
    header: tuple[str, str]
    suffix: str


KAGGLE = CsvFormat(name="Kaggle keyword CSV", header=("fname", "label"), suffix=".wav")
HOMEWORK = CsvFormat(name="speaker CSV", header=("Id", "Category"), suffix=".pt")


def write_csv(
    path: str | Path, layout: CsvFormat, predictions: Mapping[str, str], labels: Sequence[str]
) -> None:
    """Write one row per file name, sorted by name; atomic.

    Raises UsageError for no prediction, a name of another kind, or a label not among `labels`.
    """
    rows = sorted(predictions.items())
    _check_rows(Path(path), layout, rows, labels)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([layout.header, *rows])
    write_text(path, text.getvalue())


def check_csv(
    path: str | Path,
    layout: CsvFormat,
    labels: Sequence[str],
    names: Iterable[str] | None = None,
    *,
    exact: bool = False,
) -> dict[str, str]:
    """Read a result file as {file name: label}; the first fault is an error.

    Args:
        path: the CSV file, UTF-8.
        layout: KAGGLE or HOMEWORK.
        labels: the labels that may occur.
        names: when given, exactly these file names must be there.
        exact: refuse what a spreadsheet adds, a byte-order mark and Windows line ends.

    Raises:
        UsageError: another header, a row without two columns, a name twice, missing or too many,
            or an unknown label; the sentence names the file, and the line where there is one.
    """
    path = Path(path)
    if exact:
        _check_bytes(path)
    try:
        table = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a CSV text file ({error}): write it again") from error
    wanted = ",".join(layout.header)
    if not table or tuple(table[0]) != layout.header:
        found = ",".join(table[0]) if table else "nothing"
        raise UsageError(
            f"{path}: the first line of a {layout.name} is {wanted!r}, not {found!r}: correct it"
        )
    _check_rows(path, layout, table[1:], labels, None if names is None else set(names))
    return dict(table[1:])


def _check_bytes(path: Path) -> None:
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UsageError(
            f"{path}, line 1: begins with a byte-order mark: save it as UTF-8 without one"
        )
    if (at := data.find(b"\r")) >= 0:
        line = data.count(b"\n", 0, at) + 1
        raise UsageError(
            f"{path}, line {line}: ends with a carriage return: save it with Unix line ends"
        )


def _check_rows(
    path: Path,
    layout: CsvFormat,
    rows: Sequence[Sequence[str]],
    labels: Sequence[str],
    names: set[str] | None = None,
) -> None:
    """The first row that is wrong, then names that have none."""
    if not rows:
        raise UsageError(
            f"{path}: a {layout.name} needs at least one row below its header: write it again"
        )
    known, seen = set(labels), set()
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        if len(row) != 2:
            raise UsageError(
                f"{where}: {len(row)} columns, expected {','.join(layout.header)}: correct it"
            )
        name, label = row
        if not name.endswith(layout.suffix) or name != Path(name).name:
            kind = f"name {layout.suffix} files without their folder"
            raise UsageError(f"{where}: {name!r} cannot be an {layout.header[0]}: {kind}")
        if label not in known:
            hint = did_you_mean(label, labels)
            raise UsageError(f"{where}: unknown {layout.header[1]} {label!r}{hint}: correct it")
        if name in seen:
            raise UsageError(f"{where}: {name!r} is there twice: remove one")
        if names is not None and name not in names:
            raise UsageError(
                f"{where}: {name!r} is not one of the {len(names)} test files: remove the row"
            )
        seen.add(name)
    if names is not None and (missing := sorted(names - seen)):
        count = f"{len(missing)} of {len(names)}"
        raise UsageError(
            f"{path}: {count} test files have no row, the first is {missing[0]!r}: predict it too"
        )

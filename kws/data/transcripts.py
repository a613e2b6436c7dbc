"""Recordings with their transcripts: a folder with a table, read into features.

    transcripts.csv        file,speaker,split,text[,starts]: a line for each utterance

Recordings are 16 kHz mono; `file` is a path below the folder, `split` training, validation or
testing, `starts` the start of each word in seconds, if known. `kws.data.embedded.strings` makes
such a folder.

Shape letters: B batch   T frames   F mel bands
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from kws.audio.features import log_mel
from kws.audio.recordings import read_audio
from kws.data.protocols import SPLITS
from kws.errors import UsageError, did_you_mean
from kws.files import write_text

TABLE = "transcripts.csv"
COLUMNS = ("file", "speaker", "split", "text", "starts")
POOL = 8  # batches that are sorted by length together
SOFT = 0.1  # added to a deviation: silence stays silent


def load_transcripts(
    folder: str | Path, split: str, *, n_mels: int = 40, resample: bool = False
) -> "TranscribedSplit":
    """The utterances of one split, with their features.

    Raises UsageError: the folder or the table is missing, a line of it is malformed, a recording is
    missing, damaged or of another rate (without `resample`), or the split is empty.
    """
    folder = Path(folder)
    rows = [row for row in read_transcripts(folder) if row.split == split]
    if not rows:
        raise UsageError(
            f"{folder / TABLE}: no utterance of the {split} split: "
            f"choose one of {', '.join(SPLITS)}, or add such lines"
        )
    mels = [
        utterance_features(read_audio(folder / r.file, resample=resample), n_mels) for r in rows
    ]
    return TranscribedSplit(mels=mels, rows=rows, split=split)


@dataclass(frozen=True, kw_only=True)
class TranscriptRow:
    file: str
    speaker: str
    split: str
    text: str
    starts: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class TranscribedSplit:
    """Utterances of one split: log-mels (T, F) each, and the lines of the table."""

    mels: list[Tensor]
    rows: list[TranscriptRow]
    split: str

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def texts(self) -> list[str]:
        return [row.text for row in self.rows]

    @cached_property
    def lengths(self) -> Int[Tensor, "n"]:
        return torch.tensor([len(mel) for mel in self.mels])

    def select(self, rows: Iterable[int]) -> "TranscribedSplit":
        chosen = list(rows)
        return TranscribedSplit(
            mels=[self.mels[i] for i in chosen],
            rows=[self.rows[i] for i in chosen],
            split=self.split,
        )

    def batch(self, rows: Iterable[int]) -> tuple[Float[Tensor, "B T F"], Bool[Tensor, "B T"]]:
        """mel, padded with zeros to the longest, and valid."""
        return pad_mels([self.mels[i] for i in rows])

    def batches(self, batch_size: int) -> Iterator[list[int]]:
        """Every utterance once, neighbors in length together, longest first."""
        order = sorted(range(len(self)), key=lambda i: (-len(self.mels[i]), i))
        for at in range(0, len(order), batch_size):
            yield order[at : at + batch_size]

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[list[int]]:
        """Batches without end, drawn; utterances of like lengths share one."""
        while True:
            order = torch.randperm(len(self), generator=generator).tolist()
            pools = [
                order[i : i + POOL * batch_size] for i in range(0, len(order), POOL * batch_size)
            ]
            batches = []
            for pool in pools:
                pool.sort(key=lambda i: len(self.mels[i]))
                batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
            for i in torch.randperm(len(batches), generator=generator).tolist():
                yield batches[i]

    def describe(self) -> str:
        """Split, utterances, words and speakers: to print beside a word error rate."""
        words = sum(len(text.split()) for text in self.texts)
        speakers = len({row.speaker for row in self.rows})
        return f"{self.split}: {len(self):,} utterances, {words:,} words, {speakers:,} speakers"


def utterance_features(waveform: Float[Tensor, "N"], n_mels: int = 40) -> Float[Tensor, "T F"]:
    """Log-mels of one utterance, minus their mean and divided by their deviation."""
    mel = log_mel(waveform[None], n_mels=n_mels)[0]
    return (mel - mel.mean()) / (mel.std() + SOFT)


def pad_mels(
    mels: list[Tensor],
) -> tuple[Float[Tensor, "B T F"], Bool[Tensor, "B T"]]:
    """Utterances (T, F) as a batch, filled up with zeros, and valid: True on real frames."""
    lengths = torch.tensor([len(mel) for mel in mels])
    valid = torch.arange(int(lengths.max())) < lengths[:, None]
    return pad_sequence(mels, batch_first=True), valid


def read_transcripts(folder: Path) -> list[TranscriptRow]:
    """The lines of a folder's table, in order; UsageError for one that is malformed."""
    path = folder / TABLE
    if not path.is_file():
        raise UsageError(
            f"{path}: no such file: name a folder of recordings with a table of transcripts, such "
            "as `kws data strings` makes"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file: save it as CSV in UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    missing = [name for name in COLUMNS[:-1] if name not in (reader.fieldnames or ())]
    if missing:
        raise UsageError(f"{path}: no column {missing[0]}: begin it with {','.join(COLUMNS[:-1])}")
    rows = []
    try:
        for line in reader:
            rows.append(_row(line, f"{path}, line {reader.line_num}", folder))
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}: correct it") from error
    doubled = [file for file, count in Counter(row.file for row in rows).items() if count > 1]
    if doubled:
        raise UsageError(f"{path}: {doubled[0]} occurs twice: keep one of the lines")
    return rows


def _row(line: Mapping[str, str | None], where: str, folder: Path) -> TranscriptRow:
    values = {name: (line.get(name) or "").strip() for name in COLUMNS}
    if not values["text"]:
        raise UsageError(f"{where}: no text: write what was said, or remove the line")
    if values["split"] not in SPLITS:
        near = did_you_mean(values["split"], SPLITS)
        raise UsageError(f"{where}: unknown split {values['split']!r}{near}: {', '.join(SPLITS)}")
    if not (folder / values["file"]).is_file():
        raise UsageError(
            f"{where}: {values['file']}: no such file below {folder}: correct the path"
        )
    try:
        starts = tuple(float(start) for start in values["starts"].split())
    except ValueError:
        raise UsageError(f"{where}: starts={values['starts']!r}: numbers are expected") from None
    return TranscriptRow(
        file=values["file"],
        speaker=values["speaker"],
        split=values["split"],
        text=" ".join(values["text"].split()),
        starts=starts,
    )


def write_transcripts(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    buffer = io.StringIO(newline="")
    writer: csv.DictWriter[str] = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(dict(row) for row in rows)
    write_text(path, buffer.getvalue())

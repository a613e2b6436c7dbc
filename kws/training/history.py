"""What a training run measured: one row of numbers per validation, kept as JSON lines.

    step, epoch, lr                                       where it was in the training
    train_loss, train_accuracy, gradient_norm             means since the row before
    validation_loss, validation_accuracy, validation_n    keywords; whole utterances of speakers
    crop_loss, crop_accuracy, crop_n                      speakers: crops, as they are trained on

Voices, codecs and priors have no accuracy: their rows have other measurements, and the loss counts.
Accuracies are shares of 1, losses nats. Training values are of augmented examples (blended ones
count as their largest part) and of weights that still change. Crops and whole utterances never
share a column. Rows exclude times, so that a resumed run writes the same bytes
(`kws.training.times` has them).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kws.errors import UsageError
from kws.files import write_text

Row = dict[str, Any]


@dataclass
class History:
    """The rows of a run, oldest first, and its folder."""

    rows: list[Row] = field(default_factory=list)
    path: Path | None = None
    keeps_last: bool = False  # the last weights count: there is too little to choose by

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def criterion(self) -> str:
        """What is compared: "validation", or "crop" where nothing else was measured."""
        return "validation" if "validation_loss" in self.rows[0] else "crop"

    @property
    def best(self) -> Row:
        """Highest accuracy, then lowest loss; the last with `keeps_last`. ValueError if empty."""
        if not self.rows:
            raise ValueError("no validation has been done yet")
        if self.keeps_last:
            return self.rows[-1]
        accuracy, loss = f"{self.criterion}_accuracy", f"{self.criterion}_loss"
        return max(self.rows, key=lambda row: (row.get(accuracy, 0.0), -row[loss]))

    @property
    def rows_since_best(self) -> int:
        """Validations after the best one: what patience is measured in."""
        return len(self.rows) - 1 - self.rows.index(self.best) if self.rows else 0

    def save(self, path: str | Path) -> None:
        write_text(path, "".join(json.dumps(row) + "\n" for row in self.rows))


def read_history(run_or_file: str | Path) -> History:
    """The history of a run folder, or of a history.jsonl; UsageError where there is none."""
    path = Path(run_or_file)
    path = path / "history.jsonl" if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"{path}: no such history: name the folder of a run of kws train")
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}: not a history in JSON lines ({error}): resume the run to restore it"
        ) from error
    if not all(_is_row(row) and row.keys() == rows[0].keys() for row in rows):
        raise UsageError(f"{path}: not a history of kws train: resume the run to restore it")
    return History(rows=rows, path=path.parent)


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not {"step", "epoch", "lr", "train_loss"} <= row.keys():
        return False
    return all(type(value) in (int, float) for value in row.values()) and bool(
        {"validation_loss", "crop_loss"} & row.keys()
    )

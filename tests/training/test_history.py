"""Histories: the best row, patience, and the file."""

import pytest

from kws.errors import UsageError
from kws.training.history import History, read_history


def rows(*pairs, name="validation"):
    common = {"epoch": 1.0, "lr": 0.1, "train_loss": 2.0}
    return [
        {"step": i, **common, f"{name}_accuracy": accuracy, f"{name}_loss": loss}
        for i, (accuracy, loss) in enumerate(pairs)
    ]


def test_the_best_row_has_the_highest_accuracy_of_whole_utterances_then_the_lowest_loss():
    history = History(rows=rows((0.5, 1.0), (0.75, 2.0), (0.75, 1.0), (0.75, 1.0), (0.5, 0.1)))
    assert history.best["step"] == 2
    assert history.rows_since_best == 2
    assert History().rows_since_best == 0
    with pytest.raises(ValueError, match="no validation"):
        _ = History().best
    both = [
        {**a, **b}
        for a, b in zip(
            rows((0.5, 1), (0.25, 1)), rows((0.25, 1), (0.5, 1), name="crop"), strict=True
        )
    ]
    assert History(rows=both).best["step"] == 0
    assert History(rows=rows((0.25, 1), (0.5, 1), name="crop")).best["step"] == 1


def test_what_is_saved_is_read_and_what_is_missing_or_damaged_named(tmp_path):
    with pytest.raises(UsageError, match=r"history\.jsonl: no such history"):
        read_history(tmp_path)
    (tmp_path / "history.jsonl").write_text("{not json\n")
    with pytest.raises(UsageError, match=r"history\.jsonl: not a history"):
        read_history(tmp_path)
    history = History(rows=rows((0.1, 1 / 3), (0.2, 1e-17)))
    history.save(tmp_path / "history.jsonl")
    assert read_history(tmp_path).rows == history.rows
    assert list(read_history(tmp_path / "history.jsonl")) == history.rows
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == len(history) == 2

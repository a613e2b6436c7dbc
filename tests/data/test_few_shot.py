"""Few shots: so many of each class, no speaker twice, the same for a seed."""

import pytest
import torch

from kws.data.few_shot import few_shot_rows
from kws.errors import UsageError

LABELS = torch.arange(4).repeat(15)  # 15 clips of each class
SPEAKERS = [f"id{row // 12}" for row in range(60)]  # five speakers, each says a class three times


def drawn(k: int, seed: int = 0) -> torch.Tensor:
    return few_shot_rows(LABELS, SPEAKERS, k, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_each_class_has_k_clips_of_k_speakers(k):
    rows = drawn(k)
    assert torch.equal(rows, rows.unique())
    for label in range(4):
        own = [row for row in rows.tolist() if LABELS[row] == label]
        assert len({SPEAKERS[row] for row in own}) == len(own) == k


def test_a_seed_fixes_the_rows_and_any_clip_can_be_drawn_but_not_more_than_there_are():
    assert torch.equal(drawn(3), drawn(3))
    assert len({tuple(drawn(3, seed).tolist()) for seed in range(5)}) > 1
    assert {row for seed in range(200) for row in drawn(1, seed).tolist()} == set(range(60))
    with pytest.raises(UsageError, match="class 0 has clips of 5 speakers, and 6 were asked for"):
        drawn(6)
    with pytest.raises(UsageError, match="k=0 clips of each class: give 1 or more"):
        drawn(0)

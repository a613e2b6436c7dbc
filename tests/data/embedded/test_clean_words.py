"""Clean words: so many of each, the same for a seed, each within its second."""

import pytest
import torch

from kws.data.embedded.clean_words import LOUDNESS, VARIANTS, clean_words
from kws.errors import UsageError

WORDS = ("yes", "no")


def test_every_voice_says_every_word_so_many_times():
    clips, labels = clean_words(2, words=WORDS, progress=False)
    assert clips.shape == (2 * len(WORDS) * len(VARIANTS), 16_000)
    assert labels.tolist() == [0, 0, 1, 1] * len(VARIANTS)
    assert (clips.abs().amax(1) - LOUDNESS).abs().max() < 0.01
    assert len(clips.unique(dim=0)) == len(clips)
    again, _ = clean_words(2, words=WORDS, progress=False)
    assert torch.equal(again, clips)
    other, _ = clean_words(2, words=WORDS, seed=1, progress=False)
    assert not any(torch.equal(one, two) for one, two in zip(clips, other, strict=True))


@pytest.mark.parametrize("options", [{"repetitions": 0}, {"words": ()}])
def test_no_clips_are_refused(options):
    with pytest.raises(UsageError, match="give no clips: choose 1 or more"):
        clean_words(**options)

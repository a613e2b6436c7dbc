"""CTC: torch's loss, every path counted, the frames that a text needs, and when it was said."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from kws.models.ctc import collapse, ctc_loss, frames_needed
from tests.tolerances import SAME_SUMS

TEXTS = ([1], [1, 2], [1, 1], [2, 2, 1], [1, 2, 1, 3], [3, 3, 3])


def log_probabilities(frames: int, symbols: int = 4, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, symbols, generator=generator).double().log_softmax(dim=-1)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("frames", [1, 5, 9])
def test_loss_and_gradient_are_torchs(text, frames):
    log_p = log_probabilities(frames).requires_grad_()
    wanted = torch.tensor(text)
    theirs = F.ctc_loss(
        log_p[:, None], wanted[None], torch.tensor([frames]), torch.tensor([len(text)]),
        reduction="sum",
    )  # fmt: skip
    ours = ctc_loss(log_p, wanted)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=SAME_SUMS)
    assert math.isinf(ours.item()) == (frames < frames_needed(wanted))
    if ours.isfinite():  # torch's gradient takes log_p for a softmax: compare through one
        raw = log_probabilities(frames, seed=1).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: ctc_loss(x.log_softmax(-1), wanted), raw)


def test_it_is_the_sum_over_all_paths_and_hundreds_of_frames_do_not_underflow():
    log_p = log_probabilities(5)
    for text in TEXTS:
        paths = itertools.product(range(4), repeat=5)
        total = sum(
            math.exp(sum(float(log_p[t, symbol]) for t, symbol in enumerate(path)))
            for path in paths
            if collapse(torch.tensor(path)) == text
        )
        assert math.isclose(math.exp(-ctc_loss(log_p, torch.tensor(text))), total, abs_tol=1e-12)
    assert ctc_loss(log_probabilities(500), torch.tensor([1, 2] * 9)).isfinite()


@pytest.mark.parametrize(("text", "paths"), [([1, 2], 35), ([1, 1], 15)])
def test_paths_of_five_frames(text, paths):
    even = torch.full((5, 3), 1 / 3).double().log()
    assert round(math.exp(-ctc_loss(even, torch.tensor(text))) * 3**5) == paths

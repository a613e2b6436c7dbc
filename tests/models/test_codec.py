"""The codec and the prior over its codes: shapes, what depends on what, and what is refused."""

import pytest
import torch

from kws.models.code_prior import CausalLayer, CodePrior
from kws.models.codec import Codec
from tests.models.conftest import seeded


@pytest.fixture
def codec():
    torch.manual_seed(0)
    return Codec(n_mels=5, width=8, code_width=3, num_codes=6)


@pytest.fixture
def prior():
    torch.manual_seed(0)
    return CodePrior(4, 6, 7, d_model=8, num_heads=2, d_ff=12, num_layers=2).eval()


def test_four_frames_become_a_code_and_four_frames_again_with_a_gradient_past_the_choice(codec):
    mel = torch.randn(2, 24, 5, generator=seeded(0))
    again, codes, loss = codec.train()(mel)
    assert again.shape == mel.shape
    assert codes.shape == (2, 6)
    assert loss.item() > 0
    codec.eval()
    again, codes, _ = codec(mel)
    assert torch.equal(codec.encode(mel), codes)
    torch.testing.assert_close(codec.decode(codes), again)
    for frames in (0, 10):
        with pytest.raises(ValueError, match=f"{frames} frames are not 4, 8, …"):
            codec.encode(torch.zeros(1, frames, 5))
    mel = torch.randn(2, 12, 5, generator=seeded(0))
    again, _, _ = codec.eval()(mel)
    again.sum().backward()
    assert all(bool(one.grad.any()) for one in codec.encoder[0].parameters())


def test_a_code_follows_from_the_word_and_the_codes_before_it_by_the_formula(prior):
    words, codes = torch.tensor([1, 3]), torch.randint(6, (2, 6), generator=seeded(0))
    logits = prior(words, codes)
    assert logits.shape == (2, 7, 6)
    for changed in range(6):
        other = codes.clone()
        other[:, changed] = (codes[:, changed] + 1) % 6
        gap = (prior(words, other) - logits).abs().amax((0, 2))
        assert (gap[: changed + 1] == 0).all()
        assert (gap[changed + 1 :] > 0).all()
    assert ((prior(words.flip(0), codes) - logits).abs().amax((0, 2)) > 0).all()
    for some in range(6):
        torch.testing.assert_close(prior(words, codes[:, :some]), logits[:, : some + 1])
    with pytest.raises(ValueError, match="code 8 is asked for, and there are 7 places"):
        prior(torch.zeros(1, dtype=torch.long), torch.zeros(1, 7, dtype=torch.long))
    d, e = 8, 12
    count = sum(one.numel() for one in CausalLayer(d, 2, e).parameters())
    assert count == 4 * d * d + 9 * d + 2 * d * e + e

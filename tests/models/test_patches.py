"""Patches: how many, which pixels, in which order, each projected; which patchout drops."""

import pytest
import torch
import torch.nn.functional as F

from kws.models.patches import PatchEmbedding, count_patches, cut_patches
from kws.models.patchout import draw_kept, every_other
from kws.models.transformer import EncoderLayer, TransformerEncoder
from tests.models.conftest import seeded
from tests.tolerances import SAME_SUMS

SIZES = [((16, 16), (10, 10)), ((32, 8), (32, 8)), ((32, 8), (22, 5)), ((5, 3), (2, 7))]


@pytest.mark.parametrize(
    ("bands", "frames", "patch", "stride", "grid"),
    [
        pytest.param(128, 1024, (16, 16), (10, 10), (12, 101), id="AST, 10.24 s: 1,212"),
        pytest.param(128, 998, (16, 16), (10, 10), (12, 99), id="PaSST, 10 s: 1,188"),
        pytest.param(64, 100, (16, 16), (10, 10), (5, 9), id="a second"),
        pytest.param(64, 100, (16, 16), (16, 16), (4, 6), id="without overlap"),
        pytest.param(64, 101, (32, 8), (32, 8), (2, 12), id="the course's"),
        pytest.param(64, 101, (32, 8), (22, 5), (2, 19), id="the course's, overlapping"),
        pytest.param(16, 16, (16, 16), (10, 10), (1, 1), id="one"),
    ],
)
def test_the_published_grids(bands, frames, patch, stride, grid):
    assert count_patches(bands, frames, patch, stride) == grid


@pytest.mark.parametrize(("patch", "stride"), SIZES)
def test_patches_are_those_of_unfold_in_their_order(patch, stride, float64):
    mel = torch.randn(3, 37, 64)
    theirs = F.unfold(mel.mT[:, None], patch, stride=stride).mT
    assert torch.equal(cut_patches(mel, patch, stride), theirs)
    assert theirs.shape[1] == torch.tensor(count_patches(64, 37, patch, stride)).prod()


@pytest.mark.parametrize(("patch", "stride"), SIZES)
def test_the_embedding_is_a_linear_layer_of_each_patch(patch, stride, float64):
    embed, mel = PatchEmbedding(7, patch, stride), torch.randn(3, 37, 64)
    weight, bias = embed.project.weight.flatten(1), embed.project.bias
    expected = F.linear(cut_patches(mel, patch, stride), weight, bias)
    x, valid = embed(mel)
    assert valid is None
    torch.testing.assert_close(x.flatten(2).mT, expected, rtol=0, atol=SAME_SUMS)


def test_frames_behind_the_last_patch_are_in_none(float64):
    embed, mel = PatchEmbedding(7, (5, 4), (3, 3)), torch.randn(2, 12, 11)
    x, _ = embed(mel)
    mel[:, 10:] = 9.0
    mel[:, :, 11:] = 9.0
    assert torch.equal(embed(mel)[0], x)


@pytest.mark.parametrize("call", [cut_patches, lambda mel, *sizes: PatchEmbedding(2, *sizes)(mel)])
def test_a_clip_smaller_than_a_patch_is_refused(call):
    with pytest.raises(ValueError, match=r"16 bands x 7 frames are smaller than a patch of 8 x 8"):
        call(torch.zeros(1, 7, 16), (8, 8), (4, 4))
    with pytest.raises(ValueError, match=r"7 bands x 9 frames are smaller"):
        call(torch.zeros(1, 9, 7), (8, 8), (4, 4))
    with pytest.raises(ValueError, match=r"stride=\(1, 0\): all four must be at least 1"):
        count_patches(8, 8, (2, 2), (1, 0))


@pytest.mark.parametrize("dropped", [0, 3, 12])
def test_so_many_places_stay_in_their_order(dropped):
    places = draw_kept(13, dropped, seeded(0))
    assert len(places) == 13 - dropped
    assert (places.diff() > 0).all()
    assert places.min() >= 0
    assert places.max() < 13


def test_every_place_is_kept_as_often_as_any_other():
    generator = seeded(0)
    drawn = torch.cat([draw_kept(35, 21, generator) for _ in range(2000)])
    expected = 2000 * 14 / 35  # deviation 22 of 800: five of them
    counts = torch.bincount(drawn, minlength=35)
    assert (counts - expected).abs().max() < 5 * (expected * (1 - 14 / 35)) ** 0.5


def test_a_seed_fixes_the_draw():
    first, again = (draw_kept(35, 21, seeded(4)) for _ in range(2))
    assert torch.equal(first, again)
    assert not all(torch.equal(first, draw_kept(35, 21, seeded(s))) for s in range(4))


@pytest.mark.parametrize("dropped", [35, 36, -1])
def test_dropping_everything_is_refused(dropped):
    with pytest.raises(ValueError, match="leaves nothing: drop fewer"):
        draw_kept(35, dropped)


@pytest.mark.parametrize(("depth", "left"), [(12, [0, 2, 4, 6, 8, 10, 11]), (3, [0, 2]), (1, [0])])
def test_every_other_layer_goes_and_the_others_compute_as_before(depth, left):
    encoder = TransformerEncoder(EncoderLayer(6, 2, 7), depth).eval()
    for layer in encoder.layers:
        torch.nn.init.normal_(layer.feed_forward.expand.weight)
    x = expected = torch.randn(2, 5, 6)
    for i in left:
        expected = encoder.layers[i](expected)
    encoder.layers = every_other(encoder.layers)
    assert len(encoder.layers) == len(left)
    assert torch.equal(encoder(x), expected)

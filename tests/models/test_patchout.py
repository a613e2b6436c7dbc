"""Patchout: so many places, in order, each as often as any other."""

import pytest
import torch

from kws.models.patchout import draw_kept, every_other
from kws.models.transformer import EncoderLayer, TransformerEncoder
from tests.models.conftest import seeded


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

"""Patchout: so many tokens, each as it was, each as often as any other."""

import pytest
import torch

from kws.models.patchout import every_other, structured, unstructured
from kws.models.transformer import EncoderLayer, TransformerEncoder
from tests.models.conftest import seeded

GRID = torch.arange(2 * 5 * 7.0).reshape(1, 2, 5, 7).repeat(3, 1, 1, 1)
TOKENS = torch.arange(35.0)[None, :, None].repeat(3, 1, 2)


def test_whole_rows_and_columns_or_single_tokens_go():
    x = structured(GRID, 2, 3, seeded(0))
    assert x.shape == (3, 2, 3, 4)
    rows, columns = x[0, 0, :, 0] // 7, x[0, 0, 0] % 7
    expected = GRID[:, :, rows.long()][:, :, :, columns.long()]
    assert torch.equal(x, expected)
    assert (rows.diff() > 0).all()
    assert (columns.diff() > 0).all()
    x = unstructured(TOKENS, 11, seeded(0))
    assert x.shape == (3, 11, 2)
    places = x[0, :, 0].long()
    assert len(places.unique()) == 11
    assert torch.equal(x, TOKENS[:, places])
    for call in (lambda: structured(GRID, 5, 0), lambda: structured(GRID, 0, 9)):
        with pytest.raises(ValueError, match="leaves nothing: drop fewer"):
            call()
    for keep in (0, 36):
        with pytest.raises(ValueError, match="leaves nothing: drop fewer"):
            unstructured(TOKENS, keep)


def test_every_place_is_kept_as_often_as_any_other():
    generator = seeded(0)
    counts = sum(
        torch.bincount(unstructured(TOKENS[:1], 14, generator)[0, :, 0].long(), minlength=35)
        for _ in range(2000)
    )
    assert isinstance(counts, torch.Tensor)
    expected = 2000 * 14 / 35  # deviation 22 of 800: five of them
    assert (counts - expected).abs().max() < 5 * (expected * (1 - 14 / 35)) ** 0.5


def test_a_seed_fixes_the_draw_and_nothing_dropped_changes_nothing():
    first, again = (structured(GRID, 2, 3, seeded(4)) for _ in range(2))
    assert torch.equal(first, again)
    assert not all(torch.equal(first, structured(GRID, 2, 3, seeded(s))) for s in range(5))
    assert torch.equal(structured(GRID, 0, 0), GRID)
    assert torch.equal(unstructured(TOKENS, 35), TOKENS)


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

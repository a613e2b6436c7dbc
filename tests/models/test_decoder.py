"""The decoder layer: torch's, causal, and without a trace of the memory's padding."""

import pytest
import torch
from torch import nn

from kws.models.counts import count_parameters
from kws.models.decoder import CrossAttention, DecoderLayer
from tests.tolerances import SAME_SUMS

B, U, T, H, K, E = 2, 5, 7, 3, 2, 11
D = H * K


def like_torch(layer: DecoderLayer, norm_first: bool) -> nn.TransformerDecoderLayer:
    """torch's layer with the same weights."""
    theirs = nn.TransformerDecoderLayer(
        D, H, E, dropout=0.0, batch_first=True, norm_first=norm_first, dtype=torch.float64
    )
    pairs = [
        (theirs.linear1, layer.feed_forward.expand),
        (theirs.linear2, layer.feed_forward.contract),
        (theirs.norm1, layer.norm_self),
        (theirs.norm2, layer.norm_cross),
        (theirs.norm3, layer.norm_feed_forward),
    ]
    for name, ours in (
        ("self_attn", layer.self_attention),
        ("multihead_attn", layer.cross_attention),
    ):
        attention = getattr(theirs, name)
        pairs.append((attention.out_proj, ours.out))
        for kind in ("weight", "bias"):
            parts = [getattr(x, kind) for x in (ours.query, ours.key, ours.value)]
            getattr(attention, f"in_proj_{kind}").data.copy_(torch.cat(parts))
    for theirs_part, ours_part in pairs:
        theirs_part.load_state_dict(ours_part.state_dict())
    return theirs


def random_layer(norm_first: bool = True) -> DecoderLayer:
    layer = DecoderLayer(D, H, E, 0.0, norm_first=norm_first).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    valid = torch.arange(T) < torch.tensor([[T], [3]])
    return torch.randn(B, U, D).double(), torch.randn(B, T, D).double(), valid


@pytest.mark.parametrize("norm_first", [True, False])
def test_the_layer_is_torchs(norm_first):
    layer = random_layer(norm_first)
    y, memory, valid = inputs()
    expected = like_torch(layer, norm_first)(
        y,
        memory,
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(U, dtype=torch.float64),
        memory_key_padding_mask=~valid,
    )
    torch.testing.assert_close(layer(y, memory, valid), expected, rtol=0, atol=SAME_SUMS)


def test_neither_what_is_written_later_nor_padding_of_the_memory_changes_anything():
    layer = random_layer()
    y, memory, valid = inputs()
    other = y.clone()
    other[:, 3:] += 1
    one, two = layer(y, memory, valid), layer(other, memory, valid)
    assert torch.equal(one[:, :3], two[:, :3])
    assert (one[:, 3:] != two[:, 3:]).any(dim=-1).all()
    layer = random_layer()
    y, memory, valid = inputs()
    loud = memory + 100 * ~valid[..., None]
    torch.testing.assert_close(
        layer(y, loud, valid), layer(y, memory, valid), rtol=0, atol=SAME_SUMS
    )
    assert layer(y, memory, torch.zeros_like(valid)).isfinite().all()


@pytest.mark.parametrize(("d", "e", "expected"), [(128, 256, 198_784), (14, 11, 2_097)])
def test_the_count_is_the_formula(d, e, expected):
    assert count_parameters(DecoderLayer(d, 2, e)) == expected
    assert expected == 8 * d * d + 15 * d + 2 * d * e + e


def test_weights_are_those_that_forward_averages_with_and_heads_divide_the_width():
    attention = CrossAttention(D, 1)
    nn.init.eye_(attention.value.weight)
    nn.init.eye_(attention.out.weight)
    x, memory = torch.randn(B, U, D), torch.randn(B, T, D)
    expected = attention.weights(x, memory)[:, 0] @ memory
    torch.testing.assert_close(attention(x, memory), expected)
    with pytest.raises(ValueError, match="d_model=7 is not divisible by num_heads=2"):
        CrossAttention(7, 2)

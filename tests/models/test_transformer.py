"""Encoder: parity with torch however configured, copies, sharing, padding, arguments, formula."""

import pytest
import torch
from torch import nn

from benchmarks.interop import load_encoder, load_encoder_layer
from kws.models.counts import FEED_FORWARD, Formula, count_parameters, encoder_layer
from kws.models.positional import RelativeSelfAttention
from kws.models.transformer import EncoderLayer, FeedForward, TransformerEncoder
from tests.tolerances import ROUNDING, SAME_SUMS

B, T, H, K, E, L = 2, 7, 3, 5, 11, 3
D = H * K
VALID = torch.arange(T) < torch.tensor([[7], [4]])
# One layer after another sums in another order on each processor: some ten ulps of outputs near 4.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
CONFIGURATIONS = [
    pytest.param(dtype, norm_first, activation, valid, id=f"{dtype}-{norm_first}-{activation}-{v}")
    for dtype in TOLERANCE
    for norm_first in (False, True)
    for activation in ("relu", "gelu")
    for v, valid in (("padded", VALID), ("whole", None))
]


def layer(**options) -> EncoderLayer:
    return EncoderLayer(D, H, E, **({"dropout": 0.0} | options))


def their_layer(**options) -> nn.TransformerEncoderLayer:
    theirs = nn.TransformerEncoderLayer(D, H, E, dropout=0.0, batch_first=True, **options)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)  # norms and biases too: at the start they are 1 and 0
    return theirs


@pytest.mark.parametrize(("dtype", "norm_first", "activation", "valid"), CONFIGURATIONS)
def test_layer_matches_pytorch(dtype, norm_first, activation, valid):
    options = {"activation": activation, "norm_first": norm_first}
    theirs, ours = their_layer(**options).to(dtype).eval(), layer(**options).to(dtype).eval()
    load_encoder_layer(ours, theirs)
    x = torch.randn(B, T, D, dtype=dtype)
    with torch.no_grad():
        expected = theirs(x, src_key_padding_mask=None if valid is None else ~valid)
        actual = ours(x, valid)
    real = VALID if valid is not None else torch.ones_like(VALID)
    torch.testing.assert_close(actual[real], expected[real], rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("final", [False, True])
def test_encoder_matches_pytorch_forward_and_backward(norm_first, final):
    def norm() -> nn.Module | None:
        return nn.LayerNorm(D) if final else None

    theirs = nn.TransformerEncoder(
        their_layer(norm_first=norm_first), L, norm=norm(), enable_nested_tensor=False
    )
    ours = TransformerEncoder(layer(norm_first=norm_first), L, norm=norm())
    load_encoder(ours, theirs)
    x = torch.randn(B, T, D, requires_grad=True)
    expected = theirs(x, src_key_padding_mask=~VALID)[VALID]
    actual = ours(x, VALID)[VALID]
    torch.testing.assert_close(actual, expected, rtol=0, atol=SAME_SUMS)
    dy = torch.randn_like(actual)
    (mine,), (other,) = torch.autograd.grad(actual, x, dy), torch.autograd.grad(expected, x, dy)
    torch.testing.assert_close(mine, other, rtol=0, atol=ROUNDING)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_encoder_matches_the_nested_tensor_route_of_pytorch():
    """In eval mode, without gradients, torch packs the valid frames: another route, one result."""
    theirs = nn.TransformerEncoder(nn.TransformerEncoderLayer(20, 4, E, batch_first=True), L)
    ours = TransformerEncoder(EncoderLayer(20, 4, E), L)
    load_encoder(ours, theirs)
    theirs.eval()
    ours.eval()
    x = torch.randn(B, T, 20)
    with torch.inference_mode():
        expected = theirs(x, src_key_padding_mask=~VALID)
        torch.testing.assert_close(
            ours(x, VALID)[VALID], expected[VALID], rtol=0, atol=TOLERANCE[x.dtype]
        )


def test_dropout_takes_away_as_much_as_in_pytorch():
    """Same four places, same probability: the outputs have the same mean and spread over draws."""
    theirs, ours = their_layer(), layer(dropout=0.3)
    load_encoder_layer(ours, theirs)
    for module in theirs.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.3
    theirs.self_attn.dropout = 0.3
    x = torch.randn(1, T, D)
    many = x.expand(4000, T, D)
    with torch.no_grad():
        mine, other = ours.train()(many), theirs.train()(many)
    # seven standard errors of the difference of two means over 4,000 draws with a spread below 0.3
    torch.testing.assert_close(mine.mean(0), other.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(mine.std(0), other.std(0), rtol=0.1, atol=0.02)


def test_layers_start_identical_and_learn_apart_unless_they_are_shared():
    encoder = TransformerEncoder(first := layer(), L)
    assert all(copy is not first for copy in encoder.layers)
    states = [list(copy.parameters()) for copy in encoder.layers]
    for one, other in zip(states[0], states[1], strict=True):
        assert torch.equal(one, other)
        assert one is not other
    encoder = TransformerEncoder(layer(), L)
    encoder(torch.randn(B, T, D)).square().mean().backward()
    gradients = [copy.get_submodule("feed_forward.expand").weight.grad for copy in encoder.layers]
    assert not torch.equal(gradients[0], gradients[1])
    encoder, x = TransformerEncoder(layer(), L, share_weights=True), torch.randn(B, T, D)
    assert len(encoder.layers) == L
    assert count_parameters(encoder) == encoder_layer(D, E).value
    once = encoder.layers[0]
    torch.testing.assert_close(encoder(x, VALID), once(once(once(x, VALID), VALID), VALID))
    assert count_parameters(TransformerEncoder(layer(), L)) == L * encoder_layer(D, E).value


def test_the_final_norm_is_applied_and_absent_by_default():
    norm, x = nn.LayerNorm(D), torch.randn(B, T, D)
    nn.init.normal_(norm.weight)
    torch.manual_seed(1)
    plain = TransformerEncoder(layer(), L)
    normed = TransformerEncoder(layer(), L, norm=norm)
    normed.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(normed(x), norm(plain(x)))
    assert plain.norm is None


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("norm_first", [False, True])
def test_gradients(norm_first):
    small = EncoderLayer(4, 2, 3, 0.0, activation="gelu", norm_first=norm_first)
    x, valid = torch.randn(1, 3, 4, requires_grad=True), torch.tensor([[True, True, False]])
    assert torch.autograd.gradcheck(lambda x: small(x, valid)[:, :2], (x,))


@pytest.mark.parametrize(
    "options",
    [{"norm_first": True}, {"activation": "gelu"}, {"activation": "silu"}, {"dropout": 0.5}],
)
def test_every_option_changes_the_result(options):
    plain, other = layer(), layer(**options)
    other.load_state_dict(plain.state_dict())
    x = torch.randn(B, T, D)
    assert not torch.allclose(plain(x), other(x))


def test_qkv_bias_and_positions_reach_the_attention():
    assert layer(qkv_bias=False).attention.qkv.bias is None
    relative = EncoderLayer(10, 5, E, positions="relative", qkv_bias=False)
    assert isinstance(relative.attention, RelativeSelfAttention)
    formula = encoder_layer(10, E, qkv_bias=False, relative=True)
    assert count_parameters(relative) == formula.value


def test_feed_forward_treats_each_frame_alone_and_frames_have_no_order():
    network, x = FeedForward(D, E), torch.randn(B, T, D)
    torch.testing.assert_close(network(x)[:, 3:4], network(x[:, 3:4]))
    assert (
        count_parameters(network)
        == Formula(FEED_FORWARD, {"d": D, "f": E}).value
        == 2 * D * E + E + D
    )
    encoder, x, shuffle = TransformerEncoder(layer(), L), torch.randn(B, T, D), torch.randperm(T)
    torch.testing.assert_close(
        encoder(x)[:, shuffle], encoder(x[:, shuffle]), rtol=0, atol=TOLERANCE[x.dtype]
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EncoderLayer(15, 4, E), "d_model=15 is not divisible by num_heads=4"),
        (lambda: layer(activation="tanh"), "activation='tanh' is none of relu, gelu, silu"),
        (lambda: layer(positions="learned"), "positions='learned' is none of none, relative"),
        (lambda: TransformerEncoder(layer(), 0), "num_layers=0 must be at least 1"),
        (lambda: load_encoder_layer(layer(norm_first=True), their_layer()), "norm_first=True here"),
    ],
)
def test_errors_name_the_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()
    theirs = nn.TransformerEncoder(their_layer(), 1, nn.LayerNorm(D), enable_nested_tensor=False)
    with pytest.raises(ValueError, match="has a final norm"):
        load_encoder(TransformerEncoder(layer(), 1), theirs)

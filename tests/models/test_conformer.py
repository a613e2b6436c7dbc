"""Conformer: parity with torchaudio, whose padding leaks and ours does not; knobs; formula."""

import pytest
import torch
import torchaudio
from torch import nn

from benchmarks.interop import load_conformer
from kws.models.conformer import Conformer, ConformerLayer, ConvolutionModule
from kws.models.counts import CONVOLUTION_MODULE, Formula, conformer_layer, count_parameters
from kws.models.positional import RelativeSelfAttention, SinusoidalPositions
from kws.models.transformer import TransformerEncoder
from tests.tolerances import ROUNDING, SAME_SUMS

B, T, H, K, E, L, KERNEL = 3, 13, 5, 2, 11, 2, 7
D = H * K
VALID = torch.arange(T) < torch.tensor([[13], [6], [1]])
FLOAT32 = 2e-5  # eight normalizations of two layers, each with about 1e-6 whatever the processor
VISIBLE = 1e-4  # of outputs near 1 in float64: 12 digits above rounding

pytestmark = pytest.mark.usefixtures("float64")


def conformer(**options) -> Conformer:
    return Conformer(D, H, E, L, KERNEL, **({"dropout": 0.0} | options))


def torchaudios(**options) -> nn.Module:
    theirs = torchaudio.models.Conformer(D, H, E, L, KERNEL, **options)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)  # norms and biases too: at the start they are 1 and 0
    return theirs


@pytest.mark.parametrize("training", [True, False])
def test_equal_lengths_match_torchaudio_forward_and_backward(training):
    theirs, ours = torchaudios(), conformer(positions="none")
    load_conformer(ours, theirs)
    whole = torch.full((B,), T)
    x = torch.randn(B, T, D, requires_grad=True)
    theirs(x, whole), ours(x)  # a step in training mode: running statistics must agree as well
    theirs.train(training)
    ours.train(training)
    expected, actual = theirs(x, whole)[0], ours(x)
    torch.testing.assert_close(actual, expected, rtol=0, atol=SAME_SUMS)
    dy = torch.randn_like(actual)
    (mine,), (other,) = torch.autograd.grad(actual, x, dy), torch.autograd.grad(expected, x, dy)
    torch.testing.assert_close(mine, other, rtol=0, atol=ROUNDING)
    torch.testing.assert_close(ours(x, torch.ones_like(VALID)), actual)


def test_float32_matches_torchaudio_and_the_parts_their_formulas():
    theirs, ours = torchaudios().float().eval(), conformer(positions="none").float().eval()
    load_conformer(ours, theirs)
    x = torch.randn(B, T, D, dtype=torch.float32)
    expected = theirs(x, torch.full((B,), T))[0]
    torch.testing.assert_close(ours(x), expected, rtol=0, atol=FLOAT32)
    assert count_parameters(ConvolutionModule(D, KERNEL)) == 3 * D * D + (8 + KERNEL) * D
    assert Formula(CONVOLUTION_MODULE, {"d": D, "k": KERNEL}).value == 3 * D * D + (8 + KERNEL) * D
    relative = count_parameters(ConformerLayer(D, H, E, KERNEL, positions="relative"))
    assert relative == conformer_layer(D, E, KERNEL, relative=True).value
    assert relative == conformer_layer(D, E, KERNEL).value + D * D + 2 * D


@pytest.mark.parametrize("training", [True, False])
def test_padding_moves_the_valid_frames_of_torchaudio_and_not_ours(training):
    """Only what stands in the padding changes; the weights are the same in both."""
    torch.manual_seed(0)
    theirs = torchaudio.models.Conformer(D, H, E, L, KERNEL).train(training)
    ours = conformer(positions="none").train(training)
    load_conformer(ours, theirs)
    lengths = VALID.sum(dim=1)
    quiet = torch.randn(B, T, D)
    loud = torch.where(VALID[..., None], quiet, torch.randn(B, T, D))

    def largest_move(outputs: list[torch.Tensor]) -> float:
        return (outputs[0] - outputs[1])[VALID].abs().max().item()

    assert largest_move([theirs(x, lengths)[0] for x in (quiet, loud)]) > 0.05
    assert largest_move([ours(x, VALID) for x in (quiet, loud)]) <= ROUNDING


def test_convolution_sees_its_neighborhood_only():
    """A change at one frame moves the frames within half a kernel, and no other."""
    module, x = ConvolutionModule(D, KERNEL, norm="layer"), torch.randn(1, T, D)
    changed = x.clone()
    changed[0, 6] = torch.randn(D)  # not x + 1: the first LayerNorm would take that away
    moved = (module(x) - module(changed)).abs().amax(-1)[0]
    inside = torch.tensor([abs(t - 6) <= KERNEL // 2 for t in range(T)])
    assert (moved[inside] > VISIBLE).all()
    # outside a frame is summed in the same order as before, so not even its last bit moves
    assert (moved[~inside] == 0).all()


def test_without_positions_and_convolution_frames_have_no_order():
    x, shuffle = torch.randn(B, T, D), torch.randperm(T)
    for positions, kernel_size, same in (("none", 1, True), ("none", 3, False)):
        model = Conformer(D, H, E, L, kernel_size, 0.0, positions=positions)
        assert torch.allclose(model(x)[:, shuffle], model(x[:, shuffle])) == same
    for positions in ("relative", "sinusoidal"):
        model = Conformer(D, H, E, L, 1, 0.0, positions=positions)
        assert not torch.allclose(model(x)[:, shuffle], model(x[:, shuffle]))


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_gradients(norm):
    layer = ConformerLayer(4, 2, 3, 3, 0.0, norm=norm, positions="relative")
    x, valid = torch.randn(2, 3, 4, requires_grad=True), VALID[1:, 4:7] | (torch.arange(3) < 2)
    assert torch.autograd.gradcheck(lambda x: layer(x, valid)[valid], (x,))


def test_positions_norm_and_sharing_reach_the_layers_which_start_apart():
    first, second = (layer.get_parameter("attention.qkv.weight") for layer in conformer().layers)
    assert not torch.equal(first, second)
    shared = TransformerEncoder(ConformerLayer(D, H, E, KERNEL), L, share_weights=True)
    assert count_parameters(shared) == conformer_layer(D, E, KERNEL).value
    assert shared(torch.randn(B, T, D), VALID).shape == (B, T, D)
    layer = conformer(positions="relative").layers[1]
    assert isinstance(layer.get_submodule("attention"), RelativeSelfAttention)
    assert isinstance(conformer(positions="sinusoidal").positions, SinusoidalPositions)
    layer = conformer(norm="layer").layers[1]
    assert isinstance(layer.get_submodule("convolution.norm_conv"), nn.LayerNorm)


def test_dropout_acts_in_every_branch_while_training():
    model, x = conformer(dropout=0.3), torch.randn(B, T, D)
    assert not torch.equal(model(x), model(x))
    layer = model.layers[0]
    for branch in ("first_half", "attention", "convolution", "second_half"):
        module = layer.get_submodule(branch)
        assert not torch.equal(module(x), module(x)), branch
    assert layer.get_submodule("dropout").p == 0.3
    model.eval()
    assert torch.equal(model(x), model(x))


@pytest.mark.parametrize("branch", ["first_half", "attention", "second_half"])
def test_the_layer_drops_what_each_branch_returns(branch):
    layer, x = ConformerLayer(D, H, E, KERNEL, dropout=0.0), torch.randn(B, T, D)
    layer.dropout.p = 0.5
    for other in {"first_half.contract", "attention.out", "second_half.contract"}:
        if not other.startswith(branch):  # silence the other two
            nn.init.zeros_(layer.get_parameter(f"{other}.weight"))
            nn.init.zeros_(layer.get_parameter(f"{other}.bias"))
    assert not torch.equal(layer(x), layer(x))


def test_dropout_takes_away_as_much_as_in_torchaudio():
    """Same places, same probability: the outputs have the same mean and spread over draws."""
    torch.manual_seed(0)
    theirs = torchaudio.models.Conformer(D, H, E, 1, KERNEL, dropout=0.3, use_group_norm=False)
    ours = Conformer(D, H, E, 1, KERNEL, dropout=0.3, positions="none")
    load_conformer(ours, theirs)
    x = torch.randn(1, T, D).expand(3000, T, D)
    with torch.no_grad():
        mine, other = ours(x), theirs(x, torch.full((3000,), T))[0]
    # five standard errors of the difference of two means over 3,000 draws with a spread below 0.85
    torch.testing.assert_close(mine.mean(0), other.mean(0), rtol=0, atol=0.11)
    torch.testing.assert_close(mine.std(0), other.std(0), rtol=0.1, atol=0.03)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvolutionModule(D, 4), "kernel_size=4 must be odd"),
        (lambda: conformer(norm="group"), "norm='group' is none of batch, layer"),
        (lambda: conformer(positions="learned"), "positions='learned' is none of none, sinusoidal"),
        (lambda: Conformer(D, 3, E, L), "d_model=10 is not divisible by num_heads=3"),
        (lambda: Conformer(D, H, E, 0), "num_layers=0 must be at least 1"),
        (lambda: Conformer(15, 5, E, L), "d_model=15 is odd"),
    ],
)
def test_errors_name_the_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("d_model", "d_ff", "num_layers", "kernel_size", "golden"),
    [
        (80, 128, 4, 31, 361_024),
        (144, 576, 16, 31, 7_771_392),
        (256, 1024, 4, 31, 6_091_776),
        (64, 256, 3, 31, 294_336),
    ],
)
def test_formula_gives_torchaudios_numbers(d_model, d_ff, num_layers, kernel_size, golden):
    d, f, k = d_model, d_ff, kernel_size
    with torch.device("meta"):
        ours = Conformer(d, 4, f, num_layers, k, positions="none")
        theirs = torchaudio.models.Conformer(d, 4, f, num_layers, k)
    written = num_layers * (7 * d * d + 4 * d * f + 2 * f + (22 + k) * d)
    by_formula = num_layers * conformer_layer(d, f, k).value
    assert count_parameters(ours) == count_parameters(theirs) == by_formula == written == golden

"""Masked batch normalization: parity, padding in both modes, processes, gradients, errors."""

import copy
import tempfile
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from kws.models.batch_norm import MaskedBatchNorm, where_valid
from tests.conftest import forked
from tests.tolerances import ROUNDING, SAME_SUMS

B, T, D, F = 3, 7, 5, 2
VALID = torch.arange(T) < torch.tensor([[7], [4], [1]])
# layout -> (shape of x, channels_last)
LAYOUTS = {"BTD": ((B, T, D), True), "BDT": ((B, D, T), False), "BDFT": ((B, D, F, T), False)}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(params=LAYOUTS)
def layout(request) -> str:
    return request.param


def make(layout: str, **options) -> MaskedBatchNorm:
    norm = MaskedBatchNorm(D, channels_last=LAYOUTS[layout][1], **options)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def draw(layout: str) -> torch.Tensor:
    return 3 * torch.randn(LAYOUTS[layout][0]) + 2


def reference(layout: str, norm: MaskedBatchNorm) -> nn.Module:
    """torch's layer, under the same state dict."""
    theirs = (nn.BatchNorm2d if layout == "BDFT" else nn.BatchNorm1d)(
        D, eps=norm.eps, momentum=norm.momentum
    )
    theirs.load_state_dict(norm.state_dict())
    return theirs


def channels_first(layout: str, x: torch.Tensor) -> torch.Tensor:
    return x.mT if layout == "BTD" else x


def frames(layout: str, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """The frames of x where valid, one row each."""
    return x.movedim(1 if layout == "BTD" else -1, 1)[valid]


def assert_same_state(ours: nn.Module, theirs: nn.Module, atol: float = 1e-12) -> None:
    for name in BUFFERS:
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=0, atol=atol)


@pytest.mark.parametrize("valid", [None, torch.ones(B, T, dtype=torch.bool)])
@pytest.mark.parametrize("options", [{}, {"eps": 0.1, "momentum": 0.3}])
def test_without_padding_this_is_pytorch(layout, valid, options):
    """Three batches, then evaluation: outputs, gradients, running statistics, counter."""
    ours = make(layout, **options)
    theirs = reference(layout, ours)
    for step in range(4):
        if step == 3:
            ours.eval()
            theirs.eval()
        x = draw(layout).requires_grad_()
        actual, expected = ours(x, valid), theirs(channels_first(layout, x))
        torch.testing.assert_close(channels_first(layout, actual), expected, rtol=0, atol=SAME_SUMS)
        dy = torch.randn_like(expected)
        mine = torch.autograd.grad(channels_first(layout, actual), (x, ours.weight, ours.bias), dy)
        other = torch.autograd.grad(expected, (x, theirs.weight, theirs.bias), dy)
        for one, two in zip(mine, other, strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=ROUNDING)
        assert_same_state(ours, theirs)


def test_vectors_without_frames_are_pytorch_too_unless_there_is_one():
    ours = MaskedBatchNorm(D)
    theirs = nn.BatchNorm1d(D)
    x = torch.randn(B, D)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=SAME_SUMS)
    assert_same_state(ours, theirs)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        MaskedBatchNorm(D)(torch.randn(1, D))


def test_statistics_are_those_of_the_valid_frames(layout):
    norm, x = make(layout), draw(layout)
    theirs = nn.BatchNorm2d(D) if layout == "BDFT" else nn.BatchNorm1d(D)
    rows = frames(layout, x, VALID)  # (n, D) or (n, D, F)
    theirs.load_state_dict(norm.state_dict())
    expected = theirs(rows[..., None] if layout == "BDFT" else rows)
    actual = frames(layout, norm(x, VALID), VALID)
    torch.testing.assert_close(actual, expected.view_as(actual), rtol=0, atol=SAME_SUMS)
    assert_same_state(norm, theirs)


@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_neither_valid_frames_nor_the_state(layout, training):
    one, other = make(layout).train(training), None
    other = copy.deepcopy(one)
    x = draw(layout)
    shown = where_valid(VALID, x, LAYOUTS[layout][1])
    for rubbish in (1e6 * torch.randn_like(x), torch.full_like(x, torch.nan)):
        loud = torch.where(shown, x, rubbish)
        found, expected = (
            frames(layout, norm(y, VALID), VALID) for norm, y in ((other, loud), (one, x))
        )
        torch.testing.assert_close(found, expected, rtol=0, atol=ROUNDING)
        assert_same_state(one, other)


def test_gradients_of_valid_frames_and_none_of_padding(layout):
    norm, x = make(layout), draw(layout).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, *_: frames(layout, norm(x, VALID), VALID),
        (x, norm.weight, norm.bias),
        fast_mode=True,  # along random directions, not one input at a time
    )
    norm, x = make(layout), draw(layout).requires_grad_()
    frames(layout, norm(x, VALID), VALID).sin().sum().backward()
    assert x.grad is not None
    assert not frames(layout, x.grad, ~VALID).any()
    assert frames(layout, x.grad, VALID).any()


def test_channels_do_not_mix_and_a_batch_without_a_valid_frame_leaves_the_state(layout):
    norm = make(layout)
    before = copy.deepcopy(norm)
    y = norm(draw(layout), torch.zeros_like(VALID))
    assert y.isfinite().all()
    assert torch.equal(norm.running_mean, before.running_mean)
    assert torch.equal(norm.running_var, before.running_var)
    norm, x = MaskedBatchNorm(D, channels_last=LAYOUTS[layout][1]), draw(layout)
    swap = [4, 2, 0, 1, 3]
    channel = 2 if layout == "BTD" else 1
    swapped = x.index_select(channel, torch.tensor(swap))
    torch.testing.assert_close(
        norm(swapped, VALID), norm(x, VALID).index_select(channel, torch.tensor(swap))
    )


def test_half_precision_is_summed_in_float32():
    """4,096 frames around 100: sums in bfloat16 would be off by a quarter."""
    norm = MaskedBatchNorm(D, channels_last=True).float()
    x = (100 + torch.randn(1, 4096, D)).bfloat16()
    y = norm(x, torch.ones(1, 4096, dtype=torch.bool))
    assert y.dtype == torch.bfloat16
    # bfloat16 keeps 8 bits: outputs near 1 are off by 0.004 at most, their means by less
    torch.testing.assert_close(y.float().mean((0, 1)), torch.zeros(D).float(), rtol=0, atol=0.01)
    # sums of 4,096 terms in float32, in another order
    torch.testing.assert_close(norm.running_mean, 0.1 * x.float().mean((0, 1)), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("channels_last", "shape", "valid", "message"),
    [
        (False, (B, T, D), None, r"x has shape \(3, 7, 5\): axis 1 must be the 5 channels"),
        (True, (B, D, T), None, r"x has shape \(3, 5, 7\): axis 2 must be the 5 channels"),
        (False, (B, D, T + 1), VALID, r"valid has shape \(3, 7\), but x has shape \(3, 5, 8\)"),
        (True, (B, T + 1, D), VALID, r"valid has shape \(3, 7\), .* frames on axis 1"),
        (False, (B, D), VALID, r"valid has shape \(3, 7\), but x has shape \(3, 5\)"),
    ],
)
def test_errors_name_the_shapes(channels_last, shape, valid, message):
    with pytest.raises(ValueError, match=message):
        MaskedBatchNorm(D, channels_last=channels_last)(torch.zeros(shape), valid)


def data_of_two_processes() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x (4, T, D), valid (4, T) with different numbers of frames per half, and dy."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(4, T, D, generator=generator, dtype=torch.float64)
    dy = torch.randn(4, T, D, generator=generator, dtype=torch.float64)
    return x, torch.arange(T) < torch.tensor([[7], [6], [2], [1]]), dy


def forward_backward(norm, x, valid, dy) -> dict[str, torch.Tensor]:
    """Output, gradients and state after one step; the state once more after a step unmasked."""
    x = x.clone().requires_grad_()
    y = norm(x, valid)
    y.backward(dy * valid[..., None])
    norm(x.detach())
    gradients = {"x": x.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    outputs = {"y": y.detach() * valid[..., None]}
    return outputs | gradients | {name: getattr(norm, name) for name in BUFFERS}


def run_one_of_two(rank: int, folder: str) -> None:
    """What each of the two processes does: normalize its half, and save what came out."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    x, valid, dy = (tensor[2 * rank : 2 * rank + 2] for tensor in data_of_two_processes())
    norm = MaskedBatchNorm(D, channels_last=True).double()
    torch.save(forward_backward(norm, x, valid, dy), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_are_one():
    """Each sees half the batch: together outputs, gradients and state are those of the whole."""
    norm = MaskedBatchNorm(D, channels_last=True).double()
    whole = forward_backward(norm, *data_of_two_processes())
    with tempfile.TemporaryDirectory() as folder:
        other = forked(run_one_of_two, 1, folder)
        run_one_of_two(0, folder)
        other.join()
        halves = [torch.load(Path(folder) / f"{rank}.pt") for rank in range(2)]
    for name in ("y", "x"):
        together = torch.cat([half[name] for half in halves])
        torch.testing.assert_close(together, whole[name], rtol=0, atol=SAME_SUMS)
    for name in ("weight", "bias"):  # DDP averages what each process finds
        total = halves[0][name] + halves[1][name]
        torch.testing.assert_close(total, whole[name], rtol=0, atol=SAME_SUMS)
    for name in BUFFERS:
        for half in halves:
            torch.testing.assert_close(half[name], whole[name], rtol=0, atol=SAME_SUMS)

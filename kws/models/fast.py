"""Fast twins of torch's layers on a CPU, and the one place where they are chosen.

Models are written with `nn.Linear`, `nn.Dropout` and `nn.Conv1d`. What `kws.models.registry` builds
goes through `use_fast_layers`; a layer built by hand stays as torch made it, until you ask. Same
parameters, same state dict, same result within rounding (dropout: same distribution); everywhere
else (GPU, float64, bfloat16, autocast, torch.compile, ONNX export) they are torch's layers.

- `linear`: on a CPU torch multiplies matrices with MKL and convolves with oneDNN. MKL leaves the
  AVX-512 units of AMD processors unused, oneDNN does not: there a linear layer, forward and
  backward, takes about half the time (`benchmarks/models.py`).
- `drop`: torch draws a random number per element, a fifth of the training step of a small
  Conformer. Sixteen bits decide as well, and a 64-bit draw holds four times sixteen.
- `DepthwiseConv`: where frames lie one after the other in memory, as in a Transformer's (B, T, D)
  seen as (B, D, T), oneDNN has a kernel for images but none for sequences. So here the sequence is
  an image of height 1.

Source of dropout: Srivastava et al. 2014 (https://jmlr.org/papers/v15/srivastava14a.html).

Shape letters: B batch   D channels   T frames   I, O width that goes in, and out
               E, T2 channels and frames that go out
"""

from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kws.torch_internals import are_transforms_active, onednn_linear

HAS_ONEDNN = (
    onednn_linear is not None
    and torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
)


def multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias through oneDNN; no autograd."""
    assert onednn_linear is not None
    return onednn_linear(x, weight, bias, "none", [], "")


class OneDnnLinear(torch.autograd.Function):
    """`multiply` with its three gradients, which are products of matrices again."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        return multiply(x, weight, bias)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *grads: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors  # pyright: ignore[reportAttributeAccessIssue]
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad  # pyright: ignore[reportAttributeAccessIssue]
        dy = grads[0]
        rows = dy.flatten(0, -2)
        dx = linear(dy, weight.mT, None) if needs_x else None
        dw = linear(rows.mT, x.flatten(0, -2).mT, None) if needs_weight else None
        return dx, dw, rows.sum(dim=0) if needs_bias else None


def linear(
    x: Float[Tensor, "*rows I"], weight: Float[Tensor, "O I"], bias: Float[Tensor, "O"] | None
) -> Float[Tensor, "*rows O"]:
    """x @ weight.T + bias, like `F.linear`."""
    if not _is_for_onednn(x, weight):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled():
        return OneDnnLinear.apply(x, weight, bias)  # pyright: ignore[reportReturnType]
    return multiply(x, weight, bias)


class Linear(nn.Linear):
    """`nn.Linear` by another route: the same parameters and initialization, `linear` in forward."""

    def forward(self, input: Float[Tensor, "*rows I"]) -> Float[Tensor, "*rows O"]:
        return linear(input, self.weight, self.bias)


def is_plain_cpu(x: Tensor) -> bool:
    """True for a CPU tensor in plain eager mode: nothing is compiling, tracing or transforming."""
    return (
        x.is_cpu
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not are_transforms_active()
    )


def _is_for_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        HAS_ONEDNN
        and is_plain_cpu(x)
        and weight.is_cpu
        and x.dtype == weight.dtype == torch.float32
        and x.ndim >= 2
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
    )


LEVELS = 1 << 16  # values of sixteen bits


def drop(x: Float[Tensor, "*shape"], probability: float) -> Float[Tensor, "*shape"]:
    """Zero each element with this probability, and scale the others by 1 / (1 - probability).

    The probability is rounded down to a multiple of 1/65536, and what stays is scaled for exactly
    that probability: the mean is kept.
    """
    level = int(probability * LEVELS)
    if not 0 < level < LEVELS or not is_plain_cpu(x):
        return F.dropout(x, probability)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    sixteen = draws.view(torch.int16)[: x.numel()].view(x.shape)  # uniform in [-32768, 32767]
    keep = sixteen >= level - LEVELS // 2
    return x * keep.to(x.dtype).mul_(LEVELS / (LEVELS - level))


class Dropout(nn.Dropout):
    """`nn.Dropout` by another route: `drop` while training, nothing in evaluation."""

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return drop(input, self.p) if self.training else input


class DepthwiseConv(nn.Conv1d):
    """`nn.Conv1d`, as an image of height 1 where it is depthwise."""

    def forward(self, input: Float[Tensor, "*B D T"]) -> Float[Tensor, "*B E T2"]:
        if not (input.is_cpu and input.ndim == 3 and _is_plain(self)):
            return super().forward(input)
        image, kernel = input[:, :, None], self.weight[:, :, None]
        padding = (0, int(self.padding[0]))
        return F.conv2d(image, kernel, self.bias, padding=padding, groups=self.groups)[:, :, 0]


def _is_plain(conv: nn.Conv1d) -> bool:
    """Depthwise with stride and dilation 1, and zeros as padding."""
    return (
        conv.groups == conv.in_channels == conv.out_channels
        and conv.stride == conv.dilation == (1,)
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )


TWINS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: Linear,
    nn.Dropout: Dropout,
    nn.Conv1d: DepthwiseConv,
}
Model = TypeVar("Model", bound=nn.Module)


def use_fast_layers(model: Model) -> Model:
    """Let each layer in `model` that has a twin compute like it; returns `model`, changed in place.

    Weights, state dict and results stay as they are. Subclasses of torch's layers are left alone.
    """
    for module in model.modules():
        # a twin has the attributes of torch's layer and another forward: its class is all it takes
        module.__class__ = TWINS.get(type(module), type(module))
    return model

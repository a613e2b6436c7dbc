"""`nn.Linear`, computed by the faster of the two matrix libraries that torch carries for the CPU.

On a CPU torch multiplies matrices with MKL and convolves with oneDNN. MKL leaves the AVX-512 units
of AMD processors unused, oneDNN does not: there a linear layer, forward and backward, takes about
half the time (measure with `benchmarks/models.py`). Same parameters, same state dict, same
result within float32 rounding; everywhere else (GPU, float64, bfloat16, autocast, torch.compile,
ONNX export) this is `F.linear` itself.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

HAS_ONEDNN = (
    torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
)


def multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias through oneDNN; no autograd."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


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
        and not torch._C._are_functorch_transforms_active()
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

"""A Conformer's parts as a student's module has them: which tensor is which, and what follows.

As in `attention_readings` a student's names play no role: a tensor is known by its shape, a batch
norm by its running mean, a part of a block by its class and by when it is called. The options of
each formula are mistakes.

Shape letters: B batch   T frames   D model width   E feed-forward width   K kernel size
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from grader.course.probes.attention_readings import Projection, projections, randomized
from grader.grading.feedback import Failure, expect_shape

EPS = 1e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class Norm:
    """Scale and shift, and of a batch norm its running mean and variance."""

    weight: Tensor
    bias: Tensor
    mean: Tensor | None = None
    variance: Tensor | None = None

    def layer_norm(self, x: Tensor) -> Tensor:
        """As layer norm."""
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, EPS)

    def batch_norm_eval(self, x: Tensor) -> Tensor:
        """As batch norm in evaluation mode."""
        assert self.mean is not None
        assert self.variance is not None
        return (x - self.mean) * (self.variance + EPS).rsqrt() * self.weight + self.bias


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvolutionReading:
    """The convolution module: norm, D -> 2D, depthwise, batch norm, D -> D."""

    norm: Norm
    expand: Projection
    depthwise: Projection
    batch_norm: Norm
    contract: Projection


@dataclass(frozen=True, kw_only=True, eq=False)
class FeedForwardReading:
    """The feed-forward module: norm, D -> E, E -> D."""

    norm: Norm
    expand: Projection
    contract: Projection


def loud(module: Any, seed: int) -> dict[str, Tensor]:
    """`randomized`, with variances that are positive; matrices come as (out, in).

    A pointwise layer may be an `nn.Conv1d` with a kernel of one frame.
    """
    state = randomized(module, seed)
    for name, tensor in state.items():
        if name.endswith("running_var"):
            state[name] = tensor.abs() + 0.1
    module.load_state_dict(state)
    return {
        name: tensor.squeeze(-1) if tensor.ndim == 3 and tensor.shape[-1] == 1 else tensor
        for name, tensor in state.items()
    }


def identity(name: str, tensor: Tensor) -> Tensor:
    """Matrices as identities, a kernel with a 1 in its center, biases zero, norms as they are."""
    if tensor.ndim < 2:
        kept = "running" in name or not tensor.is_floating_point() or bool((tensor == 1).all())
        return tensor if kept else torch.zeros_like(tensor)
    middle = (torch.arange(tensor.shape[-1]) == tensor.shape[-1] // 2).to(tensor.dtype)
    eye = torch.eye(tensor.shape[0], tensor.shape[1])
    if tensor.ndim == 2:
        return eye
    return eye[..., None] * middle if tensor.shape[1] > 1 else middle.expand(tensor.shape).clone()


def norms(state: Mapping[str, Tensor], width: int) -> list[Norm]:
    """Vectors `weight` and `bias` of the same name, with the running statistics of a batch norm."""
    found = []
    for name, weight in state.items():
        head, _, tail = name.rpartition("weight")
        bias = state.get(f"{head}bias{tail}")
        if weight.shape == (width,) and not tail and bias is not None:
            mean, variance = state.get(f"{head}running_mean"), state.get(f"{head}running_var")
            found.append(Norm(weight=weight, bias=bias, mean=mean, variance=variance))
    return found


def read_convolution(module: Any, d_model: int, seed: int) -> ConvolutionReading:
    """Load random numbers into a convolution module and read it; Failure if it has other parts."""
    state = loud(module, seed)
    maps, both = projections(state), norms(state, d_model)
    expand = [one for one in maps if one.weight.shape == (2 * d_model, d_model)]
    contract = [one for one in maps if one.weight.shape == (d_model, d_model)]
    kernels = _kernels(state, d_model)
    by_batch = [one for one in both if one.mean is not None]
    by_frame = [one for one in both if one.mean is None]
    lists = (by_frame, expand, kernels, by_batch, contract)
    if any(len(one) != 1 for one in lists):
        what = (
            "layer norm",
            "linear layer D -> 2D",
            "depthwise convolution",
            "batch norm",
            "linear layer D -> D",
        )
        wrong = next(i for i, one in enumerate(lists) if len(one) != 1)
        raise Failure(
            f"ConvolutionModule has {len(lists[wrong])} parts like a {what[wrong]}, expected 1",
            "compare print(module) with the table in section 4.3",
        )
    return ConvolutionReading(
        norm=by_frame[0],
        expand=expand[0],
        depthwise=kernels[0],
        batch_norm=by_batch[0],
        contract=contract[0],
    )


def _kernels(state: Mapping[str, Tensor], d_model: int) -> list[Projection]:
    found = []
    for name, weight in state.items():
        if weight.ndim == 3 and weight.shape[:2] == (d_model, 1):
            head, _, tail = name.rpartition("weight")
            found.append(Projection(weight=weight, bias=state.get(f"{head}bias{tail}")))
    return found


def depthwise(
    x: Tensor, kernel: Projection, valid: Tensor | None = None, *, shift: int = 0
) -> Tensor:
    """Each channel along time, padding as zeros; `shift` frames off the center is a mistake."""
    if valid is not None:
        x = x.masked_fill(~valid[..., None], 0)
    K = kernel.weight.shape[-1]
    padded = F.pad(x.mT, (K // 2 + shift, K // 2 - shift))
    return F.conv1d(padded, kernel.weight, kernel.bias, groups=x.shape[-1]).mT


def convolution(
    x: Tensor,
    one: ConvolutionReading,
    valid: Tensor | None = None,
    *,
    norm_first: bool = True,
    gate_first: bool = False,
    batch_norm: bool = True,
    batch_norm_first: bool = False,
    activation: Callable[[Tensor], Tensor] = F.silu,
    activation_first: bool = False,
) -> Tensor:
    """The module as a reading has it, in evaluation mode; `…_first` is too early, a mistake."""
    x = one.expand(one.norm.layer_norm(x) if norm_first else x)
    content, gate = x.chunk(2, dim=-1)
    if gate_first:
        content, gate = gate, content
    x = content * gate.sigmoid()
    if batch_norm_first:
        return one.contract(activation(depthwise(one.batch_norm.batch_norm_eval(x), one.depthwise)))
    x = depthwise(x, one.depthwise, valid)
    if activation_first:
        return one.contract(one.batch_norm.batch_norm_eval(activation(x)))
    x = activation(one.batch_norm.batch_norm_eval(x) if batch_norm else x)
    return one.contract(x)


def read_feed_forward(module: Any, d_model: int, d_ff: int, seed: int) -> FeedForwardReading:
    """Load random numbers into a feed-forward module and read it; Failure if it has other parts."""
    state = loud(module, seed)
    maps, both = projections(state), norms(state, d_model)
    expand = [one for one in maps if one.weight.shape == (d_ff, d_model)]
    contract = [one for one in maps if one.weight.shape == (d_model, d_ff)]
    if not len(both) == len(expand) == len(contract) == 1:
        raise Failure(
            "FeedForwardModule is not made of a norm and linear layers D -> E and E -> D",
            "compare print(module) with the steps in section 4.4",
        )
    return FeedForwardReading(norm=both[0], expand=expand[0], contract=contract[0])


def feed_forward(
    x: Tensor,
    one: FeedForwardReading,
    *,
    norm_first: bool = True,
    norm_last: bool = False,
    activation: Callable[[Tensor], Tensor] = F.silu,
) -> Tensor:
    """The module as a reading has it; `norm_last` normalizes its output, a mistake."""
    if norm_last:
        return one.norm.layer_norm(one.contract(activation(one.expand(x))))
    return one.contract(activation(one.expand(one.norm.layer_norm(x) if norm_first else x)))


class BlockReading:
    """A block whose parts are called one by one, in an order of ours.

    Which feed-forward module is the first, and which norm belongs to attention, shows in one call
    of the block: a part is what it is by when it is called.
    """

    def __init__(self, block: Any, x: Tensor, seed: int):
        state = loud(block, seed)
        inner: list[str] = []
        norms_called: list[str] = []
        called: dict[str, list[str]] = {}
        for call in block.trace(x).layers:
            if any(call.path.startswith(f"{path}.") for path in inner):
                continue
            if call.kind in _PARTS:
                inner.append(call.path)
                called.setdefault(call.kind, []).append(call.path)
            if call.kind == "LayerNorm":
                norms_called.append(call.path)
        for kind, (number, hint) in _PARTS.items():
            times = len(called.get(kind, ()))
            if times != number:
                raise Failure(f"ConformerBlock calls {times} {kind}, expected {number}", hint)
        if len(norms_called) != 2:
            raise Failure(
                f"ConformerBlock calls {len(norms_called)} layer norms of its own, expected 2",
                "one in front of attention, and one at the end: are both there?",
            )
        self.feed_forwards = [block.child(path) for path in called["FeedForwardModule"]]
        self.attention = block.child(called["MultiHeadSelfAttention"][0])
        self.convolution = block.child(called["ConvolutionModule"][0])
        self.norms = [
            Norm(weight=state[f"{path}.weight"], bias=state[f"{path}.bias"])
            for path in norms_called
        ]

    def __call__(
        self,
        x: Tensor,
        valid: Tensor | None = None,
        *,
        step: float = 0.5,
        middle: float = 1.0,
        residual: bool = True,
        residual_before_norm: bool = True,
        ffn_last: bool = False,
        unmasked_part: str = "",
        conv_first: bool = False,
        norm_last: bool = True,
        norm_first: bool = True,
    ) -> Tensor:
        """The block; `unmasked_part` is a part that does not get valid.

        With `residual_before_norm=False` the residual connection of attention starts after its
        norm, with `ffn_last` both feed-forward modules come at the end.
        """

        def attend(x: Tensor) -> Tensor:
            normed = self.norms[0].layer_norm(x) if norm_first else x
            mask = None if unmasked_part == "attention" else valid
            start = x if residual_before_norm else normed
            return residual * start + middle * _same_shape(self.attention, normed, mask)

        def convolve(x: Tensor) -> Tensor:
            mask = None if unmasked_part == "convolution" else valid
            return residual * x + middle * _same_shape(self.convolution, x, mask)

        if not ffn_last:
            x = residual * x + step * _same_shape(self.feed_forwards[0], x)
        for part in (convolve, attend) if conv_first else (attend, convolve):
            x = part(x)
        if ffn_last:
            x = x + step * _same_shape(self.feed_forwards[0], x)
        x = residual * x + step * _same_shape(self.feed_forwards[1], x)
        return self.norms[1].layer_norm(x) if norm_last else x


def _same_shape(part: Any, x: Tensor, *rest: Any) -> Tensor:
    return expect_shape(f"{part.kind}(x)", part(x, *rest), *x.shape, letters="B, T, D")


_PARTS = {
    "FeedForwardModule": (2, "is there one at each end of the block?"),
    "MultiHeadSelfAttention": (1, "attention comes once, between the feed-forward modules"),
    "ConvolutionModule": (1, "the convolution module comes once, after attention"),
}

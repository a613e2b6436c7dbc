"""Batch normalization whose statistics are taken over real frames only.

Source: Ioffe and Szegedy 2015, "Batch Normalization", algorithm 1
(https://arxiv.org/abs/1502.03167). Parity: `nn.BatchNorm1d` and `2d`, running statistics included,
when every frame is valid. Deviation: padded frames are left out of mean and variance, and processes
share their statistics (like `nn.SyncBatchNorm`), so that neither padding nor the number of
processes changes the training.

Shape letters: B batch   T frames   D channels   F frequency bands
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


class SumOverProcesses(torch.autograd.Function):
    """Sum a tensor over all processes; the gradient is summed over all processes as well."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        total = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def is_distributed() -> bool:
    """True when `torch.distributed` runs with more than one process."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def sum_over_processes(x: Tensor) -> Tensor:
    """Sum `x` over all processes, differentiably; with one process, `x` itself."""
    return SumOverProcesses.apply(x) if is_distributed() else x  # pyright: ignore[reportReturnType]


def gather_over_processes(x: Tensor) -> Tensor:
    """The rows of `x` of all processes, one after another; without gradients."""
    if not is_distributed():
        return x
    size = torch.tensor([len(x)], device=x.device)
    sizes = [torch.zeros_like(size) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, size)
    longest = int(torch.cat(sizes).max())
    padded = torch.cat([x, x.new_zeros(longest - len(x), *x.shape[1:])])  # equal shapes are needed
    tables = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(tables, padded)
    return torch.cat([table[: int(n)] for table, n in zip(tables, sizes, strict=True)])


def same_in_all_processes(x: Tensor) -> Tensor:
    """`x` of process 0."""
    if is_distributed():
        dist.broadcast(x, 0)
    return x


def where_valid(
    valid: Bool[Tensor, "B T"], x: Tensor, channels_last: bool = False
) -> Bool[Tensor, "B ..."]:
    """View `valid` so that it broadcasts against `x`: (B, T, D), (B, D, T) or (B, C, F, T).

    >>> valid = torch.ones(2, 7, dtype=torch.bool)
    >>> where_valid(valid, torch.zeros(2, 3, 5, 7)).shape
    torch.Size([2, 1, 1, 7])
    >>> where_valid(valid, torch.zeros(2, 7, 3), channels_last=True).shape
    torch.Size([2, 7, 1])
    """
    if channels_last:
        return valid[..., None]
    return valid.view(valid.shape[0], *[1] * (x.ndim - 2), valid.shape[1])


class MaskedBatchNorm(nn.Module):
    """`nn.BatchNorm1d` and `2d` that sees no padding and is the same over any number of processes.

    Takes (B, D), (B, D, T) and maps (B, D, F, T); with `channels_last=True` (B, T, D). While
    training, mean and variance are those of the valid frames of all processes together. Padded
    frames of the output mean nothing: mask before a layer that mixes frames. A batch without any
    valid frame leaves the running statistics as they are.

    Parameters and buffers are named as in `nn.BatchNorm1d`: state dicts load either way.

    Args:
        num_features: number of channels D.
        channels_last: channels are the last axis of the input, not the second.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics.

    Raises:
        ValueError: if the channel axis is not `num_features` long, or `valid` does not fit `x`.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int,
        *,
        channels_last: bool = False,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ):
        super().__init__()
        self.num_features = num_features
        self.channels_last = channels_last
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def forward(
        self, x: Float[Tensor, "B *rest"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B *rest"]:
        """Normalize every channel to mean 0 and variance 1, then scale by `weight`, add `bias`."""
        self._check(x, valid)
        if self.training and (valid is not None or is_distributed()):
            return self._normalize_valid(x, valid)
        if self.training:
            self.num_batches_tracked.add_(1)
        rows = x.flatten(0, -2) if self.channels_last else x  # (B * T, D): no transpose needed
        y = F.batch_norm(
            rows,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
        return y.view(x.shape) if self.channels_last else y

    def _normalize_valid(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """The training step with statistics over valid frames, and over all processes."""
        wide = x if x.dtype == torch.float64 else x.float()  # sums of bfloat16 lose digits
        channel = x.ndim - 1 if self.channels_last else 1
        others = [axis for axis in range(x.ndim) if axis != channel]
        shape = [-1 if axis == channel else 1 for axis in range(x.ndim)]

        values = x.numel() // self.num_features  # in each mean, if all frames are valid
        if valid is None:
            hidden, count = None, wide.new_tensor(values)
        else:
            hidden = ~where_valid(valid, x, self.channels_last)
            count = (valid.sum() * (values // valid.numel())).to(wide.dtype)

        def masked(t: Tensor) -> Tensor:
            return t if hidden is None else t.masked_fill(hidden, 0)

        sums = sum_over_processes(torch.cat([masked(wide).sum(others), count.view(1)]))
        total, count = sums[:-1], sums[-1].detach()
        mean = total / count.clamp(min=1)
        centered = masked(wide - mean.view(shape))
        var = sum_over_processes(centered.square().sum(others)) / count.clamp(min=1)

        with torch.no_grad():
            unbiased = var * count / (count - 1).clamp(min=1)
            # A tensor, since asking for the value of `count` would wait for a GPU.
            weight = self.momentum * (count > 0).to(mean.dtype)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), weight)
            self.num_batches_tracked.add_(1)

        scale = self.weight * (var + self.eps).rsqrt()
        return torch.addcmul(self.bias.view(shape), centered, scale.view(shape)).to(x.dtype)

    def _check(self, x: Tensor, valid: Tensor | None) -> None:
        channel = x.ndim - 1 if self.channels_last else 1
        if x.ndim < 2 or x.shape[channel] != self.num_features:
            raise ValueError(
                f"x has shape {tuple(x.shape)}: axis {channel} must be the "
                f"{self.num_features} channels"
            )
        time = x.ndim - 2 if self.channels_last else x.ndim - 1
        if valid is not None and (x.ndim < 3 or valid.shape != (x.shape[0], x.shape[time])):
            raise ValueError(
                f"valid has shape {tuple(valid.shape)}, but x has shape {tuple(x.shape)}, "
                f"with frames on axis {time}"
            )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, channels_last={self.channels_last}, "
            f"eps={self.eps}, momentum={self.momentum}"
        )

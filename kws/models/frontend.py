"""Convolutional front ends: a spectrogram becomes fewer and richer frames, or a grid of tokens.

Sources: Dong et al. 2018, "Speech-Transformer", section 3.2 (two 3 × 3 convolutions of stride 2
before the encoder); the strided, unstrided and max-pool stems of the keyword transformer.

What padding must not do: frames that are padding are set to zero before every convolution, which
is what the convolution itself puts beyond the end of a clip. A clip that is padded therefore
gives the tokens that it gives alone, and `valid` shrinks with the frames by the same formula.

Shape letters: B batch   C channels   F frequency bands   T frames
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.batch_norm import MaskedBatchNorm, where_valid
from kws.models.transformer import ACTIVATIONS


def zero_padding(
    x: Float[Tensor, "B *rest T"], valid: Bool[Tensor, "B T"] | None
) -> Float[Tensor, "B *rest T"]:
    """Set the padded frames, on the last axis of `x`, to zero; what was there is gone, even NaN."""
    return x if valid is None else x.masked_fill(~where_valid(valid, x), 0)


def valid_after(
    valid: Bool[Tensor, "B T"] | None,
    *,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Bool[Tensor, "B T2"] | None:
    """Which outputs of a convolution or pooling over time are real, given which inputs are.

    Output t covers the frames from t · stride - padding to t · stride - padding + reach, with
    reach = dilation · (kernel_size - 1). A clip alone yields it while its last frame lies at most
    `padding` beyond the clip, so the frame at t · stride + reach - 2 · padding decides: the center
    frame of an odd kernel with "same" padding, the last frame of an unpadded window.

    >>> import torch
    >>> valid = torch.arange(7) < torch.tensor([[7], [4]])
    >>> valid_after(valid, kernel_size=3, stride=2, padding=1)
    tensor([[ True,  True,  True,  True],
            [ True,  True, False, False]])
    >>> valid_after(valid, kernel_size=2, stride=2).sum(dim=1)
    tensor([3, 2])

    Raises:
        ValueError: if there is more padding than the window can cover.
    """
    decides = dilation * (kernel_size - 1) - 2 * padding
    if decides < 0:
        raise ValueError(
            f"padding={padding} is too much for kernel_size={kernel_size}, dilation={dilation}: "
            "outputs would lie beyond the end of the clip"
        )
    return None if valid is None else valid[:, decides::stride]


def convolve(
    conv: nn.Conv1d | nn.Conv2d, x: Float[Tensor, "B C *bands T"], valid: Bool[Tensor, "B T"] | None
) -> tuple[Float[Tensor, "B C2 *bands2 T2"], Bool[Tensor, "B T2"] | None]:
    """Apply a convolution whose last axis is time to the real frames, and mask its output."""
    after = valid_after(
        valid,
        kernel_size=conv.kernel_size[-1],
        stride=conv.stride[-1],
        padding=int(conv.padding[-1]),
        dilation=conv.dilation[-1],
    )
    return conv(zero_padding(x, valid)), after


def max_pool(
    x: Float[Tensor, "B C F T"], pool: tuple[int, int], valid: Bool[Tensor, "B T"] | None
) -> tuple[Float[Tensor, "B C F2 T2"], Bool[Tensor, "B T2"] | None]:
    """Largest value of each `pool` = (bands, frames) window; an incomplete last one is dropped."""
    if pool == (1, 1):
        return x, valid
    after = valid_after(valid, kernel_size=pool[1], stride=pool[1])
    return F.max_pool2d(zero_padding(x, valid), pool), after


def maps_of(features: Float[Tensor, "B T F"]) -> Float[Tensor, "B 1 F T"]:
    """A spectrogram as one map, channels last in memory: CPU convolutions then take half the time.

    The layout of the input decides that of every map after it; the weights stay as they are.
    """
    return features.mT.contiguous()[..., None].movedim(-1, 1)


def frames_of(maps: Float[Tensor, "B C F T"]) -> Float[Tensor, "B T FC"]:
    """One vector per frame: its F bands after another, C channels each."""
    return maps.permute(0, 3, 2, 1).flatten(2)


def tokens_of(
    maps: Float[Tensor, "B C F T"], valid: Bool[Tensor, "B T"] | None
) -> tuple[Float[Tensor, "B TF C"], Bool[Tensor, "B TF"] | None]:
    """One token per point of the map, frame after frame, so that padding comes last."""
    bands = maps.shape[2]
    after = None if valid is None else valid.repeat_interleave(bands, dim=1)
    return maps.permute(0, 3, 2, 1).flatten(1, 2), after


class ConvBlock(nn.Module):
    """Conv2d 3 × 3 → MaskedBatchNorm → activation → MaxPool2d, over maps (B, C, F, T).

    With `pool_first` the pooling follows the convolution, and a 2 × 2 window leaves a quarter of
    the values to normalize: on a CPU the block then trains in two thirds of the time.

    9 · in · out + out parameters for the convolution, 2 · out for the normalization.

    Args:
        in_channels: maps that come in.
        out_channels: maps that go out.
        stride: of the convolution, in both directions.
        pool: (bands, frames) of the pooling; (1, 1) leaves it out.
        activation: "relu", "gelu" or "silu".
        pool_first: pool before the normalization, not after the activation.

    Raises:
        ValueError: for another activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        pool: tuple[int, int] = (1, 1),
        activation: str = "relu",
        pool_first: bool = False,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} is none of {', '.join(ACTIVATIONS)}")
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)
        self.norm = MaskedBatchNorm(out_channels)
        self.activation = ACTIVATIONS[activation]
        self.pool = pool
        self.pool_first = pool_first

    def forward(
        self, x: Float[Tensor, "B C F T"], valid: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B C2 F2 T2"], Bool[Tensor, "B T2"] | None]:
        """x (B, C, F, T) -> maps and mask, fewer of both with a stride or pooling above 1."""
        x, valid = convolve(self.conv, x, valid)
        if self.pool_first:
            x, valid = max_pool(x, self.pool, valid)
            return self.activation(self.norm(x, valid)), valid
        return max_pool(self.activation(self.norm(x, valid)), self.pool, valid)

    def extra_repr(self) -> str:
        return f"pool={self.pool}, pool_first={self.pool_first}"


class ConvStem(nn.Module):
    """A stack of `ConvBlock`s from the spectrogram to maps of `channels[-1]` channels.

    Args: those of `ConvBlock`, of each block: channels that go out, strides and poolings.

    Raises:
        ValueError: if the three do not have one entry per block.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        *,
        strides: tuple[int, ...] | None = None,
        pools: tuple[tuple[int, int], ...] | None = None,
        activation: str = "relu",
        pool_first: bool = False,
    ):
        super().__init__()
        strides = strides or (1,) * len(channels)
        pools = pools or ((1, 1),) * len(channels)
        if not 0 < len(channels) == len(strides) == len(pools):
            raise ValueError(
                f"channels={channels}, strides={strides} and pools={pools} "
                "must have one entry per block"
            )
        self.blocks = nn.ModuleList(
            ConvBlock(
                c_in, c_out, stride=stride, pool=pool, activation=activation, pool_first=pool_first
            )
            for c_in, c_out, stride, pool in zip(
                (1, *channels[:-1]), channels, strides, pools, strict=True
            )
        )
        self.out_channels = channels[-1]
        self.reductions = [(stride, pool[0]) for stride, pool in zip(strides, pools, strict=True)]

    def out_bands(self, num_features: int) -> int:
        """Frequency bands that are left of `num_features`; ValueError if none is."""
        bands = num_features
        for stride, pool in self.reductions:
            bands = -(-bands // stride) // pool
        if bands < 1:
            raise ValueError(
                f"num_features={num_features} leaves no band after the strides and poolings"
            )
        return bands

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B C F2 T2"], Bool[Tensor, "B T2"] | None]:
        """features (B, T, F) -> maps (B, C, F2, T2) and their mask (B, T2)."""
        x = maps_of(features)
        for block in self.blocks:
            x, valid = block(x, valid)
        return x, valid

"""Take over the weights of torch's and torchaudio's own layers.

Each function copies the parameters of `theirs` into `ours`, which must be of the same sizes. After
it the two compute the same thing on valid frames: that is how parity is tested and timed, and how
a model trained with `nn.TransformerEncoder` moves here.
"""

from typing import Any

import torch
from torch import nn

from kws.models.attention import MultiHeadSelfAttention
from kws.models.conformer import Conformer, ConformerLayer
from kws.models.transformer import EncoderLayer, FeedForward, TransformerEncoder


def load_attention(ours: MultiHeadSelfAttention, theirs: nn.MultiheadAttention) -> None:
    """Copy `nn.MultiheadAttention`; its packed rows are queries, keys, values, as here.

    With `bias=False` it has no output bias either: ours becomes zero.

    Raises:
        ValueError: if `theirs` keeps query, key and value weights apart.
    """
    if theirs.in_proj_weight is None:
        raise ValueError("theirs has query, key and value weights of different widths")
    ours.qkv.load_state_dict(_present(weight=theirs.in_proj_weight, bias=theirs.in_proj_bias))
    nn.init.zeros_(ours.out.bias)
    ours.out.load_state_dict(theirs.out_proj.state_dict(), strict=theirs.out_proj.bias is not None)


def load_encoder_layer(ours: EncoderLayer, theirs: nn.TransformerEncoderLayer) -> None:
    """Copy `nn.TransformerEncoderLayer`.

    Raises:
        ValueError: if one of the two is pre-norm and the other post-norm.
    """
    if ours.norm_first != theirs.norm_first:
        raise ValueError(f"norm_first={ours.norm_first} here, {theirs.norm_first} there")
    load_attention(ours.attention, theirs.self_attn)
    _load_feed_forward(ours.feed_forward, theirs.linear1, theirs.linear2)
    ours.norm_attention.load_state_dict(theirs.norm1.state_dict())
    ours.norm_feed_forward.load_state_dict(theirs.norm2.state_dict())


def load_encoder(ours: TransformerEncoder, theirs: nn.TransformerEncoder) -> None:
    """Copy `nn.TransformerEncoder`, layer by layer, and its final norm where there is one."""
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        load_encoder_layer(mine, other)  # pyright: ignore[reportArgumentType]
    if (ours.norm is None) != (theirs.norm is None):
        raise ValueError("one of the two encoders has a final norm, the other has none")
    if ours.norm is not None and theirs.norm is not None:
        ours.norm.load_state_dict(theirs.norm.state_dict())


def load_conformer(ours: Conformer, theirs: nn.Module) -> None:
    """Copy `torchaudio.models.Conformer` into a `Conformer` with positions="none", norm="batch"."""
    for mine, other in zip(ours.layers, theirs.conformer_layers, strict=True):  # pyright: ignore
        _load_conformer_layer(mine, other)  # pyright: ignore[reportArgumentType]


def _load_conformer_layer(ours: ConformerLayer, theirs: Any) -> None:
    for norm, half, other in (
        (ours.norm_first_half, ours.first_half, theirs.ffn1.sequential),
        (ours.norm_second_half, ours.second_half, theirs.ffn2.sequential),
    ):
        norm.load_state_dict(other[0].state_dict())
        _load_feed_forward(half, other[1], other[4])
    ours.norm_attention.load_state_dict(theirs.self_attn_layer_norm.state_dict())
    load_attention(ours.attention, theirs.self_attn)
    convolution, other = ours.convolution, theirs.conv_module
    expand, _, depthwise, norm, _, contract, _ = other.sequential
    convolution.norm.load_state_dict(other.layer_norm.state_dict())
    convolution.expand.load_state_dict({"weight": expand.weight[..., 0], "bias": expand.bias})
    convolution.depthwise.load_state_dict(depthwise.state_dict())
    convolution.norm_conv.load_state_dict(norm.state_dict())
    convolution.contract.load_state_dict({"weight": contract.weight[..., 0], "bias": contract.bias})
    ours.norm.load_state_dict(theirs.final_layer_norm.state_dict())


def _load_feed_forward(ours: FeedForward, first: nn.Linear, second: nn.Linear) -> None:
    ours.expand.load_state_dict(first.state_dict())
    ours.contract.load_state_dict(second.state_dict())


def _present(**tensors: torch.Tensor | None) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}

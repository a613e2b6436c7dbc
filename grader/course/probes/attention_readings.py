"""Which of a student's tensors is which: found by shape and by trying, never by a name.

Students call the parts of a layer as they like, and may pack queries, keys and values into one
matrix. So a check takes the parameters that the student's module has, lists every way in which they
could be meant (its readings), and the answer is right if it is right for one of them.

Shape letters: B batch   T frames   D model width   H heads   E feed-forward width
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from kws.models.attention import attend

Reading = TypeVar("Reading")


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """One linear map."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionReading:
    """Queries, keys, values, output: four maps D -> D."""

    query: Projection
    key: Projection
    value: Projection
    out: Projection


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerReading:
    """An encoder layer: attention, feed-forward network, and two (scale, shift)."""

    attention: AttentionReading
    expand: Projection
    contract: Projection
    norms: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


def randomized(module: Any, seed: int) -> dict[str, Tensor]:
    """Load random numbers into every parameter and buffer of a remote module; return them.

    Biases that start at zero and scales that start at one would hide that they are misplaced.
    """
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in sorted(module.state_dict().items()):
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            tensor = noise / max(1, tensor.shape[-1]) ** 0.5 if tensor.ndim > 1 else 0.5 + noise / 4
        state[name] = tensor
    module.load_state_dict(state)
    return state


def projections(state: Mapping[str, Tensor]) -> list[Projection]:
    """Every matrix, with the bias of the same name where there is one, in the order of the names.

    torch's packed attention calls its own `in_proj_weight` and `in_proj_bias`.
    """
    found = []
    for name, weight in state.items():
        if weight.ndim == 2:
            head, _, tail = name.rpartition("weight")
            found.append(Projection(weight=weight, bias=state.get(f"{head}bias{tail}")))
    return found


def attention_readings(state: Mapping[str, Tensor], d_model: int) -> Iterator[AttentionReading]:
    """Four D -> D maps in any order, or one D -> 3D, its thirds in any order, and one D -> D."""
    maps = projections(state)
    square = [one for one in maps if one.weight.shape == (d_model, d_model)]
    packed = [one for one in maps if one.weight.shape == (3 * d_model, d_model)]
    if len(square) == 4 and not packed:
        for query, key, value, out in itertools.permutations(square):
            yield AttentionReading(query=query, key=key, value=value, out=out)
    if len(square) == 1 and len(packed) == 1:
        for query, key, value in itertools.permutations(_in_thirds(packed[0])):
            yield AttentionReading(query=query, key=key, value=value, out=square[0])


def _in_thirds(packed: Projection) -> list[Projection]:
    weights = packed.weight.chunk(3)
    biases = [None] * 3 if packed.bias is None else packed.bias.chunk(3)
    return [Projection(weight=w, bias=b) for w, b in zip(weights, biases, strict=True)]


def layer_readings(state: Mapping[str, Tensor], d_model: int, d_ff: int) -> Iterator[LayerReading]:
    """Attention as above, maps D -> E and E -> D, and two norms in either order."""
    maps = projections(state)
    up = [one for one in maps if one.weight.shape == (d_ff, d_model)]
    down = [one for one in maps if one.weight.shape == (d_model, d_ff)]
    norms = _norms(state, maps, d_model)
    if len(up) != 1 or len(down) != 1 or len(norms) != 2:
        return
    for attention in attention_readings(state, d_model):
        for first, second in (norms, norms[::-1]):
            yield LayerReading(
                attention=attention, expand=up[0], contract=down[0], norms=(first, second)
            )


def _norms(
    state: Mapping[str, Tensor], maps: list[Projection], d_model: int
) -> list[tuple[Tensor, Tensor]]:
    """Vectors of length D that are no matrix's bias, in pairs of the same name: weight, bias."""
    taken = {id(one.bias) for one in maps}
    free = {n: t for n, t in state.items() if t.shape == (d_model,) and id(t) not in taken}
    return [
        (scale, free[shift])
        for name, scale in free.items()
        if name.endswith("weight") and (shift := name.removesuffix("weight") + "bias") in free
    ]


def self_attention(
    x: Tensor,
    reading: AttentionReading,
    num_heads: int,
    valid: Tensor | None = None,
    *,
    scale: float = 1.0,
    mix_frames: bool = False,
    swap_back: bool = True,
    out: bool = True,
) -> Tensor:
    """Multi-head self-attention as a reading has it; the options are mistakes.

    `scale` multiplies the scores, `mix_frames` splits heads by a reshape alone, `swap_back=False`
    joins them by a reshape alone, `out=False` leaves the output projection out.
    """
    B, T, D = x.shape

    def split(y: Tensor) -> Tensor:
        if mix_frames:
            return y.reshape(B, num_heads, T, D // num_heads)
        return y.unflatten(-1, (num_heads, -1)).transpose(1, 2)

    q, k, v = (split(one(x)) for one in (reading.query, reading.key, reading.value))
    y = attend(scale * q, k, v, valid)
    y = y.transpose(1, 2) if swap_back and not mix_frames else y
    y = y.reshape(B, T, D)
    return reading.out(y) if out else y


def encoder_layer(
    x: Tensor,
    reading: LayerReading,
    num_heads: int,
    valid: Tensor | None = None,
    *,
    norm_first: bool = False,
    one_norm: bool = False,
    residual: bool = True,
    residual_from_input: bool = False,
    ffn_first: bool = False,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    activation_last: bool = False,
) -> Tensor:
    """A layer as a reading has it, post-norm; the other options are mistakes.

    With `residual_from_input` the second sum adds the input of the layer, with `ffn_first` the
    feed-forward network comes before attention.
    """
    first, second = reading.norms
    second = first if one_norm else second

    def norm(y: Tensor, scale_shift: tuple[Tensor, Tensor]) -> Tensor:
        return F.layer_norm(y, y.shape[-1:], *scale_shift)

    def attention(y: Tensor) -> Tensor:
        return self_attention(y, reading.attention, num_heads, valid)

    def feed_forward(y: Tensor) -> Tensor:
        if activation_last:
            return activation(reading.contract(reading.expand(y)))
        return reading.contract(activation(reading.expand(y)))

    if norm_first:
        x = x + attention(norm(x, first))
        return x + feed_forward(norm(x, second))
    if ffn_first:
        x = norm(x + feed_forward(x), first)
        return norm(x + attention(x), second)
    start, x = x, norm(residual * x + attention(x), first)
    return norm(residual * (start if residual_from_input else x) + feed_forward(x), second)


def nearest(actual: Any, readings: Sequence[Reading], value: Callable[[Reading], Tensor]) -> Tensor:
    """`value` of the reading that comes nearest to `actual`; there is at least one reading.

    With the right answer the nearest one is equal, so that a check compares with it as usual.
    """
    best, least = value(readings[0]), float("inf")
    if not isinstance(actual, Tensor) or actual.shape != best.shape:
        return best
    for reading in readings:
        candidate = value(reading)
        off = (actual.to(candidate.dtype) - candidate).abs().max().item()
        if off < least:
            best, least = candidate, off
    return best

"""The contract of assignment 2: attention, positions, encoder layer, encoder.

Shape letters: B batch   T frames   S key frames   D model width   H heads   E feed-forward width
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kws.course.operators import parameters_of, size_of
from kws.course.trial import Draw, trial

Measured = Iterator[tuple[str, Any]]


def attention_weights(draw: Draw, D: int) -> dict[str, torch.Tensor]:
    maps = ("query", "key", "value", "out")
    shapes = {f"{name}__weight": (D, D) for name in maps} | {f"{name}__bias": (D,) for name in maps}
    return draw.weights(**shapes)


def layer_weights(draw: Draw, D: int, E: int) -> dict[str, torch.Tensor]:
    rest = draw.weights(
        expand__weight=(E, D),
        expand__bias=(E,),
        contract__weight=(D, E),
        contract__bias=(D,),
        norm_attention__weight=(D,),
        norm_attention__bias=(D,),
        norm_feed_forward__weight=(D,),
        norm_feed_forward__bias=(D,),
    )
    return {f"attention.{name}": w for name, w in attention_weights(draw, D).items()} | rest


def count(module: nn.Module) -> int:
    return sum(size_of(p) for p in parameters_of(module) if p.requires_grad)


# 2.1

ATTEND = {"B": 3, "H": 2, "T": 7, "S": 11, "K": 5}
ATTEND_HIDDEN = {"B": 5, "H": 3, "T": 5, "S": 13, "K": 7}


@trial("2.1", public=ATTEND, hidden=ATTEND_HIDDEN)
def attend_values(draw, B, H, T, S, K, attend):
    """attend equals the formula, also with more keys than queries."""
    q, k, v = draw(B, H, T, K), draw(B, H, S, K), draw(B, H, S, K)
    yield "attend(q, k, v)", attend(q, k, v)
    yield "attend(3 * q, k, v)", attend(3 * q, k, v)


def measure_padding(results: Mapping[str, Any], **_: int) -> Measured:
    y, loud, low, low_and_loud, *changed = results.values()
    yield "the change of attend(q, k, v, valid) with other padding", _change(loud, y)
    # scores below any "large" negative number that might be used in place of minus infinity
    yield "the same with very low scores", _change(low_and_loud, low)
    moved = [(_change(one, y).abs() > 1e-3).flatten(1).any(dim=1) for one in changed]
    yield "which frames of each utterance attend(q, k, v, valid) depends on", torch.stack(moved)


def _change(one: Any, other: Any) -> Tensor:
    """Of two results of one function: the matter of their values is another check's."""
    for each in (one, other):
        if not isinstance(each, Tensor) or each.shape != one.shape:
            raise ValueError(f"a tensor of one shape for any padding, not {type(each).__name__}")
    return one - other


@trial("2.1", public=ATTEND, hidden=ATTEND_HIDDEN, measure=measure_padding)
def attend_padding(draw, B, H, T, S, K, attend):
    """attend gives padded keys the weight zero, whatever the padding contains."""
    q, k, v = draw(B, H, T, K), draw(B, H, S, K), draw(B, H, S, K)
    valid = draw.valid(B, S)
    yield "attend(q, k, v, valid)", attend(q, k, v, valid)
    padding = ~valid[:, None, :, None]
    loud_k, loud_v = (x + 100 * padding for x in (k, v))
    yield "attend(q, k, v, valid) with other padding", attend(q, loud_k, loud_v, valid)
    low = [torch.cat([x, torch.full_like(x[..., :1], w)], -1) for x, w in ((q, 1e5), (k, -1e5))]
    wide = torch.cat([v, v[..., :1]], -1)  # as wide as q and k are now
    yield "attend(q, k, v, valid) with very low scores", attend(*low, wide, valid)
    text = "attend(q, k, v, valid) with very low scores and other padding"
    yield text, attend(*low, wide + 100 * padding, valid)
    for frame in range(S):
        here = (torch.arange(S) == frame)[:, None]
        text = f"attend(q, k, v, valid) with another frame {frame}"
        yield text, attend(q, k + here, v + 10 * here, valid)


def measure_gradients(results: Mapping[str, Any], **_: int) -> Measured:
    shape, *found = results.values()
    yield "the shape of attend(q, k, v)", shape
    parts = {name: found[4 * at : 4 * at + 4] for at, name in enumerate("qkv")}
    some = [name for name, (gradient, *_) in parts.items() if isinstance(gradient, Tensor)]
    reached = [name for name in some if parts[name][0].any()]
    yield "what a gradient reaches", reached
    for name in reached:
        gradient, direction, above, below = parts[name]
        gap = abs((above - below) / (2 * STEP) - float((gradient * direction).sum()))
        agrees = gap <= 0.02 * float(gradient.norm()) + 1e-3
        yield f"is the gradient of {name} how the result changes with {name}?", agrees


STEP = 0.01  # of the differences: float32 rounds the sums to some 1e-6


@trial("2.1", public=ATTEND, hidden=ATTEND_HIDDEN, measure=measure_gradients)
def attend_gradients(draw, B, H, T, S, K, attend):
    """gradients flow through attend to queries, keys and values."""
    inputs = [draw(B, H, frames, K).requires_grad_() for frames in (T, S, S)]
    y = attend(*inputs)
    yield "the shape of attend(q, k, v)", list(y.shape)
    weights = draw(*y.shape)
    (y * weights).sum().backward()
    for at, name in enumerate("qkv"):
        yield f"the gradient of {name}", inputs[at].grad
        direction = draw(*inputs[at].shape)
        yield f"a step of {name}", direction
        for text, step in (("forward", STEP), ("back", -STEP)):
            moved = [x.detach() for x in inputs]
            moved[at] = moved[at] + step * direction
            yield f"the sum after a step of {name} {text}", (attend(*moved) * weights).sum()


# 2.2


@trial("2.2", public={"B": 2, "T": 5, "H": 3, "K": 2}, hidden={"B": 3, "T": 7, "H": 2, "K": 5})
def heads_values(draw, B, T, H, K, split_heads, merge_heads):
    """each head gets its own features of every frame, and merging undoes the split."""
    x = draw(B, T, H * K)
    yield "split_heads(x, H)", split_heads(x, H)
    yield "split_heads(x, 1)", split_heads(x, 1)
    yield "merge_heads(y)", merge_heads(draw(B, H, T, K))


# 2.3


def equal_calls(layer: Any, x: Tensor, draw: Draw) -> Measured:
    """A layer's result, whether it is the same twice, the gradient of x and x itself."""
    x = x.requires_grad_()
    once, twice = layer(x.clone()), layer(x.clone())
    yield "is the result the same in a second call?", torch.equal(once, twice)
    y = layer(x)
    yield "the result for x", y
    (y * draw(*y.shape)).sum().backward()
    yield "the gradient of x", x.grad
    yield "x after the call (modified in place?)", x


def padded_as_alone(layer: Any, x: Tensor, valid: Tensor) -> Measured:
    """How real frames differ from those of each utterance alone, and what they depend on."""
    moved = []
    y, lengths = layer(x, valid), valid.sum(dim=1).tolist()
    yield "the shape of the result for x and valid", list(y.shape)
    for b, n in enumerate(lengths):
        what = f"the change of utterance {b}, {n} of {x.shape[1]} frames, in a padded batch"
        yield what, y[b, :n] - layer(x[b : b + 1, :n])[0]
    for frame in range(x.shape[1]):
        here = (torch.arange(x.shape[1]) == frame)[:, None]
        change = (layer(torch.where(here, x.flip(-1), x), valid) - y).abs() > 1e-4
        moved.append((change & valid[..., None] & ~here).flatten(1).any(dim=1))
    yield "on which frames another real frame depends, in each utterance", torch.stack(moved)


@trial("2.3", public={"B": 3, "T": 7, "H": 2, "K": 3}, hidden={"B": 4, "T": 9, "H": 3, "K": 5})
def self_attention_values(draw, B, T, H, K, MultiHeadSelfAttention, load_attention):
    """self-attention equals the formula with known weights."""
    D = H * K
    attention = MultiHeadSelfAttention(D, H)
    load_attention(attention, attention_weights(draw, D))
    yield from equal_calls(attention, draw(B, T, D), draw)


@trial("2.3", public={"B": 3, "T": 7, "H": 2, "K": 3}, hidden={"B": 6, "T": 9, "H": 3, "K": 5})
def self_attention_padding(draw, B, T, H, K, MultiHeadSelfAttention, load_attention):
    """the real frames of an utterance are the same alone and in a padded batch."""
    attention = MultiHeadSelfAttention(H * K, H)
    load_attention(attention, attention_weights(draw, H * K))
    yield from padded_as_alone(attention, draw(B, T, H * K), draw.valid(B, T))


@trial("2.3", public={"D": 6, "H": 2}, hidden={"D": range(20, 600, 5), "H": 5})
def self_attention_count(draw, D, H, MultiHeadSelfAttention):
    """self-attention has 4 D² + 4 D parameters, however many heads."""
    yield f"parameters of MultiHeadSelfAttention({D}, {H})", count(MultiHeadSelfAttention(D, H))
    yield f"parameters of MultiHeadSelfAttention({D}, 1)", count(MultiHeadSelfAttention(D, 1))


# 2.4


@trial("2.4", public={"T": 7, "D": 10}, hidden={"T": 17, "D": range(22, 500, 2)}, atol=1e-4)
def sinusoids_values(draw, T, D, sinusoids):
    """sinusoids equals the formula, near and far."""
    yield f"sinusoids({T}, {D})", sinusoids(T, D)
    yield f"the dtype of sinusoids({T}, {D})", str(sinusoids(T, D).dtype)
    yield f"the last rows of sinusoids({100 * T}, {D})", sinusoids(100 * T, D)[-3:]
    yield "sinusoids(1, 2)", sinusoids(1, 2)


# 2.5

LAYER = {"B": 3, "T": 7, "H": 2, "K": 3, "E": 11}
LAYER_HIDDEN = {"B": 6, "T": 9, "H": 3, "K": 5, "E": 13}


@trial("2.5", public=LAYER, hidden=LAYER_HIDDEN)
def layer_values(draw, B, T, H, K, E, EncoderLayer, load_layer):
    """an encoder layer equals the formula with known weights."""
    D = H * K
    layer = EncoderLayer(D, H, E)
    load_layer(layer, layer_weights(draw, D, E))
    yield from equal_calls(layer, draw(B, T, D), draw)


@trial("2.5", public=LAYER, hidden=LAYER_HIDDEN)
def layer_padding(draw, B, T, H, K, E, EncoderLayer, load_layer):
    """the real frames of an utterance are the same alone and in a padded batch."""
    layer = EncoderLayer(H * K, H, E)
    load_layer(layer, layer_weights(draw, H * K, E))
    yield from padded_as_alone(layer, draw(B, T, H * K), draw.valid(B, T))


@trial("2.5", public={"D": 6, "H": 2, "E": 5}, hidden={"D": 15, "H": 3, "E": range(16, 300)})
def layer_count(draw, D, H, E, EncoderLayer):
    """an encoder layer has 4 D² + 9 D + 2 D E + E parameters."""
    yield f"parameters of EncoderLayer({D}, {H}, {E})", count(EncoderLayer(D, H, E))


# 2.6


@trial("2.6", public={**LAYER, "N": 3}, hidden={**LAYER_HIDDEN, "N": 4})
def encoder_values(draw, B, T, H, K, E, N, Encoder, load_encoder):
    """an encoder equals its layers one after the other."""
    D = H * K
    encoder = Encoder(D, H, E, N)
    load_encoder(encoder, [layer_weights(draw, D, E) for _ in range(N)])
    x = draw(B, T, D).requires_grad_()
    y = encoder(x)
    yield "encoder(x)", y
    (y * draw(*y.shape)).sum().backward()
    yield "the gradient of x", x.grad
    silent = sum(p.grad is None or not bool(p.grad.any()) for p in encoder.parameters())
    yield "parameters without a gradient", silent


@trial("2.6", public={**LAYER, "N": 3}, hidden={**LAYER_HIDDEN, "N": 4})
def encoder_padding(draw, B, T, H, K, E, N, Encoder, load_encoder):
    """the real frames of an utterance are the same alone and in a padded batch."""
    encoder = Encoder(H * K, H, E, N)
    load_encoder(encoder, [layer_weights(draw, H * K, E) for _ in range(N)])
    yield from padded_as_alone(encoder, draw(B, T, H * K), draw.valid(B, T))


@trial("2.6", public={"E": 5, "N": 3}, hidden={"E": range(16, 300), "N": 4})
def encoder_count(draw, E, N, Encoder):
    """every layer has its own parameters."""
    yield f"parameters of Encoder(6, 2, {E}, {N})", count(Encoder(6, 2, E, N))
    yield f"parameters of Encoder(15, 3, {E}, 1)", count(Encoder(15, 3, E, 1))


# 2.7


@trial("2.7", public={"D": 80, "E": 800, "N": 3}, hidden={"D": range(72, 400), "E": 71, "N": 5})
def count_values(draw, D, E, N, encoder_parameters):
    """the formula gives the count of any encoder."""
    yield f"encoder_parameters({D}, {E}, 1)", encoder_parameters(D, E, 1)
    yield f"encoder_parameters({D}, {E}, {N})", encoder_parameters(D, E, N)
    yield f"encoder_parameters({D}, {E}, 0)", encoder_parameters(D, E, 0)

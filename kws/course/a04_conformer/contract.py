"""The contract of assignment 4: gate, depthwise convolution, the Conformer's modules, a classifier.

The padded frames of an output mean nothing: only real frames are compared.

Shape letters: B batch   T frames   D model width   E feed-forward width   K kernel size
               H heads   N blocks   F mel bands     C speakers
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kws.course.a02_attention.contract import attention_weights, count, equal_calls, padded_as_alone
from kws.course.operators import size_beyond
from kws.course.trial import Draw, is_whole, trial, valid_frames

Weights = dict[str, Tensor]
LOUD = 9.0  # what is added in the padding, where it must not matter
BUDGET = 500_000  # numbers of the classifier that training changes
TOLERANCE = 0.01  # of the spread of logits: the eps of a norm makes 1e-4, a missing norm some 9


def depthwise_weights(draw: Draw, D: int, K: int) -> Weights:
    return {"weight": draw(D, 1, K) / K**0.5, "bias": draw(D)}


def convolution_weights(draw: Draw, D: int, K: int) -> Weights:
    names = ("norm", "expand", "contract", "batch_norm")
    shapes: dict[str, tuple[int, ...]] = {f"{name}__bias": (D,) for name in names}
    shapes |= {"norm__weight": (D,), "batch_norm__weight": (D,), "batch_norm__running_mean": (D,)}
    shapes |= {"expand__weight": (2 * D, D), "expand__bias": (2 * D,), "contract__weight": (D, D)}
    weights = draw.weights(**shapes)
    weights["batch_norm.running_var"] = draw.uniform(D, low=0.5, high=2.0)
    return weights | _within("depthwise", depthwise_weights(draw, D, K))


def feed_forward_weights(draw: Draw, D: int, E: int) -> Weights:
    return draw.weights(
        norm__weight=(D,),
        norm__bias=(D,),
        expand__weight=(E, D),
        expand__bias=(E,),
        contract__weight=(D, E),
        contract__bias=(D,),
    )


def block_weights(draw: Draw, D: int, E: int, K: int) -> Weights:
    names = ("norm_attention__weight", "norm_attention__bias", "norm__weight", "norm__bias")
    return (
        _within("first_half", feed_forward_weights(draw, D, E))
        | _within("attention", attention_weights(draw, D))
        | _within("convolution", convolution_weights(draw, D, K))
        | _within("second_half", feed_forward_weights(draw, D, E))
        | draw.weights(**dict.fromkeys(names, (D,)))
    )


def _within(part: str, weights: Mapping[str, Tensor]) -> Weights:
    return {f"{part}.{name}": tensor for name, tensor in weights.items()}


def real(y: Any, valid: Tensor) -> Any:
    """The real frames of y (B, T, D), one after the other; what has another form stays as it is."""
    fits = isinstance(y, Tensor) and y.ndim == 3 and y.shape[:2] == valid.shape
    return y[valid] if fits else y


def loud(x: Tensor, valid: Tensor) -> Tensor:
    """x (B, T, D) with other numbers in the padding."""
    return x + LOUD * ~valid[..., None]


def exception_of(call: Callable[..., Any], *args: Any) -> str:
    """What a call raises, if anything: its type's name, "ValueError" for a subclass of it."""
    try:
        call(*args)
    except NotImplementedError:
        raise
    except ValueError:
        return "ValueError"
    except Exception as error:
        return type(error).__name__
    return "no error"


# 4.1


@trial("4.1", public={"B": 3, "T": 7, "D": 5}, hidden={"B": 4, "T": 9, "D": 3})
def gate_values(draw, B, T, D, gated_linear_unit):
    """the gate multiplies the first half by the sigmoid of the second."""
    x = draw(B, T, 2 * D).requires_grad_()
    y = gated_linear_unit(x)
    yield "gated_linear_unit(x)", y
    (y * draw(*y.shape)).sum().backward()
    yield "the gradient of x", x.grad
    yield "x after the call (modified in place?)", x
    yield "the dtype of gated_linear_unit(x) in float64", str(gated_linear_unit(x.double()).dtype)


@trial("4.1", public={"B": 2, "T": 4, "D": 3}, hidden={"B": 6, "T": 4, "D": 5})
def gate_of_any_shape(draw, B, T, D, gated_linear_unit):
    """the gate splits the last axis, for any number of axes."""
    for shape in ((B, T, B, 2 * D), (B, 2 * D), (2 * D,)):
        yield f"gated_linear_unit(x) for x {shape}", gated_linear_unit(draw(*shape))


# 4.2


@trial("4.2", public={"B": 3, "T": 9, "D": 4, "K": 7}, hidden={"B": 2, "T": 11, "D": 3, "K": 9})
def depthwise_values(draw, B, T, D, K, DepthwiseConv, load_depthwise):
    """the convolution equals the formula with a known kernel, centered on its frame."""
    convolution = DepthwiseConv(D, K)
    load_depthwise(convolution, depthwise_weights(draw, D, K))
    x = draw(B, T, D).requires_grad_()
    y = convolution(x)
    yield "convolution(x)", y
    (y * draw(*y.shape)).sum().backward()
    yield "the gradient of x", x.grad
    yield "convolution(x) of an utterance shorter than the kernel", convolution(draw(B, 2, D))


@trial("4.2", public={"B": 3, "T": 9, "D": 4, "K": 7}, hidden={"B": 6, "T": 11, "D": 3, "K": 9})
def depthwise_padding(draw, B, T, D, K, DepthwiseConv, load_depthwise):
    """the contents of the padding change no real frame, not even NaN."""
    convolution = DepthwiseConv(D, K)
    load_depthwise(convolution, depthwise_weights(draw, D, K))
    x, valid = draw(B, T, D), draw.valid(B, T)
    given = x.clone()
    yield from padded_as_alone(convolution, x, valid)
    yield "is x as before the call?", torch.equal(x, given)
    broken = convolution(x.masked_fill(~valid[..., None], math.nan), valid)[valid]
    what = "the change of real frames with NaN in the padding"
    yield what, broken - convolution(given, valid)[valid]


@trial("4.2", public={"D": 4, "K": 7}, hidden={"D": range(4, 60, 2), "K": range(9, 41, 2)})
def depthwise_count(draw, D, K, DepthwiseConv):
    """the convolution has (K + 1) D parameters, and an even kernel raises a ValueError."""
    yield f"parameters of DepthwiseConv({D}, {K})", count(DepthwiseConv(D, K))
    for even in (K + 1, 2):
        what = f"the error raised by DepthwiseConv({D}, {even}), an even kernel_size"
        yield what, exception_of(DepthwiseConv, D, even)


# 4.3


@trial("4.3", public={"B": 3, "T": 9, "D": 4, "K": 7}, hidden={"B": 4, "T": 11, "D": 6, "K": 9})
def convolution_values(draw, B, T, D, K, ConvolutionModule, load_convolution):
    """the convolution module equals figure 2 of the paper, in evaluation and in training."""
    module = ConvolutionModule(D, K)
    load_convolution(module, convolution_weights(draw, D, K))
    module.eval()
    x = draw(B, T, D).requires_grad_()
    y = module(x)
    yield "module(x)", y
    (y * draw(*y.shape)).sum().backward()
    yield "the gradient of x", x.grad
    yield "x after the call (modified in place?)", x
    for step in ("first", "second"):
        yield f"module(x), training, {step} batch", module.train()(draw(B, T, D))
    yield "module(x), evaluation after two batches of training", module.eval()(x)


@trial("4.3", public={"B": 3, "T": 9, "D": 4, "K": 7}, hidden={"B": 6, "T": 11, "D": 6, "K": 9})
def convolution_padding(draw, B, T, D, K, ConvolutionModule, load_convolution):
    """no real frame depends on the padding, neither in evaluation nor in training."""
    x, valid = draw(B, T, D), draw.valid(B, T)
    weights, found = convolution_weights(draw, D, K), []
    for padding in (0, 2):  # frames of padding more, and other ones
        module = ConvolutionModule(D, K)
        load_convolution(module, weights)
        if not padding:
            yield from padded_as_alone(module.eval(), x, valid)
        longer, real_ones = F.pad(x, (0, 0, 0, padding)), F.pad(valid, (0, padding))
        y = module.train()(loud(longer, real_ones) if padding else x, real_ones)[real_ones]
        found.append(torch.cat([y, module.eval()(x).flatten(0, 1)]))
    what = "the change of real frames with other and more padding, in training and after it"
    yield what, found[1] - found[0]


@trial("4.3", public={"D": 4, "K": 7}, hidden={"D": range(6, 60, 2), "K": range(9, 41, 2)})
def convolution_count(draw, D, K, ConvolutionModule):
    """the convolution module has 3 D² + (8 + K) D parameters."""
    yield f"parameters of ConvolutionModule({D}, {K})", count(ConvolutionModule(D, K))


# 4.4


@trial("4.4", public={"B": 2, "T": 7, "D": 4, "E": 5}, hidden={"B": 3, "T": 9, "D": 6, "E": 11})
def feed_forward_values(draw, B, T, D, E, FeedForwardModule, load_feed_forward):
    """the feed-forward module is layer norm, linear, silu, linear."""
    module = FeedForwardModule(D, E)
    load_feed_forward(module, feed_forward_weights(draw, D, E))
    yield from equal_calls(module, draw(B, T, D), draw)


@trial("4.4", public={"D": 4, "E": 5}, hidden={"D": range(6, 60), "E": range(61, 199)})
def feed_forward_count(draw, D, E, FeedForwardModule):
    """the feed-forward module has 2 D E + E + 3 D parameters."""
    yield f"parameters of FeedForwardModule({D}, {E})", count(FeedForwardModule(D, E))


# 4.5

BLOCK = {"B": 3, "T": 9, "H": 2, "D": 4, "E": 5, "K": 7}
BLOCK_HIDDEN = {"B": 6, "T": 11, "H": 3, "D": 6, "E": 11, "K": 9}
COUNTED = {"H": 2, "D": 4, "E": 5, "K": 7}
COUNTED_HIDDEN = {"H": 3, "D": range(12, 60, 3), "E": range(61, 199), "K": 9}


@trial("4.5", public=BLOCK, hidden=BLOCK_HIDDEN)
def block_values(draw, B, T, H, D, E, K, ConformerBlock, load_block):
    """the block equals its parts, put together as in figure 1."""
    block = ConformerBlock(D, H, E, K)
    load_block(block, block_weights(draw, D, E, K))
    yield from equal_calls(block.eval(), draw(B, T, D), draw)


@trial("4.5", public=BLOCK, hidden=BLOCK_HIDDEN)
def block_padding(draw, B, T, H, D, E, K, ConformerBlock, load_block):
    """every part of the block that mixes frames gets valid."""
    block = ConformerBlock(D, H, E, K)
    load_block(block, block_weights(draw, D, E, K))
    x, valid = draw(B, T, D), draw.valid(B, T)
    yield from padded_as_alone(block.eval(), x, valid)
    trained = block.train()(x, valid)[valid]
    what = "the change of real frames with other padding, in training"
    yield what, block(loud(x, valid), valid)[valid] - trained


@trial("4.5", public=COUNTED, hidden=COUNTED_HIDDEN)
def block_count(draw, H, D, E, K, ConformerBlock):
    """the block has 7 D² + 4 D E + 2 E + (22 + K) D parameters."""
    what = f"parameters of ConformerBlock({D}, {H}, {E}, {K})"
    yield what, count(ConformerBlock(D, H, E, K))


# 4.6


@trial("4.6", public={**BLOCK, "N": 3}, hidden={**BLOCK_HIDDEN, "N": 4})
def encoder_values(draw, B, T, H, D, E, K, N, ConformerEncoder, load_encoder):
    """an encoder equals its blocks, one after the other, each with valid."""
    encoder = ConformerEncoder(D, H, E, K, N)
    load_encoder(encoder, [block_weights(draw, D, E, K) for _ in range(N)])
    encoder.eval()
    x, valid = draw(B, T, D).requires_grad_(), valid_frames(B, T)
    yield "encoder(x)", encoder(x)
    y = real(encoder(x, valid), valid)
    yield "encoder(x, valid), real frames", y
    (y * draw(*y.shape)).sum().backward()
    yield "the gradient of x", x.grad
    yield "parameters without a gradient", without_gradient(encoder)


@trial("4.6", public={**COUNTED, "N": 3}, hidden={**COUNTED_HIDDEN, "N": 4})
def encoder_count(draw, H, D, E, K, N, ConformerEncoder):
    """every block has its own parameters."""
    for layers in (N, 1):
        what = f"parameters of ConformerEncoder({D}, {H}, {E}, {K}, {layers})"
        yield what, count(ConformerEncoder(D, H, E, K, layers))


@trial(
    "4.6",
    public={"D": 80, "E": 128, "K": 31, "N": 4},
    hidden={"D": range(42, 90), "E": range(91, 199), "K": range(9, 41, 2), "N": range(3, 9)},
)
def formula_values(draw, D, E, K, N, conformer_parameters):
    """the formula gives the count of any encoder."""
    for layers in (1, N, 0):
        what = f"conformer_parameters({D}, {E}, {K}, {layers})"
        yield what, conformer_parameters(D, E, K, layers)
    yield "is it a whole number?", is_whole(conformer_parameters(D, E, K, N))


def without_gradient(module: nn.Module) -> int:
    """How many trainable parameters the last backward pass did not reach."""
    return sum(p.grad is None for p in module.parameters() if p.requires_grad)


# 4.7

LOGITS, LOGITS_HIDDEN = (
    {"B": 5, "T": 31, "F": 40, "C": 11},
    {"B": 6, "T": 27, "F": 40, "C": 13},
)
WHOLE = {"B": 3, "T": 15, "F": 40, "C": 100}


class Frames(nn.Module):
    """In the place of an encoder: frames of its input's shape, whatever that is."""

    def __init__(self, draw: Draw):
        super().__init__()
        self.draw = draw
        self.frames: Any = None
        self.valid: Any = None

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        self.valid = valid
        if self.frames is None:
            self.frames = self.draw(*x.shape)
        return self.frames


def compare_within(tolerance: float) -> Callable[..., Iterator[tuple[str, Any]]]:
    """A `measure`: whether logits agree within a share of their largest distance from the mean."""

    def measure(results: Mapping[str, Any], **sizes: int) -> Iterator[tuple[str, Any]]:
        for what, value in results.items():
            if isinstance(value, Mapping):
                one, other = value["one"].double(), value["other"].double()
                spread = (one - one.mean(dim=0)).abs().max()
                yield what, bool((one - other).abs().max() <= tolerance * spread)
            else:
                yield what, value

    return measure


@trial("4.7", public=LOGITS, hidden=LOGITS_HIDDEN, measure=compare_within(TOLERANCE))
def head_values(draw, B, T, F, C, SpeakerConformer, replace_encoder):
    """the logits come from the mean of the real frames, a normalization and a linear layer."""
    mel, valid = draw(B, T, F), valid_frames(B, T)
    for normalize in (False, True):
        given = f"normalize={normalize}"
        model, encoder = SpeakerConformer(F, C, normalize), Frames(draw)
        replace_encoder(model, encoder)
        logits = model(mel, valid)
        yield f"{given}: the shape of model(mel, valid)", str(tuple(logits.shape))
        yield f"{given}: is the encoder used?", encoder.frames is not None
        yield f"{given}: valid as the encoder gets it", encoder.valid
        yield f"{given}: are some logits negative?", bool((logits < 0).any())
        yield f"{given}: are some logits positive?", bool((logits > 0).any())
        frames, shown = encoder.frames, valid[:, 1::2, None]  # whole pairs of frames are valid
        mean = (frames * shown).sum(dim=1, keepdim=True) / shown.sum(dim=1, keepdim=True)
        moved = mean + 3 * (mean - frames)
        changed = {
            "if the encoder's frames are 10 times as large": 10 * frames,
            "if the encoder's frames have other padding": frames + LOUD * ~shown,
            "for other frames with the same mean": torch.where(shown, moved, frames),
            "for an utterance twice over": frames.repeat(1, 2, 1),
        }
        for what, encoder.frames in changed.items():
            times = encoder.frames.shape[1] // frames.shape[1]
            again = (torch.cat([x[:, : T // 2 * 2]] * times, dim=1) for x in (mel, valid))
            yield f"{given}: are the logits equal {what}?", {"one": logits, "other": model(*again)}
        spreads = [logits.double().std(dim=axis) for axis in range(logits.ndim)]
        even = any(bool(each.std() < TOLERANCE * each.mean()) for each in spreads)
        yield f"{given}: have all logits of a speaker, or of an utterance, one spread?", even


@trial("4.7", public=LOGITS, hidden=LOGITS_HIDDEN, measure=compare_within(TOLERANCE))
def logits_padding(draw, B, T, F, C, SpeakerConformer):
    """an utterance has the same logits alone and in a padded batch."""
    model = SpeakerConformer(F, C).eval()
    mel, valid = draw(B, T, F), valid_frames(B, T)
    logits = model(mel, valid)
    other = model(loud(mel, valid), valid)
    yield "are the logits equal with other padding?", {"one": logits, "other": other}
    rows = [mel[b : b + 1, : int(valid[b].sum())] for b in range(B)]
    other = torch.cat([model(row) for row in rows])
    yield "are the logits equal for each utterance alone?", {"one": logits, "other": other}
    other = model(draw(B, T, F), valid)
    yield "are the logits equal for other utterances?", {"one": logits, "other": other}


@trial("4.7", public=WHOLE, hidden={**WHOLE, "B": 4, "T": 17})
def budget(draw, B, T, F, C, SpeakerConformer):
    """training changes at most 500,000 numbers of the model, wherever they are."""
    given = draw(B, T, F), valid_frames(B, T)
    yield size_beyond(BUDGET, lambda: SpeakerConformer(F, C), *given)


@trial("4.7", public=WHOLE, hidden={**WHOLE, "B": 4, "T": 17})
def classifier_size(draw, B, T, F, C, SpeakerConformer, ConformerBlock, recipe):
    """every parameter is in use, in your blocks too, and a recipe trains them."""
    model = SpeakerConformer(F, C)
    parts = [part for part in model.modules() if isinstance(part, ConformerBlock)]
    yield "is there a ConformerBlock?", bool(parts)
    model(draw(B, T, F), valid_frames(B, T)).square().sum().backward()
    yield "parameters without a gradient", without_gradient(model)
    found = recipe()
    yield "the names in recipe()", sorted(map(str, found))
    yield "are there 1 to 100,000 steps?", 1 <= found["steps"] <= 100_000
    yield "is the learning rate between 0.00001 and 0.1?", 1e-5 <= found["lr"] <= 0.1

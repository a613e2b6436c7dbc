"""Hidden checks of assignment 2: parity with torch in float32, sizes are distinct primes."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grader.course.probes.attention_readings import (
    attention_readings,
    encoder_layer,
    layer_readings,
    nearest,
    randomized,
    self_attention,
)
from grader.grading.feedback import Failure, expect_close, expect_equal, expect_finite, expect_shape
from kws.models.counts import attention_parameters, encoder_layer_parameters

B, H, T, S, K, E = 2, 3, 7, 11, 5, 13
LOW = 200  # minus this is a score that a model may well have
D = H * K
REAL = 4  # frames of the shortest utterance that are not padding
CLOSE: Any = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture
def draw(secret):
    """Normal numbers of a shape; they depend on the seed of the course."""
    generator = secret.generator("assignment 2")
    return lambda *shape: torch.randn(shape, generator=generator)


def padded(frames: int = T) -> Tensor:
    """valid (B, frames): the first utterance is whole, the others have REAL frames."""
    return torch.arange(frames) < torch.tensor([frames, *[REAL] * (B - 1)])[:, None]


def built(student, name: str, *sizes: int):
    """A module built from the student's class; fails unless it is one."""
    module = getattr(student, name)(*sizes)
    if not hasattr(module, "state_dict"):
        raise Failure(f"{name}{sizes} is not an nn.Module", "does it inherit from nn.Module?")
    return module


def by_hand(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# 2.1 attend


@pytest.mark.check("2.1", points=1, concept="section 2.1")
def test_attend_by_hand(student):
    """attend agrees with pencil and paper."""
    q = by_hand(2, 0, 0, 0).reshape(1, 1, 1, 4)
    k = by_hand(math.log(3), 0, 0, 0, 0, 0, 0, 0).reshape(1, 1, 2, 4)
    v = by_hand(4, 0, 0, 0, 8, 0, 0, 0).reshape(1, 1, 2, 4)
    suspects = {
        "are the scores divided by the root of K?": by_hand(4.4, 0, 0, 0).expand(1, 1, 1, 4)
    }
    expected = by_hand(5, 0, 0, 0).expand(1, 1, 1, 4)
    expect_close("attend(q, k, v)", student.attend(q, k, v), expected, suspects)


@pytest.mark.check("2.1", points=2, concept="section 2.1")
def test_attend_values(student, draw):
    """attend without padding equals the formula, also with more keys than queries."""
    q, k, v = draw(B, H, T, K), draw(B, H, S, K), draw(B, H, S, K)
    scores = q @ k.mT
    suspects = {
        "are the scores divided by the root of K?": scores.softmax(-1) @ v,
        "divide by the root of K, not by K": (scores / K).softmax(-1) @ v,
        "K is the last axis of q: which axis did you take?": (scores / T**0.5).softmax(-1) @ v,
        "the softmax runs over keys, the last axis": (scores / K**0.5).softmax(-2) @ v,
        "the weights are the softmax of the scores, not the scores": scores / K**0.5 @ v,
        "divide by the root of K, do not multiply": (scores * K**0.5).softmax(-1) @ v,
        "the softmax runs over keys, the last axis, not over heads": (scores / K**0.5).softmax(1)
        @ v,
        "keys are for the scores: the average is over the values": (scores / K**0.5).softmax(-1)
        @ k,
    }
    expected = F.scaled_dot_product_attention(q, k, v)
    expect_close("attend(q, k, v)", student.attend(q, k, v), expected, suspects, **CLOSE)


def attend_to_real(student, q, k, v):
    """What `attend` returns for padded utterances without their padding; it must depend on v."""
    answers = [student.attend(q[1:], k[1:, :, :REAL], x[1:, :, :REAL]) for x in (v, v.flip(-1))]
    shape = (B - 1, H, T, K)
    cut, other = [expect_shape("attend(q, k, v)", x, *shape, letters="B, H, T, K") for x in answers]
    if torch.equal(expect_finite("attend(q, k, v)", cut), other):
        raise Failure("attend(q, k, v) is the same for other values v", "what is averaged?")
    return cut


@pytest.mark.check("2.1", points=2, concept="section 2.1")
def test_attend_hides_padding(student, draw):
    """attend with padding equals attend with the padding cut off."""
    q, k, v, valid = draw(B, H, T, K), draw(B, H, S, K), draw(B, H, S, K), padded(S)
    scores, hidden = q @ k.mT / K**0.5, ~valid[:, None, None, :]
    plain = scores.softmax(-1)
    suspects = {
        "valid is True on real frames: is the mask upside down?": scores.masked_fill(
            ~hidden, -math.inf
        ).softmax(-1)
        @ v,
        "is valid used at all?": plain @ v,
        "a score of 0 is not a weight of 0: which score is?": scores.masked_fill(hidden, 0).softmax(
            -1
        )
        @ v,
        "do the weights still sum to 1? hide the scores before the softmax": plain.masked_fill(
            hidden, 0
        )
        @ v,
    }
    cut = attend_to_real(student, q, k, v)
    suspects = {hint: wrong[1:] for hint, wrong in suspects.items()}
    actual = student.attend(q, k, v, valid)
    actual = expect_shape("attend(q, k, v, valid)", actual, B, H, T, K, letters="B, H, T, K")
    expect_close("attend(q, k, v, valid) of a padded utterance", actual[1:], cut, suspects, **CLOSE)
    low = torch.full_like(k, -LOW / K**0.5)
    actual = student.attend(torch.ones_like(q), low, v, valid)
    actual = expect_shape("attend(q, k, v, valid)", actual, B, H, T, K, letters="B, H, T, K")[1:]
    expected = v[1:, :, :REAL].mean(2, keepdim=True).expand_as(actual)
    suspects = {"use -inf: is the mask value below every possible score?": actual}
    what = f"attend(q, k, v, valid), where all scores are -{LOW},"
    expect_close(what, actual, expected, suspects, **CLOSE)


@pytest.mark.check("2.1", points=1, concept="section 2.1")
def test_attend_hides_keys_not_queries(student, draw):
    """attend has an output for padded queries too: only keys are masked."""
    q, k, v, valid = draw(B, H, T, K), draw(B, H, T, K), draw(B, H, T, K), padded()
    question = "columns of the scores are keys, rows are queries: which did you mask?"
    cut = attend_to_real(student, q, k, v)
    actual = student.attend(q, k, v, valid)
    actual = expect_shape("attend(q, k, v, valid)", actual, B, H, T, K, letters="B, H, T, K")
    if actual.isnan().any():
        raise Failure("attend(q, k, v, valid) contains NaN", question)
    what = "attend(q, k, v, valid) at padded queries"
    expect_close(what, actual[1:, :, REAL:], cut[:, :, REAL:], **CLOSE)


# 2.2 heads


@pytest.mark.check("2.2", points=1, concept="section 2.2")
def test_split_by_hand(student):
    """each head gets its own features of every frame."""
    x = torch.arange(12.0).reshape(1, 2, 6)
    expected = torch.tensor([[[[0.0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 11]]]])
    suspects = {"a reshape alone mixes frames: transpose the axes too": x.reshape(1, 2, 2, 3)}
    expect_close("split_heads(x, 2)", student.split_heads(x, 2), expected, suspects)


@pytest.mark.check("2.2", points=2, concept="section 2.2")
def test_split_heads(student, draw):
    """split_heads gives head h the features h * K to (h + 1) * K, for any sizes."""
    x = draw(B, T, D)
    expected = torch.stack([x[..., h * K : (h + 1) * K] for h in range(H)], dim=1)
    suspects = {
        "a reshape alone mixes frames: transpose the axes too": x.reshape(B, H, T, K),
        "the features of a head are contiguous: split D into (H, K), not (K, H)": torch.stack(
            [x[..., h::H] for h in range(H)], dim=1
        ),
    }
    actual = student.split_heads(x, H)
    if isinstance(actual, Tensor) and actual.shape == (B, T, H, K):
        raise Failure(
            f"split_heads(x, {H}) has shape {(B, T, H, K)}, expected (B, H, T, K) = {(B, H, T, K)}",
            "H comes before T, so that a matrix product works head by head: transpose",
        )
    expect_close(f"split_heads(x, {H})", actual, expected, suspects, **CLOSE)


@pytest.mark.check("2.2", points=1, concept="section 2.2")
def test_merge_heads(student, draw):
    """merge_heads concatenates the heads."""
    x = draw(B, H, T, K)
    expected = torch.cat([x[:, h] for h in range(H)], dim=-1)
    suspects = {"transpose H and T back before you join axes": x.reshape(B, T, D)}
    expect_close("merge_heads(x)", student.merge_heads(x), expected, suspects, **CLOSE)


# 2.3 multi-head self-attention


@pytest.mark.check("2.3", points=1, concept="section 2.3")
def test_attention_by_hand(student):
    """two heads of width 1 agree with pencil and paper."""
    attention = built(student, "MultiHeadSelfAttention", 2, 2)
    state = attention.state_dict()
    eye = torch.eye(2)
    attention.load_state_dict(
        {
            name: eye.repeat(len(tensor) // 2, 1) if tensor.ndim == 2 else torch.zeros_like(tensor)
            for name, tensor in state.items()
        }
    )
    a = math.log(3) ** 0.5
    x = torch.tensor([[[a, 0], [0, a]]])
    expected = torch.tensor([[[0.75, 0.5], [0.5, 0.75]]]) * a
    expect_close("attention(x)", attention(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.check("2.3", points=1, concept="section 2.3")
def test_attention_parameters(student):
    """attention has 4 D² + 4 D parameters, for any number of heads."""
    expected = attention_parameters(D)
    suspects = {
        "do all four projections have a bias?": 4 * D * D,
        "do queries, keys and values have a bias?": 4 * D * D + D,
        "is there a fourth projection, after the heads are merged?": 3 * (D * D + D),
    }
    for heads in (1, H):
        actual = parameters(built(student, "MultiHeadSelfAttention", D, heads))
        what = f"the number of parameters with d_model={D}, num_heads={heads}"
        expect_equal(what, actual, expected, suspects)


@pytest.mark.check("2.3", points=3, concept="section 2.3")
def test_attention_values(student, draw):
    """attention equals nn.MultiheadAttention with the same weights."""
    attention, readings = read_attention(student)
    x = draw(B, T, D)
    actual = attention(x)

    def wrong(**knobs) -> Tensor:
        return nearest(actual, readings, lambda one: self_attention(x, one, H, **knobs))

    suspects = {
        "is the fourth projection applied, after the heads are merged?": wrong(out=False),
        "each head divides by the root of its own width K, not of D": wrong(scale=H**-0.5),
        "heads split the features, not the frames": wrong(mix_frames=True),
        "transpose H and T back before you join the heads": wrong(swap_back=False),
    }
    suspects["is x split into heads at all?"] = nearest(
        actual, readings, lambda one: self_attention(x, one, 1)
    )
    suspects["do queries and keys have a projection each?"] = nearest(
        actual, readings, lambda one: self_attention(x, replace(one, key=one.query), H)
    )
    suspects["no residual connection here: it belongs to the layer of section 2.5"] = nearest(
        actual, readings, lambda one: x + self_attention(x, one, H)
    )
    expected = nearest(actual, readings, lambda one: torch_attention(x, one))
    expect_close("attention(x)", actual, expected, suspects, **CLOSE)


@pytest.mark.check("2.3", points=1, concept="section 2.3")
def test_attention_hides_padding(student, draw):
    """attention gives padded frames no weight."""
    attention, _ = read_attention(student)
    x, valid = draw(B, T, D), padded()
    cut, unmasked = attention(x[1:, :REAL]), attention(x)
    cut = expect_shape("attention(x)", cut, B - 1, REAL, D, letters="B, T, D")
    unmasked = expect_shape("attention(x)", unmasked, B, T, D, letters="B, T, D")
    actual = expect_shape("attention(x, valid)", attention(x, valid), B, T, D, letters="B, T, D")
    suspects = {"does attend get valid?": unmasked[1:, :REAL]}
    what = "attention(x, valid), against attention with the padding cut off,"
    expect_close(what, actual[1:, :REAL], cut, suspects, **CLOSE)


def read_attention(student):
    attention = built(student, "MultiHeadSelfAttention", D, H)
    readings = list(attention_readings(randomized(attention, seed=3), D))
    if not readings:
        raise Failure(
            "MultiHeadSelfAttention does not have four D × D matrices (or 3D × D and D × D)",
            "which four nn.Linear does section 2.3 ask for?",
        )
    return attention, readings


def torch_attention(x: Tensor, reading) -> Tensor:
    """The output of torch's attention with the same weights."""
    maps = (reading.query, reading.key, reading.value)
    biases = [torch.zeros(D, dtype=x.dtype) if one.bias is None else one.bias for one in maps]
    frames_first = x.transpose(0, 1)
    y, _ = F.multi_head_attention_forward(
        frames_first,
        frames_first,
        frames_first,
        D,
        H,
        torch.cat([one.weight for one in maps]),
        torch.cat(biases),
        None,
        None,
        False,
        0.0,
        reading.out.weight,
        reading.out.bias,  # pyright: ignore[reportArgumentType]
        need_weights=False,
    )
    return y.transpose(0, 1)


def parameters(module) -> int:
    """Trainable parameters of a remote module; a shared tensor counts once."""
    return sum(
        one.numel
        for one in module.parameters().values()
        if one.requires_grad and one.same_as is None
    )


# 2.4 positions


def positions(num_frames: int, d_model: int, first: int = 0) -> tuple[Tensor, Tensor]:
    """Sines and cosines, (num_frames, d_model / 2) each."""
    hands = torch.arange(0, d_model, 2, dtype=torch.float64) / d_model
    angles = torch.arange(first, first + num_frames)[:, None] / 10_000**hands
    return angles.sin(), angles.cos()


def interleaved(sines: Tensor, cosines: Tensor) -> Tensor:
    return torch.stack([sines, cosines], dim=-1).flatten(1)


@pytest.mark.check("2.4", points=1, concept="section 2.4")
def test_positions_by_hand(student):
    """two positions of width 4 agree with pencil and paper."""
    row = [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]
    expected = torch.tensor([[0, 1, 0, 1], row])
    suspects = {"sines and cosines are interleaved: sin, cos, sin, cos": expected[:, [0, 2, 1, 3]]}
    actual = student.sinusoids(2, 4)
    expect_close("sinusoids(2, 4)", actual, expected, suspects, rtol=1e-5, atol=1e-6)


@pytest.mark.check("2.4", points=2, concept="section 2.4")
def test_positions_values(student):
    """sinusoids equals the formula for another length and width."""
    T, D = 17, 22
    hands = torch.arange(D // 2, dtype=torch.float64)
    half = torch.arange(T)[:, None] / 10_000 ** (hands / D)
    twice = torch.arange(T)[:, None] / 10_000 ** (4 * hands / D)
    sines, cosines = positions(T, D)
    suspects = {
        "sines and cosines are interleaved: sin, cos, sin, cos": torch.cat([sines, cosines], dim=1),
        "sines are the even features, cosines the odd ones": interleaved(cosines, sines),
        "the first position is 0": interleaved(*positions(T, D, first=1)),
        "the exponent is 2i / D: is the 2 there?": interleaved(half.sin(), half.cos()),
        "the exponent is 2i / D: is the 2 there twice?": interleaved(twice.sin(), twice.cos()),
    }
    expected = interleaved(sines, cosines)
    actual = student.sinusoids(T, D)
    actual = actual.double() if isinstance(actual, Tensor) else actual
    expect_close(f"sinusoids({T}, {D})", actual, expected, suspects, rtol=1e-5, atol=1e-5)


@pytest.mark.check("2.4", points=1, concept="section 2.4")
def test_positions_know_distances(student):
    """the dot product of two positions depends on their distance only, at any length."""
    T, D = 1009, 34
    table = expect_shape(f"sinusoids({T}, {D})", student.sinusoids(T, D), T, D, letters="T, D")
    products = table.double() @ table.double().mT
    diagonals = torch.stack([products.diagonal(distance)[: T // 2] for distance in range(T // 2)])
    what = "the dot product of positions p and p + n, compared for all p,"
    expect_close(what, diagonals, diagonals[:, :1].expand_as(diagonals), rtol=1e-3, atol=1e-2)


# 2.5 encoder layer


@pytest.mark.check("2.5", points=1, concept="section 2.5")
def test_layer_by_hand(student):
    """a layer whose sublayers output zero still normalizes."""
    layer = built(student, "EncoderLayer", 2, 1, 3)
    zeros = {
        name: tensor if (tensor == 1).all() else torch.zeros_like(tensor)
        for name, tensor in layer.state_dict().items()
    }
    layer.load_state_dict(zeros)
    x = torch.tensor([[[1.0, 3.0]]])
    suspects = {
        "is this pre-norm? Post-norm normalizes the sum, not the input of the sublayer": x,
        "are the two residual connections there (x + ...)?": torch.zeros(1, 1, 2),
    }
    expected = torch.tensor([[[-1.0, 1.0]]])
    expect_close("layer(x)", layer(x), expected, suspects, rtol=0, atol=1e-4)


@pytest.mark.check("2.5", points=1, concept="section 2.5")
def test_layer_parameters(student):
    """a layer has 4 D² + 9 D + 2 D E + E parameters."""
    suspects = {
        "do both sublayers share one norm? Each needs its own": encoder_layer_parameters(D, E)
        - 2 * D,
        "do both feed-forward layers have a bias?": encoder_layer_parameters(D, E) - D - E,
    }
    actual = parameters(built(student, "EncoderLayer", D, H, E))
    what = f"the number of parameters of EncoderLayer({D}, {H}, {E})"
    expect_equal(what, actual, encoder_layer_parameters(D, E), suspects)


@pytest.mark.check("2.5", points=3, concept="section 2.5")
def test_layer_values(student, draw):
    """a layer equals nn.TransformerEncoderLayer with the same weights."""
    layer, readings = read_layer(student)
    x = draw(B, T, D)
    actual = expect_shape("layer(x)", layer(x), B, T, D, letters="B, T, D")
    quiet = expect_shape("layer(x)", layer.eval()(x), B, T, D, letters="B, T, D")
    if ((actual != quiet) & (actual == actual)).any():  # NaN has a message of its own
        question = "is there dropout? The layer of this section has none"
        raise Failure("layer(x) differs between training and evaluation mode", question)

    def wrong(**knobs) -> Tensor:
        return nearest(actual, readings, lambda one: encoder_layer(x, one, H, **knobs))

    suspects = {
        "is this pre-norm? Post-norm normalizes the sum, not the input of the sublayer": wrong(
            norm_first=True
        ),
        "are the two residual connections there (x + ...)?": wrong(residual=False),
        "is the same norm used twice?": wrong(one_norm=True),
        "is there a ReLU between the two feed-forward layers?": wrong(activation=lambda y: y),
        "the ReLU belongs between the two feed-forward layers, not after them": wrong(
            activation_last=True
        ),
        "attention comes first, then the feed-forward network": wrong(ffn_first=True),
        "the second residual connection starts after the first norm": wrong(
            residual_from_input=True
        ),
        "the paper's activation is ReLU": wrong(activation=F.gelu),
    }
    expected = nearest(actual, readings, lambda one: torch_layer(x, one))
    expect_close("layer(x)", actual, expected, suspects, **CLOSE)


@pytest.mark.check("2.5", points=1, concept="section 2.5")
def test_layer_hides_padding(student, draw):
    """the contents of the padding change no real frame of a layer."""
    layer, _ = read_layer(student)
    x, valid = draw(B, T, D), padded()
    loud = x + 9 * ~valid[..., None] * draw(B, T, D)
    unmasked, quiet, loud = (
        expect_shape("layer(x, valid)", y, B, T, D, letters="B, T, D")[valid]
        for y in (layer(x), layer(x, valid), layer(loud, valid))
    )
    if torch.equal(quiet, unmasked):
        raise Failure("layer(x, valid) is the same as layer(x)", "does the attention get valid?")
    expect_close("layer(x, valid), after a change of the padding,", loud, quiet, **CLOSE)


def read_layer(student):
    layer = built(student, "EncoderLayer", D, H, E)
    readings = list(layer_readings(randomized(layer, seed=5), D, E))
    if not readings:
        raise Failure(
            "EncoderLayer is not made of attention, D -> E, E -> D and two norms of width D",
            "compare the module that print(layer) shows with the list in section 2.5",
        )
    return layer, readings


def torch_layer(x: Tensor, reading) -> Tensor:
    """Section 2.5 with torch's functions."""
    (scale1, shift1), (scale2, shift2) = reading.norms
    x = F.layer_norm(x + torch_attention(x, reading.attention), (D,), scale1, shift1)
    up = F.relu(F.linear(x, reading.expand.weight, reading.expand.bias))
    down = F.linear(up, reading.contract.weight, reading.contract.bias)
    return F.layer_norm(x + down, (D,), scale2, shift2)


# 2.6 encoder


@pytest.mark.check("2.6", points=1, concept="section 2.6")
def test_encoder_counts(student):
    """three layers have three times the parameters of one."""
    one = encoder_layer_parameters(6, 5)
    suspects = {
        "is it one layer, used three times?": one,
        "are the layers in an nn.ModuleList? A plain list hides their parameters": 0,
    }
    actual = parameters(built(student, "Encoder", 6, 2, 5, 3))
    expect_equal("parameters of Encoder(6, 2, 5, num_layers=3)", actual, 3 * one, suspects)


@pytest.mark.check("2.6", points=2, concept="section 2.6")
def test_encoder_chains_its_layers(student, draw):
    """an encoder equals its layers, one after the other."""
    encoder, layers = read_encoder(student, 3)
    x, valid = draw(B, T, D), padded()
    outputs = [x]
    for layer in layers:
        outputs.append(encoder.child(layer)(outputs[-1], valid))
    unmasked = x
    for layer in layers:
        unmasked = encoder.child(layer)(unmasked)
    suspects = {
        "does every layer get valid?": unmasked,
        "is the input of each layer the output of the one before?": encoder.child(layers[-1])(
            x, valid
        ),
        "one layer is missing: how often does the loop run?": outputs[-2],
        "only the first layer has run: is the return inside the loop?": outputs[1],
        "the last layer ends in a norm already": F.layer_norm(outputs[-1], (D,)),
    }
    actual = encoder(x, valid)
    expect_close("encoder(x, valid)", actual, outputs[-1], suspects, **CLOSE)


@pytest.mark.check("2.6", points=1, concept="section 2.6")
def test_encoder_layers_are_independent(student):
    """every layer has its own parameters, for any number of layers."""
    for depth in (1, 2, 5):
        encoder = built(student, "Encoder", D, H, E, depth)
        found = encoder.parameters()
        shared = [name for name, one in found.items() if one.same_as is not None]
        if shared:
            raise Failure(
                f"Encoder(..., num_layers={depth}) shares {len(shared)} parameters between layers",
                "is it one layer, used several times?",
            )
        what = f"the number of parameters with num_layers={depth}"
        expect_equal(what, parameters(encoder), depth * encoder_layer_parameters(D, E))


@pytest.mark.check("2.6", points=1, concept="section 2.6")
def test_every_layer_learns(student, draw):
    """a gradient reaches every parameter of every layer."""
    encoder, _ = read_encoder(student, 3)
    gradients = encoder.gradients(draw(B, T, D), padded())
    without = sorted(
        name
        for name, gradient in gradients.items()
        if not name.startswith("input.") and (gradient is None or not gradient.any())
    )
    if without:
        raise Failure(
            f"{len(without)} of {len(gradients)} parameters get no gradient, such as {without[0]}",
            "is every layer used, and is nothing detached?",
        )


def read_encoder(student, depth: int):
    """A randomized encoder and the paths of its layers, in order."""
    encoder = built(student, "Encoder", D, H, E, depth)
    randomized(encoder, seed=7)
    paths = [node.path for node in encoder.tree() if node.kind == "EncoderLayer"]
    if len(paths) != depth:
        hint = "is it one layer, used again?" if paths else "are the layers in an nn.ModuleList?"
        raise Failure(f"Encoder(..., num_layers={depth}) has {len(paths)} EncoderLayer", hint)
    return encoder, paths


# 2.7 parameters


@pytest.mark.check("2.7", points=1, concept="section 2.7")
def test_count_by_hand(student):
    """the formula gives the count of a published layer."""
    suspects = {
        "are all the biases counted (four, and two of the feed-forward)?": 525_312,
        "are both norms counted, scale and shift?": 526_080,
    }
    actual = student.encoder_parameters(256, 512, 1)
    expect_equal("encoder_parameters(256, 512, 1)", actual, 527_104, suspects)


@pytest.mark.check("2.7", points=1, concept="section 2.7")
def test_count_for_any_width(student):
    """the formula is right for other widths."""
    for d_model, d_ff in ((5, 7), (80, 800), (512, 2048)):
        square, mixed = d_model**2, 2 * d_model * d_ff
        suspects = {
            "is every bias counted? Four in attention": 4 * square + mixed + 5 * d_model + d_ff,
            "is every bias counted? Two in the feed-forward": 4 * square + mixed + 8 * d_model,
            "is there a scale and a shift in each of two norms?": 4 * square
            + mixed
            + 7 * d_model
            + d_ff,
            "are both feed-forward matrices counted?": 4 * square + mixed // 2 + 9 * d_model + d_ff,
        }
        actual = student.encoder_parameters(d_model, d_ff, 1)
        expected = encoder_layer_parameters(d_model, d_ff)
        expect_equal(f"encoder_parameters({d_model}, {d_ff}, 1)", actual, expected, suspects)


@pytest.mark.check("2.7", points=1, concept="section 2.7")
def test_count_for_any_depth(student):
    """the formula counts every layer."""
    for depth in (0, 2, 12):
        one = encoder_layer_parameters(64, 128)
        suspects = {"does the number of layers occur in the formula?": one}
        actual = student.encoder_parameters(64, 128, depth)
        expect_equal(f"encoder_parameters(64, 128, {depth})", actual, depth * one, suspects)

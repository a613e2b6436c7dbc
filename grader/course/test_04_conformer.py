"""Hidden checks of assignment 4: every part against the paper's formula, with padding, and the
accuracy of the trained model on new sentences."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grader.core.outcomes import Reason, Stopped
from grader.course.hidden.speech import SPEAKERS, scores, speaker_utterances
from grader.course.probes.accuracy import expect_accuracy, score
from grader.course.probes.attention_readings import Projection
from grader.course.probes.conformer_by_hand import block_by_hand, last_layer_input
from grader.course.probes.conformer_readings import (
    BlockReading,
    convolution,
    depthwise,
    feed_forward,
    identity,
    loud,
    read_convolution,
    read_feed_forward,
)
from grader.course.probes.model_checks import expect_budget
from grader.course.probes.remote_modules import built, trainable
from grader.grading.feedback import (
    Failure,
    expect_close,
    expect_equal,
    expect_finite,
    expect_logits,
    expect_shape,
)
from grader.grading.trained_weights import load_weights
from kws.models.counts import (
    conformer_layer_parameters,
    convolution_module_parameters,
    feed_forward_parameters,
)

B, T, D, H, E, K = 3, 17, 6, 2, 5, 7
REAL = (T, 11, 4)  # frames that are not padding
F_MELS = 40
CLOSE: Any = {"rtol": 1e-4, "atol": 1e-5}
ALIKE = 0.02  # of the largest logit, by which others may differ that the louder encoder gives
FULL, NONE = 0.97, 0.45  # accuracy for all points, and for none: grader/course/reached.py
BUDGET = 500_000  # scalars


@pytest.fixture
def draw(secret):
    """Normal numbers of a shape; they depend on the seed of the course."""
    generator = secret.generator("assignment 4")
    return lambda *shape: torch.randn(shape, generator=generator)


def padded() -> Tensor:
    """valid (B, T): REAL frames of each utterance."""
    return torch.arange(T) < torch.tensor(REAL)[:, None]


def same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, **CLOSE)


# 4.1 gate


@pytest.mark.check("4.1", points=1, concept="section 4.1")
def test_gate_by_hand(student):
    """the gate agrees with pencil and paper."""
    x = torch.tensor([[6.0, 8.0, 0.0, math.log(3)]])
    expected = torch.tensor([[3.0, 6.0]])
    expect_close("gated_linear_unit(x)", student.gated_linear_unit(x), expected, rtol=1e-5)


@pytest.mark.check("4.1", points=1, concept="section 4.1")
def test_gate_values(student, draw):
    """the gate multiplies the first half by the sigmoid of the second."""
    x = draw(B, T, 2 * D)
    content, gate = x[..., :D], x[..., D:]
    suspects = {
        "the second half is the gate, the first half the content": gate * content.sigmoid(),
        "is there a sigmoid?": content * gate,
        "the gate's factor lies between 0 and 1: is it a sigmoid?": content * gate.tanh(),
        "the halves are contiguous, not interleaved: 0 ... D - 1, then D ... 2D - 1": x[..., ::2]
        * x[..., 1::2].sigmoid(),
        "the sigmoid is for the gate only, not for the content": content.sigmoid() * gate.sigmoid(),
    }
    actual = student.gated_linear_unit(x)
    expect_close("gated_linear_unit(x)", actual, F.glu(x, -1), suspects, **CLOSE)


@pytest.mark.check("4.1", points=1, concept="section 4.1")
def test_gate_of_any_shape(student, draw):
    """the gate splits the last axis, for any number of axes."""
    for shape in ((2, 4, 6, 8), (3, 8), (8,)):
        x = draw(*shape)
        actual = student.gated_linear_unit(x)
        halved = [(*shape[:a], size // 2, *shape[a + 1 :]) for a, size in enumerate(shape[:-1])]
        if isinstance(actual, Tensor) and tuple(actual.shape) in halved:
            raise Failure(
                f"gated_linear_unit halves another axis of x {shape} than the last",
                "the features are the last axis, dim=-1",
            )
        expect_close(f"gated_linear_unit(x) for x {shape}", actual, F.glu(x, -1), **CLOSE)


# 4.2 depthwise convolution


@pytest.mark.check("4.2", points=1, concept="section 4.2")
def test_depthwise_by_hand(student):
    """each channel has its own kernel, and padding counts as zero."""
    module = built(student, "DepthwiseConv", 3, 3)
    kernels = torch.eye(3)[:, None]
    module.load_state_dict(
        {
            name: kernels if tensor.ndim == 3 else torch.zeros_like(tensor)
            for name, tensor in module.state_dict().items()
        }
    )
    x = torch.tensor([1.0, 2, 3, 9])[None, :, None].expand(1, 4, 3)
    actual = module(x, torch.tensor([[True, True, True, False]]))
    expected = torch.tensor([[[0.0, 1, 2], [1, 2, 3], [2, 3, 0]]])
    actual = expect_shape("convolution(x, valid)", actual, 1, 4, 3, letters="B, T, D")
    expect_close("convolution(x, valid), real frames,", actual[:, :3], expected, rtol=1e-5)


@pytest.mark.check("4.2", points=2, concept="section 4.2")
def test_depthwise_values(student, draw):
    """the convolution equals the formula for another kernel size, centered on its frame."""
    module = built(student, "DepthwiseConv", D, K)
    kernel = read_kernel(module)
    x = draw(B, T, D)
    suspects = {
        "the kernel is centered on its frame: is the padding (K - 1) / 2 on both sides?": depthwise(
            x, kernel, shift=K // 2
        ),
        "the kernel is not flipped": depthwise(
            x, Projection(weight=kernel.weight.flip(-1), bias=kernel.bias)
        ),
        "is there a bias?": depthwise(x, Projection(weight=kernel.weight, bias=None)),
        "transpose T and D (.mT): a reshape mixes frames": depthwise(
            x.reshape(B, D, T).mT, kernel
        ).mT.reshape(B, T, D),
    }
    actual = module(x)
    expect_close("convolution(x)", actual, depthwise(x, kernel), suspects, **CLOSE)


@pytest.mark.check("4.2", points=1, concept="section 4.2")
def test_depthwise_hides_padding(student, draw):
    """the contents of the padding change no real frame, not even NaN."""
    module = built(student, "DepthwiseConv", D, K)
    kernel = read_kernel(module)
    x, valid = draw(B, T, D), padded()
    hidden = ~valid[..., None]
    suspects = {
        "is the padding set to zero before the convolution?": depthwise(x, kernel)[valid],
        "valid is True on real frames: is the mask upside down?": depthwise(x, kernel, ~valid)[
            valid
        ],
    }
    shape = {"letters": "B, T, D"}
    actual = expect_shape("convolution(x, valid)", module(x, valid), B, T, D, **shape)[valid]
    expected = depthwise(x, kernel, valid)[valid]
    expect_close("convolution(x, valid), real frames,", actual, expected, suspects, **CLOSE)
    broken = module(x.masked_fill(hidden, math.nan), valid)
    broken = expect_shape("convolution(x, valid)", broken, B, T, D, **shape)[valid]
    hint = "0 times NaN is NaN: put zeros there (masked_fill), do not multiply"
    expect_finite("convolution(x, valid), with NaN in the padding,", broken, hint)


@pytest.mark.check("4.2", points=1, concept="section 4.2")
def test_depthwise_parameters(student):
    """the convolution has (K + 1) D parameters, and refuses an even kernel."""
    suspects = {
        "each channel has its own kernel: how many groups is that?": K * D * D + D,
        "is there a bias?": K * D,
    }
    actual = trainable(built(student, "DepthwiseConv", D, K))
    what = f"the number of parameters of DepthwiseConv({D}, {K})"
    expect_equal(what, actual, (K + 1) * D, suspects)
    try:
        built(student, "DepthwiseConv", D, K + 1)
    except Stopped as stopped:
        if stopped.reason is not Reason.ERROR:
            raise
        if "ValueError" not in stopped.message:
            raise Failure(
                "an even kernel_size is refused, but not with a ValueError",
                "which exception does section 4.2 ask for?",
            ) from None
    else:
        raise Failure(
            f"DepthwiseConv({D}, {K + 1}) accepts an even kernel_size",
            "an even kernel has no center: which exception does section 4.2 ask for?",
        )


def read_kernel(module) -> Projection:
    state = loud(module, seed=2)
    kernels = [one for one in state.values() if one.shape == (D, 1, K)]
    biases = [one for one in state.values() if one.shape == (D,)]
    if len(kernels) != 1 or len(biases) > 1:
        raise Failure(
            "DepthwiseConv is not made of one kernel (D, 1, K) and a bias (D)",
            "each channel has its own kernel: how many groups is that?",
        )
    return Projection(weight=kernels[0], bias=biases[0] if biases else None)


# 4.3 convolution module


@pytest.mark.check("4.3", points=1, concept="section 4.3")
def test_module_by_hand(student):
    """the convolution module agrees with pencil and paper."""
    module = built(student, "ConvolutionModule", 2, 3).eval()
    module.load_state_dict({n: identity(n, t) for n, t in module.state_dict().items()})
    half = torch.tensor([[[-0.5, 0.5]]])
    suspects = {
        "is there a silu after the batch norm?": half,
        "the activation is silu": F.relu(half),
    }
    actual = module(torch.tensor([[[1.0, 3.0]]]))
    expect_close("module(x)", actual, half * half.sigmoid(), suspects, rtol=0, atol=1e-4)


@pytest.mark.check("4.3", points=2, concept="section 4.3")
def test_module_values(student, draw):
    """the convolution module equals figure 2 of the paper."""
    module = built(student, "ConvolutionModule", D, K)
    one = read_convolution(module, D, seed=3)
    module.eval()
    x = draw(B, T, D)
    suspects = {
        "is the input normalized first?": convolution(x, one, norm_first=False),
        "which half is the gate?": convolution(x, one, gate_first=True),
        "is there a batch norm after the depthwise convolution?": convolution(
            x, one, batch_norm=False
        ),
        "is there a silu after the batch norm?": convolution(x, one, activation=lambda y: y),
        "the batch norm comes after the depthwise convolution": convolution(
            x, one, batch_norm_first=True
        ),
        "the silu comes after the batch norm": convolution(x, one, activation_first=True),
        "the residual connection belongs to the block, not to the module": x + convolution(x, one),
        "the activation is silu": convolution(x, one, activation=F.relu),
        "the activation is silu, x times its sigmoid": convolution(x, one, activation=F.gelu),
    }
    expect_close("module(x)", module(x), convolution(x, one), suspects, **CLOSE)


@pytest.mark.check("4.3", points=1, concept="section 4.3")
def test_module_hides_padding(student, draw):
    """the convolution module ignores padding."""
    module = built(student, "ConvolutionModule", D, K)
    one = read_convolution(module, D, seed=3)
    module.eval()
    x, valid = draw(B, T, D), padded()
    actual = expect_shape("module(x, valid)", module(x, valid), B, T, D, letters="B, T, D")[valid]
    suspects = {"does the depthwise convolution get valid?": convolution(x, one)[valid]}
    expected = convolution(x, one, valid)[valid]
    expect_close("module(x, valid), real frames,", actual, expected, suspects, **CLOSE)


@pytest.mark.check("4.3", points=1, concept="section 4.3")
def test_module_hides_padding_while_training(student, draw):
    """in training, the batch norm uses real frames only."""
    x, valid = draw(B, T, D), padded()
    noisy = torch.cat([x + 9 * ~valid[..., None] * draw(B, T, D), draw(B, 5, D)], dim=1)
    answers = []
    for mel, real in ((x, valid), (noisy, F.pad(valid, (0, 5)))):
        module = built(student, "ConvolutionModule", D, K)
        read_convolution(module, D, seed=3)
        what = "module(x, valid), training,"
        answer = expect_shape(what, module.train()(mel, real), *mel.shape, letters="B, T, D")
        after = expect_shape("module(x, valid)", module.eval()(x, valid), B, T, D)
        answers.append((answer[real], after[valid]))
    (quiet, after_quiet), (more, after_more) = answers
    hint = "does the batch norm get valid?"
    for what, one, other in (
        ("module(x, valid), training, with more padding,", more, quiet),
        ("module(x, valid), after a training step with more padding,", after_more, after_quiet),
    ):
        if not same(one, other):
            raise Failure(f"{what} is off by up to {(one - other).abs().max():.3g}", hint)


@pytest.mark.check("4.3", points=1, concept="section 4.3")
def test_module_parameters(student):
    """the convolution module has 3 D² + (8 + K) D parameters."""
    expected = convolution_module_parameters(D, K)
    suspects = {
        "the first pointwise layer has 2D outputs: one half is the gate": expected - D * D - D,
        "is there a norm at the beginning, and one after the depthwise convolution?": expected
        - 2 * D,
        "do both pointwise layers have a bias?": expected - 3 * D,
    }
    actual = trainable(built(student, "ConvolutionModule", D, K))
    what = f"the number of parameters of ConvolutionModule({D}, {K})"
    expect_equal(what, actual, expected, suspects)


# 4.4 feed-forward module


@pytest.mark.check("4.4", points=1, concept="section 4.4")
def test_feed_forward_by_hand(student):
    """the feed-forward module agrees with pencil and paper."""
    module = built(student, "FeedForwardModule", 2, 3)
    module.load_state_dict({n: identity(n, t) for n, t in module.state_dict().items()})
    one = torch.tensor([[[-1.0, 1.0]]])
    actual = module(torch.tensor([[[1.0, 3.0]]]))
    expect_close("module(x)", actual, one * one.sigmoid(), rtol=0, atol=1e-4)


@pytest.mark.check("4.4", points=1, concept="section 4.4")
def test_feed_forward_values(student, draw):
    """the feed-forward module is layer norm, linear, silu, linear."""
    module = built(student, "FeedForwardModule", D, E)
    one = read_feed_forward(module, D, E, seed=5)
    x = draw(B, T, D)
    expected = feed_forward(x, one)
    suspects = {
        "is the input normalized first?": feed_forward(x, one, norm_first=False),
        "silu, not ReLU": feed_forward(x, one, activation=F.relu),
        "the activation is silu, x times its sigmoid": feed_forward(x, one, activation=F.gelu),
        "is there a silu between the two layers?": feed_forward(x, one, activation=lambda y: y),
        "the norm comes first, not last": feed_forward(x, one, norm_last=True),
        "is there a second silu? There is none after the second layer": F.silu(expected),
        "the residual connection belongs to the block, not to the module": x + expected,
        "the factor 1/2 belongs to the block, not to the module": expected / 2,
    }
    expect_close("module(x)", module(x), expected, suspects, **CLOSE)


@pytest.mark.check("4.4", points=1, concept="section 4.4")
def test_feed_forward_parameters(student):
    """the feed-forward module has 2 D E + E + 3 D parameters."""
    expected = feed_forward_parameters(D, E) + 2 * D
    suspects = {
        "is there a norm in front?": expected - 2 * D,
        "do both linear layers have a bias?": expected - D - E,
    }
    actual = trainable(built(student, "FeedForwardModule", D, E))
    what = f"the number of parameters of FeedForwardModule({D}, {E})"
    expect_equal(what, actual, expected, suspects)


# 4.5 block


@pytest.mark.check("4.5", points=1, concept="section 4.5")
def test_block_by_hand(student):
    """two half-step residual connections make a whole one."""
    x, bias = torch.tensor([[[1.0, 1, -1, -1]]]), torch.tensor([2.0, -2, 2, -2])
    suspects = {
        "is the output of each feed-forward module halved?": F.layer_norm(x + 2 * bias, (4,)),
        "is there a feed-forward module at each end?": F.layer_norm(x + bias / 2, (4,)),
        "is there a norm at the end?": x + bias,
    }
    expected = F.layer_norm(x + bias, (4,))
    actual = student.define(block_by_hand, x, bias)
    expect_close("block(x)", actual, expected, suspects, rtol=0, atol=1e-4)


@pytest.mark.check("4.5", points=3, concept="section 4.5")
def test_block_values(student, draw):
    """the block equals its parts, put together as in figure 1."""
    block = built(student, "ConformerBlock", D, H, E, K).eval()
    x = draw(B, T, D)
    one = BlockReading(block, x, seed=7)
    suspects = {
        "is the output of each feed-forward module halved?": one(x, step=1.0),
        "are the residual connections there (x + ...)?": one(x, residual=False),
        "the residual connection starts before the norm of attention": one(
            x, residual_before_norm=False
        ),
        "only the output of the feed-forward modules is halved": one(x, middle=0.5),
        "is there a feed-forward module at each end?": one(x, ffn_last=True),
        "attention comes before the convolution": one(x, conv_first=True),
        "is the input of attention normalized?": one(x, norm_first=False),
        "is there a norm at the end?": one(x, norm_last=False),
    }
    expect_close("block(x)", block(x), one(x), suspects, **CLOSE)


@pytest.mark.check("4.5", points=1, concept="section 4.5")
def test_block_hides_padding(student, draw):
    """every part of the block that mixes frames gets valid."""
    block = built(student, "ConformerBlock", D, H, E, K).eval()
    x, valid = draw(B, T, D), padded()
    one = BlockReading(block, x, seed=7)
    suspects = {
        "does attention get valid?": one(x, valid, unmasked_part="attention")[valid],
        "does the convolution module get valid?": one(x, valid, unmasked_part="convolution")[valid],
        "is valid used at all?": one(x)[valid],
    }
    actual = expect_shape("block(x, valid)", block(x, valid), B, T, D, letters="B, T, D")[valid]
    expected = one(x, valid)[valid]
    expect_close("block(x, valid), real frames,", actual, expected, suspects, **CLOSE)


@pytest.mark.check("4.5", points=1, concept="section 4.5")
def test_block_parameters(student):
    """the block has 7 D² + 4 D E + 2 E + (22 + K) D parameters."""
    expected = conformer_layer_parameters(D, E, K)
    ffn = feed_forward_parameters(D, E) + 2 * D
    suspects = {
        "is one feed-forward module used twice?": expected - ffn,
        "is there a norm before attention, and one at the end?": expected - 2 * D,
    }
    actual = trainable(built(student, "ConformerBlock", D, H, E, K))
    what = f"the number of parameters of ConformerBlock({D}, {H}, {E}, {K})"
    expect_equal(what, actual, expected, suspects)


# 4.6 encoder


@pytest.mark.check("4.6", points=1, concept="section 4.6")
def test_encoder_counts(student):
    """the formula gives the parameters of a published encoder, and of yours."""
    suspects = {
        "is every block counted?": 361_024 // 4,
        "are there two feed-forward modules?": 361_024 - 4 * 20_848,
        "are the norms counted: one in each module, and the last one?": 361_024 - 4 * 160,
        "do the four projections of attention have a bias?": 361_024 - 4 * 320,
    }
    actual = student.conformer_parameters(80, 128, 31, 4)
    expect_equal("conformer_parameters(80, 128, 31, 4)", actual, 361_024, suspects)
    one = conformer_layer_parameters(6, 5, 3)
    actual = trainable(built(student, "ConformerEncoder", 6, 2, 5, 3, 3))
    suspects = {
        "is it one block, used three times?": one,
        "are the blocks in an nn.ModuleList? A plain list hides their parameters": 0,
    }
    expect_equal("parameters of ConformerEncoder(6, 2, 5, 3, 3)", actual, 3 * one, suspects)


@pytest.mark.check("4.6", points=1, concept="section 4.6")
def test_encoder_chains_its_blocks(student, draw):
    """an encoder equals its blocks, one after the other, each with valid."""
    encoder = built(student, "ConformerEncoder", D, H, E, K, 3)
    loud(encoder, seed=11)
    encoder.eval()
    paths = [node.path for node in encoder.tree() if node.kind == "ConformerBlock"]
    if len(paths) != 3:
        hint = "is it one block, used again?" if paths else "are the blocks in an nn.ModuleList?"
        raise Failure(f"ConformerEncoder(..., num_layers=3) has {len(paths)} blocks", hint)
    x, valid = draw(B, T, D), padded()
    outputs, unmasked = [x], x
    for path in paths:
        block = encoder.child(path)
        outputs.append(expect_shape("block(x, valid)", block(outputs[-1], valid), B, T, D))
        unmasked = expect_shape("block(x)", block(unmasked), B, T, D)
    suspects = {
        "does every block get valid?": unmasked[valid],
        "is the input of each block the output of the one before?": expect_shape(
            "block(x, valid)", encoder.child(paths[-1])(x, valid), B, T, D
        )[valid],
        "one block is missing: how often does the loop run?": outputs[-2][valid],
        "only the first block has run: is the return inside the loop?": outputs[1][valid],
    }
    actual = expect_shape("encoder(x, valid)", encoder(x, valid), B, T, D, letters="B, T, D")
    expected = outputs[-1][valid]
    expect_close("encoder(x, valid), real frames,", actual[valid], expected, suspects, **CLOSE)


@pytest.mark.check("4.6", points=1, concept="section 4.6")
def test_encoder_blocks_are_independent(student):
    """every block has its own parameters, for any number of blocks."""
    for depth in (1, 2, 5):
        encoder = built(student, "ConformerEncoder", D, H, E, K, depth)
        shared = [n for n, one in encoder.parameters().items() if one.same_as is not None]
        if shared:
            raise Failure(
                f"{len(shared)} parameters of ConformerEncoder(..., num_layers={depth}) are shared",
                "is it one block, used several times?",
            )
        what = f"the number of parameters with num_layers={depth}"
        expect_equal(what, trainable(encoder), depth * conformer_layer_parameters(D, E, K))


@pytest.mark.check("4.6", points=2, concept="section 4.6")
def test_count_for_any_size(student):
    """the formula is right for other widths, kernels and depths."""
    for d_model, d_ff, kernel_size, layers in ((5, 7, 3, 1), (64, 256, 31, 3), (144, 576, 15, 16)):
        right = conformer_layer_parameters(d_model, d_ff, kernel_size)
        ffn = feed_forward_parameters(d_model, d_ff) + 2 * d_model
        suspects = {
            "does the number of layers occur in the formula?": right,
            "are there two feed-forward modules?": layers * (right - ffn),
            "is there a norm in each module, and one at the end?": layers * (right - 2 * d_model),
            "do the four projections of attention have a bias?": layers * (right - 4 * d_model),
            "does the kernel size occur in the formula?": layers
            * conformer_layer_parameters(d_model, d_ff, 0),
        }
        actual = student.conformer_parameters(d_model, d_ff, kernel_size, layers)
        what = f"conformer_parameters({d_model}, {d_ff}, {kernel_size}, {layers})"
        expect_equal(what, actual, layers * right, suspects)


# 4.7 the classifier


def mel_batch(draw) -> tuple[Tensor, Tensor]:
    return draw(5, 31, F_MELS), torch.arange(31) < torch.tensor([31, 20, 31, 9, 30])[:, None]


@pytest.mark.check("4.7", points=1, concept="section 4.7")
def test_logits(student, draw):
    """one logit for each speaker, from normalized features."""
    logits, read = last_layer_input(student, mel_batch(draw))
    expect_logits("model(mel, valid)", logits)
    spread = torch.stack([read.std(axis, correction=0).mean() for axis in (0, 1)])
    nearest = spread[(spread - 1).abs().argmin()]
    what = "the standard deviation of the last layer's input"
    expect_close(what, nearest, 1.0, rtol=0, atol=0.02)


@pytest.mark.check("4.7", points=2, concept="section 4.7")
def test_normalization_undoes_loudness(student, draw):
    """ten times louder features give the same logits with the normalization, others without."""
    batch = mel_batch(draw)
    quiet, _ = last_layer_input(student, batch)
    louder, _ = last_layer_input(student, batch, scale=10.0)
    off = (quiet - louder).abs().max()
    if off > ALIKE * quiet.abs().max():
        raise Failure(
            f"logits change by up to {off:.3g} when the encoder's output is 10 times as large",
            "is there a normalization right before the last linear layer?",
        )
    quiet, _ = last_layer_input(student, batch, normalize=False)
    louder, _ = last_layer_input(student, batch, normalize=False, scale=10.0)
    if (quiet - louder).abs().max() <= ALIKE * quiet.abs().max():
        raise Failure(
            "with normalize=False the features are still normalized",
            "the ablation needs a model without a norm: is normalize used?",
        )


@pytest.mark.check("4.7", points=2, concept="section 4.7")
def test_logits_ignore_padding(student, draw):
    """an utterance has the same logits alone and in a padded batch."""
    mel, valid = mel_batch(draw)
    model = built(student, "SpeakerConformer", F_MELS, 11)
    loud(model, seed=13)
    model.eval()
    shape = {"letters": "B, C"}
    logits = expect_shape("model(mel, valid)", model(mel, valid), 5, 11, **shape)
    noisy = model(mel + 9 * ~valid[..., None] * draw(*mel.shape), valid)
    hint = "do encoder and mean_pool both get the valid that side_by_side returns?"
    if not same(logits, expect_shape("model(mel, valid)", noisy, 5, 11, **shape)):
        raise Failure("logits change when only the padding does", hint)
    for row in (1, 3):
        frames = int(valid[row].sum())
        alone = model(mel[row : row + 1, :frames])
        what = f"model(mel) of an utterance of {frames} frames alone, against in a batch,"
        expect_close(what, alone, logits[row : row + 1], **CLOSE)


@pytest.mark.check("4.7", points=1, concept="section 4.7")
def test_budget(student, draw, record):
    """the model has at most half a million parameters, and uses each of its blocks once."""
    model = built(student, "SpeakerConformer", F_MELS, SPEAKERS)
    loud(model, seed=13)
    batch = mel_batch(draw)
    used = expect_budget("SpeakerConformer", model.eval(), *batch, most=BUDGET)
    record.fact("numbers in use", used.total)
    declared = {node.path for node in model.tree() if node.kind == "ConformerBlock"}
    called = [call.path for call in model.trace(*batch).layers if call.kind == "ConformerBlock"]
    if not called or sorted(called) != sorted(declared):
        raise Failure(
            f"the model calls ConformerBlocks {len(called)} times and has {len(declared)}",
            "each block of the encoder is used once",
        )


@pytest.mark.check("4.7", points=6, concept="section 4.7", timeout=120)
def test_accuracy(student, weights, secret, record):
    """the trained model recognizes the speakers of new sentences."""
    model = load_weights(built(student, "SpeakerConformer", F_MELS, SPEAKERS), weights)
    mels, labels = speaker_utterances(secret)
    names = [str(speaker) for speaker in range(SPEAKERS)]
    measured = score(record, scores(model.eval(), mels), labels, names)
    expect_accuracy(record, measured, none=NONE, full=FULL)

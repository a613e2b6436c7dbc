"""The contract of assignment 8: durations, length regulator, blocks, Transformer-TTS' parts,
Griffin-Lim, FastSpeech.

Shape letters: B batch   U phonemes   T frames   S steps   F mel bands   D model width   H heads
               E feed-forward width
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from kws.course.a02_attention.contract import count
from kws.course.a04_conformer.contract import exception_of, loud, real
from kws.course.operators import size_beyond
from kws.course.recipes import within_reason
from kws.course.trial import Draw, trial, valid_frames

BANDS = 64
BUDGET = 1_500_000  # numbers of the model that training changes
LONGEST, WIDTH = 1000, 128  # places that have a position, and the width of the model


def linear_weights(
    draw: Callable[..., Tensor], **shapes: tuple[int, ...]
) -> dict[str, dict[str, Tensor]]:
    """Known weights of layers by name: matrices (or kernels) of this shape, and their biases."""
    return {
        name: {
            "weight": draw(*shape) / max(1, torch.Size(shape[1:]).numel()) ** 0.5,
            "bias": draw(shape[0]) / 4,
        }
        for name, shape in shapes.items()
    }


def block_weights(draw: Draw, D: int, E: int, k: int) -> dict[str, dict[str, Tensor]]:
    layers = linear_weights(draw, qkv=(3 * D, D), out=(D, D), expand=(E, D, k), contract=(D, E, 1))
    norms = {
        name: {"weight": 0.5 + draw(D) / 4, "bias": draw(D) / 4}
        for name in ("norm_attention", "norm_convolution")
    }
    return layers | norms


def _distance(one: Tensor, other: Tensor) -> float:
    """How far two results are apart at most; rounding counts as 0."""
    return round(float((one - other).detach().abs().max()), 4)


# 8.1


@trial("8.1", public={"U": 7, "T": 90}, hidden={"U": 11, "T": 130})
def durations_values(draw, U, T, frames_of):
    """durations lie between the frames nearest to the starts, and sum to all frames."""
    for text in ("", " others", " more"):
        starts = 0.01 * T * draw.uniform(U).sort().values.double()
        yield f"frames_of(starts{text}, {T})", frames_of(starts, T)
    close = 0.2 + 0.003 * torch.arange(U).double()
    yield "frames_of(starts 3 ms apart)", frames_of(close, T)
    yield "frames_of(starts from 0 on)", frames_of(torch.tensor([0.0, 0.004, 0.1]).double(), T)
    halves = torch.tensor([0.125, 0.625])  # 12.5 and 62.5 frames, exactly
    yield f"frames_of([0.125, 0.625], {T})", frames_of(halves, T)
    found = frames_of(torch.tensor([0.123]), T)
    yield "frames_of(one start)", found
    yield "its dtype", str(found.dtype)


# 8.2


def _durations(draw: Draw, B: int, U: int, high: int) -> Tensor:
    durations = draw.integers(B, U, high=high)
    durations[0, 0], durations[-1, -2:] = high, 0
    return durations


@trial("8.2", public={"B": 3, "U": 5, "D": 4}, hidden={"B": 4, "U": 7, "D": 3})
def regulate_values(draw, B, U, D, regulate):
    """every vector has its copies, in order, padding is zero, and gradients are sums."""
    for high in (4, 9, 2):
        durations = _durations(draw, B, U, high)
        if high == 9:
            order = durations.sum(dim=1).argsort().tolist()  # the longest last, the shortest before
            durations = durations[[*order[1:-1], order[0], order[-1]]]
        x = draw(B, U, D).requires_grad_()
        y, valid = regulate(x, durations)
        yield f"y for durations up to {high}", y
        yield f"valid for durations up to {high}", valid
        (y * draw(*y.shape)).sum().backward()
        yield "the gradient of x", x.grad
    y, valid = regulate(draw(1, U, D), _durations(draw, 1, U, 4))
    yield "y of one text alone", y
    yield "valid of one text alone", valid


@trial("8.2", public={"B": 2, "U": 9}, hidden={"B": 3, "U": 11})
def paced_values(draw, B, U, paced):
    """durations are scaled, then rounded half up; a pace of 1 changes none."""
    durations = draw.integers(B, U, high=30)
    durations[0, :2] = torch.tensor([0, 1])
    for pace in (1.0, 1.3, 0.5, 2.0, 0.77, 3):
        yield f"paced(durations, {pace})", paced(durations, pace)
    yield "durations after the call", durations


# 8.3


@trial("8.3", public={"B": 3, "U": 7}, hidden={"B": 2, "U": 11})
def durations_predicted(draw, B, U, duration_loss, frames_from):
    """logarithms are of d + 1, and padding does not count and has 0 frames."""
    valid = valid_frames(B, U)
    logs = 2 * draw(B, U)
    yield "frames_from(log_durations, valid)", frames_from(logs, valid)
    yield "frames_from(2 + log_durations, valid)", frames_from(2 + logs, valid)
    exact = torch.tensor([[2.0, 2.4, 2.6, 3.0]]).log()
    yield "frames_from(ln [2, 2.4, 2.6, 3])", frames_from(exact, torch.ones(1, 4).bool())
    durations = draw.integers(B, U, high=20)
    for text, padding in (("", 0.0), (" with other padding", 50.0)):
        predicted = (logs + padding * ~valid).requires_grad_()
        loss = duration_loss(predicted, durations + int(padding) * ~valid, valid)
        yield f"duration_loss{text}", loss
        loss.backward()
        yield f"the gradient of log_durations{text}", predicted.grad


@trial("8.3", public={"D": 12, "H": 3, "E": 7, "k": 5}, hidden={"D": 10, "H": 2, "E": 13, "k": 7})
def block_count(draw, D, H, E, k, FftBlock):
    """the block has 4D² + 9D + kDE + E + ED parameters."""
    yield f"parameters of FftBlock({D}, {H}, {E}, {k})", count(FftBlock(D, H, E, k))
    yield f"parameters of FftBlock({D}, {H}, {E})", count(FftBlock(D, H, E))
    yield "parameters of FftBlock(128, 2, 256)", count(FftBlock(128, 2, 256))


@trial(
    "8.3",
    public={"B": 3, "T": 11, "D": 12, "H": 3, "E": 7, "k": 3},
    hidden={"B": 2, "T": 13, "D": 10, "H": 2, "E": 9, "k": 5},
)
def block_values(draw, B, T, D, H, E, k, FftBlock, load_block):
    """the block equals its parts, one after the other, with dropout in training only."""
    block = FftBlock(D, H, E, k, 0.0)
    weights = block_weights(draw, D, E, k)
    load_block(block, weights)
    everything = torch.ones(B, T).bool()
    x = draw(B, T, D).requires_grad_()
    y = block(x, everything)
    yield "block(x, valid) where all is valid", y
    (y * draw(*y.shape)).sum().backward()
    yield "the gradient of x", x.grad
    yield "parameters without a gradient", sum(p.grad is None for p in block.parameters())
    yield "block(x, valid)", block(x, valid_frames(B, T))
    dropping = FftBlock(D, H, E, k, 0.5)
    dropping.load_state_dict(block.state_dict())
    first, again = dropping(x, everything), dropping(x, everything)
    yield (
        "is it another result each time, with dropout=0.5 in training?",
        bool((first != again).any()),
    )
    yield "with dropout=0.5, in evaluation,", dropping.eval()(x, everything)
    silent = linear_weights(torch.zeros, out=(D, D), contract=(D, E, 1))
    load_block(dropping.train(), weights | silent)
    what = "with dropout=0.5, in training, where attention and convolutions add nothing,"
    yield what, dropping(x, everything)
    usual = FftBlock(D, H, E, k)
    distance = usual(x, everything) - usual(x, everything)
    yield "is there dropout unless it is set?", bool(distance.any())
    dropping = FftBlock(D, H, E, k, 0.5)  # to zeros ones are added, of which half are dropped
    sizes = {"qkv": (3 * D, D), "out": (D, D), "expand": (E, D, k), "contract": (D, E, 1)}
    known = linear_weights(torch.zeros, **sizes, norm_attention=(D,), norm_convolution=(D,))
    for name in ("norm_attention", "norm_convolution"):
        known[name]["weight"] += 1
    for name in ("qkv", "expand"):
        known[name]["bias"] += 1
    known["out"]["weight"] += torch.eye(D)
    load_block(dropping, known)
    frames = dropping(torch.zeros(8, T, D), torch.ones(8, T).bool()).round(decimals=2).flatten(0, 1)
    what = "values in a frame, in training with dropout=0.5, where attention adds ones"
    yield what, max(len(frame.unique()) for frame in frames)
    known["out"]["weight"] *= 0
    known["contract"]["weight"][torch.arange(D), torch.arange(D) % E] += 1
    load_block(dropping, known)
    share = (dropping(torch.zeros(40, T, D), torch.ones(40, T).bool()) < 0).float().mean()
    found = "near half" if 0.4 < share < 0.6 else "fewer" if share < 0.5 else "more"
    yield "and how many are dropped where convolutions add ones", found
    emptied = FftBlock(D, H, E, k, 1.0)
    load_block(emptied, block_weights(draw, D, E, k))
    yield "block(x, valid) in training mode with dropout=1.0", emptied.train()(x, everything)


@trial(
    "8.3",
    public={"B": 3, "T": 11, "D": 12, "H": 3, "E": 7, "k": 5},
    hidden={"B": 2, "T": 13, "D": 10, "H": 2, "E": 9, "k": 3},
)
def block_padding(draw, B, T, D, H, E, k, FftBlock, load_block):
    """padding changes no real frame, and is zero in the result."""
    block = FftBlock(D, H, E, k, 0.0)
    load_block(block, block_weights(draw, D, E, k))
    valid = valid_frames(B, T)
    x = draw(B, T, D) * valid[..., None]
    y = block(x, valid)
    yield "the largest number in the padding", y[~valid].abs().max()
    length = int(valid[-1].sum())
    distance = _distance(y[-1:, :length], block(x[-1:, :length], valid[-1:, :length]))
    yield "how far the shortest text is from itself alone", distance
    twice = block(block(x, valid), valid)
    alone = x[-1:, :length]
    for _ in range(2):
        alone = block(alone, valid[-1:, :length])
    yield "and after two blocks", _distance(twice[-1:, :length], alone)
    distance = _distance(block(loud(x, valid), valid)[:, :1], y[:, :1])
    yield "how far the first frames are with a loud padding", distance


# 8.4 to 8.6


@trial("8.4", public={"B": 2, "T": 7, "D": 6}, hidden={"B": 3, "T": 11, "D": 10})
def positions_values(draw, B, T, D, ScaledPositions):
    """x plus alpha times the sinusoids; alpha is learned; too many places raise a ValueError."""
    positions = ScaledPositions(D, T + 3)
    x = draw(B, T, D).requires_grad_()
    yield "a new ScaledPositions", positions(x)
    yield "its parameters", count(positions)
    parameter = next(iter(positions.parameters()), torch.zeros(()))
    with torch.no_grad():
        parameter.fill_(0.3)
    y = positions(x)
    yield "with alpha = 0.3", y
    (y * draw(*y.shape)).sum().backward()
    grad = parameter.grad
    yield "the gradient of alpha", grad if grad is None else grad.sum()
    yield "tensors in its state", len(positions.state_dict())
    yield "x after the call", x
    yield "of as many places as it has", positions(draw(1, T + 3, D))
    what = f"the error raised by ScaledPositions({D}, {T + 3}) for {T + 4} places"
    yield what, exception_of(positions, draw(1, T + 4, D))


@trial("8.4", public={"B": 3, "S": 5, "F": 4, "D": 6}, hidden={"B": 2, "S": 7, "F": 3, "D": 10})
def prenet_values(draw, B, S, F, D, PreNet, load_linear):
    """two layers with ReLU, a third without; half is dropped, in evaluation too."""
    weights = linear_weights(draw, first=(D, F), second=(D, D), center=(D, D))
    net = PreNet(F, D, 0.0)
    load_linear(net, weights)
    frames = draw(B, S, F)
    y = net(frames)
    yield "prenet(frames) with dropout=0", y
    yield "parameters of the pre-net", count(net)
    y.square().sum().backward()
    yield "parameters without a gradient", sum(p.grad is None for p in net.parameters())
    net = PreNet(5, 400)
    plain = {name: torch.zeros(400, size) for name, size in (("first", 5), ("second", 400))}
    known = {name: {"weight": weight, "bias": torch.ones(400)} for name, weight in plain.items()}
    known["center"] = {"weight": torch.eye(400), "bias": torch.zeros(400)}
    load_linear(net, known)
    for mode in (True, False):
        y = net.train(mode)(draw(2, 9, 5))
        kind = "training" if mode else "evaluation"
        yield (
            f"are near half of the features dropped, in {kind}?",
            bool(0.4 < (y == 0).float().mean() < 0.6),
        )
        yield f"the largest of them, in {kind}", y.max()
    known["second"] = {"weight": torch.eye(400), "bias": torch.zeros(400)}
    load_linear(net, known)
    share = (net(draw(4, 9, 5)) == 0).float().mean()
    gone = net(torch.ones(1, 9, 5))[0] == 0
    yield "does every frame lose other features?", bool((gone[1:] != gone[:1]).any(dim=1).all())
    yield "are near three quarters dropped where both layers drop?", bool(0.68 < share < 0.82)


@trial("8.5", public={"B": 4, "S": 7, "F": 3}, hidden={"B": 3, "S": 11, "F": 2})
def shift_values(draw, B, S, F, shifted):
    """frames come one step later, after a frame of zeros."""
    frames = draw(B, S, F)
    yield "shifted(frames)", shifted(frames)
    yield "frames after the call", frames
    yield "shifted(one frame)", shifted(frames[:, :1])


@trial("8.5", public={"B": 3, "S": 7}, hidden={"B": 2, "S": 11})
def target_values(draw, B, S, stop_targets):
    """1 at the last step of each utterance, and nowhere else."""
    lengths = valid_frames(B, S).sum(dim=1)
    yield f"stop_targets({lengths.tolist()}, {S})", stop_targets(lengths, S)
    drawn = torch.cat([torch.tensor([1, S]), draw.integers(4, low=1, high=S + 1)])
    yield f"stop_targets({drawn.tolist()}, {S + 2})", stop_targets(drawn, S + 2)


@trial("8.5", public={"B": 3, "S": 7}, hidden={"B": 2, "S": 11})
def stop_values(draw, B, S, stop_loss):
    """the last step counts more, padding does not."""
    valid = valid_frames(B, S)
    known = (torch.arange(S) == valid.sum(dim=1)[:, None] - 1).float()
    logits = 3 * draw(*known.shape)
    for padding in (0.0, 40.0):
        predicted = (logits + padding * ~valid).requires_grad_()
        loss = stop_loss(predicted, known, valid)
        yield f"stop_loss (logits in the padding: + {padding:g})", loss
        loss.backward()
        yield "the gradient of its logits", predicted.grad
    yield "stop_loss with weight=2.5", stop_loss(logits, known, valid, weight=2.5)
    yield "stop_loss of sure logits", stop_loss(200 * known - 100, known, valid)
    yield "stop_loss of logits surely wrong", stop_loss(100 - 200 * known, known, valid)


@trial("8.6", public={"B": 3, "S": 9, "U": 7}, hidden={"B": 2, "S": 11, "U": 8})
def guide_values(draw, B, S, U, guide_weights):
    """the guide is by shares of each utterance's own length."""
    valid, texts = valid_frames(B, S), valid_frames(B, U)
    steps, phonemes = valid.sum(dim=1), texts.sum(dim=1)
    guide = guide_weights(steps, phonemes)
    yield "the shape of guide_weights(steps, phonemes)", list(guide.shape)
    yield "guide_weights(steps, phonemes)", guide * valid[..., None] * texts[:, None]
    width = round(draw.uniform(1, low=0.1, high=0.3).item(), 3)  # in digits that a label can show
    label = f"guide_weights of the first alone, width={width}"
    yield label, guide_weights(steps[:1], phonemes[:1], width)


@trial("8.6", public={"B": 3, "S": 9, "U": 7, "H": 2}, hidden={"B": 2, "S": 11, "U": 8, "H": 3})
def guided_values(draw, B, S, U, H, guided_loss):
    """attention times guide, summed over the text, is averaged over heads and valid steps."""
    valid, texts = valid_frames(B, S), valid_frames(B, U)
    weights = draw(B, H, S, U).masked_fill(~texts[:, None, None], -99.0).softmax(dim=-1)
    known = draw.uniform(B, S, U)
    weights.requires_grad_()
    loss = guided_loss(weights, known, valid)
    yield "guided_loss(weights, guide, valid)", loss
    loss.backward()
    yield "the gradient of the weights", weights.grad


# 8.7


@trial("8.7", public={"B": 2, "T": 5}, hidden={"B": 3, "T": 4}, rtol=1e-3)
def power_values(draw, B, T, mel_to_power):
    """power whose bands are nearest to the mels, nowhere below 1e-10."""
    mel = -4 + 3 * draw(B, T, BANDS, dtype=torch.float64)
    yield "mel_to_power(mel), float64", mel_to_power(mel)
    yield "mel_to_power(one frame)", mel_to_power(mel[:1, :1].float())
    low = mel_to_power(-13.5 + draw(1, 2, BANDS, dtype=torch.float64))
    yield "ln of mel_to_power about the floor of the logarithm", low.log()
    yield "ln of the least power", mel_to_power(mel).min().log()
    yield "the dtype of mel_to_power(mel), float64", str(mel_to_power(mel).dtype)


@trial("8.7", public={"B": 2, "T": 9}, hidden={"B": 3, "T": 11})
def griffin_values(draw, B, T, griffin_lim):
    """rounds with momentum and without, at float64."""
    magnitude = draw(B, T, 201, dtype=torch.float64).abs()
    same = bool(torch.equal(griffin_lim(magnitude, 0), griffin_lim(magnitude, 0)))
    yield "is griffin_lim(magnitude, 0) the same in a second call?", same
    for rounds, momentum in ((0, 0.0), (4, 0.0), (1, 0.0), (1, 0.99), (2, 0.99), (5, 0.5)):
        what = f"griffin_lim(magnitude, {rounds}, {momentum})"
        yield what, griffin_lim(magnitude, rounds, momentum)
    yield "griffin_lim(magnitude, 3)", griffin_lim(magnitude, 3)
    yield "magnitude after the call", magnitude
    yield "griffin_lim(no sound at all, 2)", griffin_lim(torch.zeros(1, T, 201), 2)
    yield "griffin_lim(float32 magnitude, 1)", griffin_lim(magnitude.float(), 1)
    waveform = griffin_lim(magnitude, 1)
    beyond_float32 = bool((waveform != waveform.float().double()).any())
    yield "is a float64 magnitude computed at float64?", beyond_float32


# 8.8


def model_weights(draw: Draw, V: int, D: int, E: int, layers: tuple[int, int]) -> dict[str, Any]:
    convolutions = {
        f"convolutions.{i}.{name}": tensor
        for i in range(2)
        for name, tensor in linear_weights(draw, one=(D, D, 3))["one"].items()
    }
    norms = draw.weights(norms__0__weight=(D,), norms__0__bias=(D,))
    norms |= draw.weights(norms__1__weight=(D,), norms__1__bias=(D,))
    last = {"out.weight": draw(1, D) / D**0.5, "out.bias": 1.5 + draw(1) / 4}
    encoder, decoder = ([block_weights(draw, D, E, 3) for _ in range(n)] for n in layers)
    return {
        "symbols": draw(V, D),
        "stresses": draw(3, D),
        "out": linear_weights(draw, out=(BANDS, D))["out"],
        "durations": convolutions | norms | last,
        "encoder": encoder,
        "decoder": decoder,
    }


def _texts(draw: Draw, B: int, U: int, V: int) -> tuple[Tensor, Tensor]:
    """phonemes (B, U, 2), zero in the padding, and valid (B, U)."""
    valid = valid_frames(B, U)
    pairs = torch.stack([draw.integers(B, U, low=1, high=V), draw.integers(B, U, high=3)], dim=-1)
    return pairs * valid[..., None], valid


@trial(
    "8.8",
    public={"B": 3, "U": 7, "V": 11, "D": 12, "H": 3, "E": 7},
    hidden={"B": 2, "U": 8, "V": 13, "D": 10, "H": 5, "E": 9},
)
def model_values(draw, B, U, V, D, H, E, FastSpeech, load_fastspeech):
    """the model equals its parts, one after the other, with given durations and its own."""
    layers = (2, 3)
    model = FastSpeech(V, D, H, E, *layers, 0.0)
    load_fastspeech(model, model_weights(draw, V, D, E, layers))
    phonemes, valid = _texts(draw, B, U, V)
    durations = draw.integers(B, U, high=4) * valid
    mel, frames, logs = model(phonemes, valid, durations)
    again = model(phonemes, valid, durations)
    same = bool(torch.equal(mel, again[0]) and torch.equal(logs, again[2]))
    yield "are they the same in a second call, in training mode with dropout=0?", same
    yield "valid frames with given durations", frames
    yield "the log-mels", real(mel, frames)
    yield "ln(d + 1)", logs[valid]
    (real(mel, frames) / 9).square().sum().backward()
    names = {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is None}
    yield "what the mels do not train", sorted(names)
    for p in model.parameters():
        p.grad = None
    model(phonemes, valid, durations)[2][valid].square().sum().backward()
    trained = {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    parts = {"symbols", "stresses", "encoder", "decoder", "durations", "out"}
    yield "what the durations train", sorted(trained & parts)
    model.eval()
    for pace in (1.0, 1.7, 0.6):  # a duration of 1 stays 1: there is always a frame
        mel, frames, _ = model(phonemes, valid, pace=pace)
        yield f"valid frames at a pace of {pace}", frames
        yield f"the log-mels at a pace of {pace}", real(mel, frames)
    frames = model(phonemes, valid, durations, pace=1.7)[1]
    yield "valid frames with given durations, whatever the pace", frames
    # the positions have a weight each, and so has the last layer of the package's predictor
    scales = [
        p
        for name, p in model.named_parameters()
        if p.numel() == 1 and not name.startswith("durations.")
    ]
    yield "numbers that weigh positions", len(scales)
    with torch.no_grad():
        for scale in scales:
            scale.fill_(-0.4)
    mel, frames, _ = model(phonemes, valid, durations)
    yield "the log-mels with alpha = -0.4", real(mel, frames)


@trial("8.8", public={"B": 3, "U": 9, "V": 11}, hidden={"B": 2, "U": 7, "V": 13})
def model_padding(draw, B, U, V, FastSpeech):
    """an utterance is the same in any batch, and too many places raise a ValueError."""
    torch.manual_seed(0)
    model = FastSpeech(V, 12, 3, 7).eval()
    phonemes, valid = _texts(draw, B, U, V)
    durations = (1 + draw.integers(B, U, high=4)) * valid
    mel, _, logs = model(phonemes, valid, durations)
    length = int(valid[-1].sum())
    alone, its_frames, its_logs = model(
        phonemes[-1:, :length], valid[-1:, :length], durations[-1:, :length]
    )
    yield "valid frames of the shortest text alone", its_frames
    distance = _distance(mel[-1, : alone.shape[1]], alone[0])
    yield "how far its log-mels are from those beside longer texts", distance
    yield "and ln(d + 1)", _distance(logs[-1, :length], its_logs[0])
    many = torch.full((1, 2), LONGEST // 2)
    full = model(phonemes[:1, :2], valid[:1, :2], many)[1]
    yield f"frames where the durations sum to {LONGEST}", int(full.sum())
    call = (phonemes[:1, :2], valid[:1, :2], many + 1)
    yield f"the error raised by {LONGEST + 2} frames", exception_of(model, *call)
    one = torch.ones(1, LONGEST + 1).long()
    call = (torch.stack([one, one], dim=-1), one.bool(), one * (torch.arange(LONGEST + 1) < 9))
    yield f"the error raised by {LONGEST + 1} phonemes", exception_of(model, *call)


@trial("8.8", public={"B": 3, "U": 7, "V": 11}, hidden={"B": 2, "U": 9, "V": 13})
def model_learns(draw, B, U, V, FastSpeech, speech_loss):
    """the loss is that of real frames, in deviations, plus that of durations; all learn."""
    model = _Echo(draw(B, 3 * U, BANDS), draw(B, U))
    phonemes, valid = _texts(draw, B, U, V)
    durations = 3 * valid.long()
    mel = draw(B, 3 * U, BANDS)
    yield "speech_loss of a known model", speech_loss(model, phonemes, valid, durations, mel)
    frames = torch.arange(3 * U) < durations.sum(dim=1)[:, None]
    other = loud(mel, frames)
    yield "with other padding", speech_loss(model, phonemes, valid, durations, other)
    yield "the durations that the model was given", model.given
    model = FastSpeech(V, 12, 3, 7)
    yield "frames of a new model", model(phonemes, valid, durations)[1].sum(dim=1)
    speech_loss(model, phonemes, valid, durations, mel).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None]
    yield "parameters without a gradient", silent


class _Echo(nn.Module):
    def __init__(self, mel: Tensor, logs: Tensor):
        super().__init__()
        self.mel, self.logs = mel, logs
        self.given: Any = None

    def forward(
        self, phonemes: Tensor, valid: Tensor, durations: Tensor | None = None, pace: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        self.given = durations
        sums = 3 * valid.sum(dim=1) if durations is None else durations.sum(dim=1)
        return self.mel, torch.arange(self.mel.shape[1]) < sums[:, None], self.logs


@trial("8.8", public={"B": 3, "U": 7, "V": 67}, hidden={"B": 2, "U": 9, "V": 67})
def budget(draw, B, U, V, FastSpeech):
    """training changes at most 1,500,000 numbers of the model, wherever they are."""
    phonemes, valid = _texts(draw, B, U, V)
    given = phonemes, valid, 2 * valid.long()
    yield size_beyond(BUDGET, lambda: FastSpeech(V), *given)


@trial("8.8", public={"V": 31}, hidden={"V": 67})
def model_size(draw, V, FastSpeech):
    """the model has its layers, and no more parameters than are allowed."""
    yield f"parameters of FastSpeech({V})", count(FastSpeech(V))
    small = FastSpeech(V, 12, 3, 7, 1, 2)
    yield f"parameters of FastSpeech({V}, 12, 3, 7, 1, 2)", count(small)
    yield "the largest number of the padding's vector", small.symbols.weight[0].abs().max()
    yield "its blocks", [len(small.encoder), len(small.decoder)]
    first, again = (_drops(small) for _ in range(2))
    yield "does it drop in training?", first != again


def _drops(model: Any) -> float:
    phonemes = torch.ones(1, 4, 2).long()
    return float(model(phonemes, torch.ones(1, 4).bool(), torch.full((1, 4), 2))[0].sum().detach())


@trial("8.8", public={"most": 100_000}, hidden={"most": 100_000})
def recipe_values(draw, most, recipe):
    """the recipe has the arguments of fit, and a warm-up."""
    yield from within_reason(recipe(), most, 256)

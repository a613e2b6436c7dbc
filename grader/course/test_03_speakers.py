"""Hidden checks of assignment 3: masks, a schedule, a model in its budget, and what it has learned.

Accuracy is measured on utterances that follow from the secret seed. Our own answer reaches 98.5 %
with a standard deviation of 1.0 over six seeds (`python -m grader targets`); FULL is three below.
AGAIN_FULL is found in the same way with `--retrain`.
"""

import math
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grader.core.outcomes import Record
from grader.course.hidden.speech import SPEAKERS, padded, scores, speaker_utterances
from grader.course.probes.accuracy import expect_accuracy, expect_retrained, score
from grader.course.probes.model_checks import expect_budget, expect_gradients, expect_normalized
from grader.course.probes.retraining import expect_recipe, speaker_plan, train_again
from grader.grading.feedback import (
    Failure,
    expect_between,
    expect_close,
    expect_dtype,
    expect_equal,
    expect_logits,
    expect_shape,
    shape_of,
)
from grader.grading.trained_weights import load_weights
from kws.training.schedule import cosine_warmup

B, T, D, C = 3, 11, 5, 7
LENGTHS = (11, 2, 7)
BUDGET, MOST_LAYERS = 500_000, 3
FULL, LEAST = 0.95, 0.50  # accuracy for all points; at this one and below there are none
AGAIN_FULL, AGAIN_NONE, AGAIN_GAP = 0.62, 0.10, 0.50  # after the grader's own training (--retrain)
NAMES = [str(speaker) for speaker in range(SPEAKERS)]
CLOSE: Any = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture
def draw(secret):
    """Normal numbers of a shape; they depend on the seed of the course."""
    generator = secret.generator("assignment 3")
    return lambda *shape: torch.randn(shape, generator=generator)


def valid_of(lengths=LENGTHS) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


# 3.1 collate


def collated(student, mels: list[Tensor], *padding: float) -> tuple[Any, Any]:
    made = student.collate(mels, *padding)
    if not isinstance(made, tuple | list) or len(made) != 2:
        raise Failure("collate(mels) is not a pair", "return mel and valid")
    return made[0], made[1]


@pytest.mark.check("3.1", points=1, concept="section 3.1")
def test_collate_by_hand(student):
    """two utterances of one and two frames make a batch."""
    mel, valid = collated(student, [torch.tensor([[1.0]]), torch.tensor([[2.0], [3.0]])])
    expected = torch.tensor([[[1.0], [-20.0]], [[2.0], [3.0]]])
    suspects = {"pad at the end, not at the beginning": torch.tensor([[[-20.0], [1]], [[2], [3]]])}
    expect_close("mel", mel, expected, suspects)
    expected = torch.tensor([[True, False], [True, True]])
    expect_equal("valid", valid, expected, {"True means real, not padding": ~expected})


@pytest.mark.check("3.1", points=2, concept="section 3.1")
def test_collate_values(student, draw):
    """a batch has every utterance from its first frame on, in order, and padding after it."""
    mels = [draw(length, D) for length in LENGTHS]
    expected, valid = padded(mels)
    shortest = min(LENGTHS)
    first = torch.full_like(expected, -20.0)
    for row, mel in zip(first, mels, strict=True):
        row[-len(mel) :] = mel
    suspects = {
        "padding is -20, the logarithm of silence, not 0": padded(mels, 0.0)[0],
        "pad at the end, not at the beginning": first,
        "are the utterances sorted? Their labels are not": padded(sorted(mels, key=len))[0],
        "are they sorted by length? Their labels are not": padded(sorted(mels, key=len)[::-1])[0],
    }
    mel, mask = collated(student, mels)
    if isinstance(mel, Tensor) and mel.shape[1:2] == (shortest,):
        raise Failure(
            f"mel has {shortest} frames, expected {T}", "T is the longest, not the shortest"
        )
    expect_close("mel", mel, expected, suspects, rtol=1e-6, atol=1e-6)
    other, _ = collated(student, mels, 7.0)
    seven, suspects = padded(mels, 7.0)[0], {"is padding used, or always -20?": expected}
    expect_close("mel of collate(mels, padding=7)", other, seven, suspects, rtol=1e-6, atol=1e-6)
    expect_shape("valid", mask, B, T, letters="B, T")
    expect_dtype("valid", mask, torch.bool)
    expect_equal("valid", mask, valid, {"True means real, not padding": ~valid})


@pytest.mark.check("3.1", points=1, concept="section 3.1")
def test_collate_takes_lengths_not_values(student, draw):
    """a frame is valid by its number, not by its values."""
    mels = [draw(length, D) for length in LENGTHS]
    mels[2][3:5] = -20.0  # silence, as real as any other sound
    mels[0][-1] = 0.0
    _, mask = collated(student, mels)
    suspects = {
        "silence in an utterance is real: compare frame numbers with lengths": ~(
            padded(mels)[0] == -20.0
        ).all(dim=2)
    }
    expect_equal("valid", mask, valid_of(), suspects)


# 3.2 mean_pool


@pytest.mark.check("3.2", points=1, concept="section 3.2")
def test_pool_by_hand(student):
    """the mean of 1 and 3 is 2, for any padding."""
    x, valid = torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]])
    suspects = {
        "divide by the number of valid frames, not of all": torch.tensor([[4 / 3]]),
        "is the padding left out of the sum?": torch.tensor([[103 / 3]]),
    }
    expect_close(
        "mean_pool(x, valid)", student.mean_pool(x, valid), torch.tensor([[2.0]]), suspects
    )


@pytest.mark.check("3.2", points=1, concept="section 3.2")
def test_pool_values(student, draw):
    """mean_pool is the mean of each utterance's own frames."""
    x, valid = draw(B, T, D), valid_of()
    expected = torch.stack([x[i, :length].mean(dim=0) for i, length in enumerate(LENGTHS)])
    kept = x * valid[..., None]
    shares = valid.sum(dim=1, keepdim=True)
    suspects = {
        "divide by the number of valid frames, not of all": kept.mean(dim=1),
        "is the padding left out of the sum?": x.mean(dim=1),
        "the padding is still in the sum": x.sum(dim=1) / shares,
        "is the sum divided by the number of frames?": kept.sum(dim=1),
        "each utterance has its own number of valid frames": kept.sum(dim=1) / valid.sum(),
        "True means real: is the mask upside down?": torch.nan_to_num(
            (x * ~valid[..., None]).sum(dim=1) / (T - shares)
        ),
    }
    actual = student.mean_pool(x, valid)
    if isinstance(actual, Tensor) and actual.shape == (B, T):
        raise Failure(f"mean_pool(x, valid) has shape {(B, T)}", "the mean is over time, axis 1")
    expect_close("mean_pool(x, valid)", actual, expected, suspects, **CLOSE)


@pytest.mark.check("3.2", points=1, concept="section 3.2")
def test_pool_ignores_padding(student, draw):
    """mean_pool is the same for any padding, and any amount of it."""
    x, valid = draw(B, T, D), valid_of()
    loud = x.masked_fill(~valid[..., None], 1e6)
    longer = F.pad(loud, (0, 0, 0, 6), value=-1e6)
    quiet = expect_shape("mean_pool(x, valid)", student.mean_pool(x, valid), B, D, letters="B, D")
    expect_close("mean_pool, after a change of the padding,", student.mean_pool(loud, valid), quiet)
    actual = student.mean_pool(longer, F.pad(valid, (0, 6)))
    hint = {"divide by the number of valid frames, not of all": quiet * T / (T + 6)}
    expect_close("mean_pool, with more padding,", actual, quiet, hint)


# 3.3 cosine_warmup


def factors(student, warmup: int, total: int) -> Tensor:
    found = [student.cosine_warmup(step, warmup, total) for step in range(total)]
    for step, factor in enumerate(found):
        what = f"cosine_warmup({step}, {warmup}, {total})"
        found[step] = expect_between(what, factor, -10, 10)
    return torch.tensor(found, dtype=torch.float64)


def schedule(warmup: int, total: int, progress, fall=None) -> Tensor:
    """A schedule with a mistake in it: in the progress of the decay, or in its shape."""
    fall = fall or (lambda share: 0.5 * (1 + math.cos(math.pi * share)))
    rise = [(step + 1) / warmup for step in range(warmup)]
    falls = [fall(progress(step)) for step in range(warmup, total)]
    return torch.tensor([*rise, *falls], dtype=torch.float64)


@pytest.mark.check("3.3", points=1, concept="section 3.3")
def test_schedule_by_hand(student):
    """six steps, two of them warm-up, agree with pencil and paper."""
    later = (1 + math.cos(math.pi / 4)) / 2
    expected = torch.tensor([0.5, 1, later, 0.5, 1 - later, 0])
    suspects = {"the first step is 1 / W, not 0": torch.tensor([0, 0.5, later, 0.5, 1 - later, 0])}
    actual = factors(student, 2, 6)
    expect_close("the factors of steps 0 to 5", actual, expected, suspects, rtol=0, atol=1e-3)


@pytest.mark.check("3.3", points=2, concept="section 3.3")
def test_schedule_values(student):
    """every step has its factor, for another warm-up and another length."""
    W, S = 5, 23
    right = [cosine_warmup(step, warmup_steps=W, total_steps=S) for step in range(S)]
    expected = torch.tensor(right, dtype=torch.float64)

    def progress(step: int) -> float:
        return (step - (W - 1)) / (S - W)

    suspects = {
        "the first step is 1 / W, not 0": torch.cat([torch.arange(W).double() / W, expected[W:]]),
        "the first step is 1 / W, not 0, and the last is S - 1": torch.cat(
            [torch.zeros(1).double(), expected[:-1]]
        ),
        "the peak is step W - 1: the cosine starts there": schedule(
            W, S, lambda s: (s - W) / (S - W)
        ),
        "the last step, S - 1, has exactly 0": schedule(W, S, lambda s: (s - W + 1) / (S - W + 1)),
        "the cosine starts where the warm-up ends, not at step 0": schedule(W, S, lambda s: s / S),
        "is the decay half a cosine, or a line?": schedule(W, S, progress, lambda p: 1 - p),
        "half a cosine ends at 0: is it halved, and is 1 added?": schedule(
            W, S, progress, lambda p: math.cos(math.pi * p)
        ),
        "is there a decay after the warm-up?": schedule(W, S, progress, lambda p: 1.0),
    }
    what = f"the factors of {S} steps, {W} of them warm-up,"
    expect_close(what, factors(student, W, S), expected, suspects, rtol=0, atol=1e-9)


@pytest.mark.check("3.3", points=1, concept="section 3.3")
def test_schedule_ends(student):
    """the warm-up ends in 1 and the training in 0, also where there is no warm-up."""
    for warmup, total in ((3, 8), (1, 2), (0, 5), (40, 1000)):
        said = f"with {warmup} of {total} steps for the warm-up, the factor of step"
        steps = {0: 1 / max(warmup, 1), max(warmup, 1) - 1: 1.0, total - 1: 0.0}
        for step, expected in steps.items():
            actual = expect_between(
                f"{said} {step}", student.cosine_warmup(step, warmup, total), -10, 10
            )
            expect_close(f"{said} {step}", actual, expected, rtol=0, atol=1e-6)


# 3.4 SpeakerClassifier


def new_model(student, speakers: int = 11):
    model = student.SpeakerClassifier(speakers)
    if not hasattr(model, "state_dict"):
        raise Failure(
            f"SpeakerClassifier({speakers}) is not an nn.Module", "does it inherit from nn.Module?"
        )
    return model


def two_utterances(draw) -> tuple[Tensor, Tensor]:
    return padded([draw(93, 40), draw(251, 40)])


@pytest.mark.check("3.4", points=1, concept="section 3.4")
def test_model_fits_the_budget(student, draw):
    """one logit for each speaker, from fewer than 500,000 parameters."""
    model = new_model(student)
    logits = expect_shape("the logits", model(*two_utterances(draw)), 2, 11, letters="B, C")
    expect_logits("model(mel, valid)", logits)
    own = [one for one in model.parameters().values() if one.same_as is None]
    expect_between("the number of parameters", sum(p.numel for p in own), 1, BUDGET - 1)


@pytest.mark.check("3.4", points=1, concept="section 3.4")
def test_model_ignores_padding(student, draw):
    """an utterance gets the same logits in any batch."""
    model = new_model(student).eval()
    mel, valid = two_utterances(draw)
    question = "does every layer and every mean_pool get the mask?"
    alone = expect_shape("the logits", model(mel[:1, :93], valid[:1, :93]), 1, 11, letters="B, C")
    for n, what, other in (
        (2, "beside a longer one", model(mel, valid)),
        (2, "with other padding", model(mel.masked_fill(~valid[..., None], 3.0), valid)),
        (1, "with one frame of padding", model(mel[:1, :94], valid[:1, :94])),
    ):
        other = expect_shape("the logits", other, n, 11, letters="B, C")
        off = (other[:1] - alone).abs().max().item()
        if not off < 1e-4:
            raise Failure(f"the logits of an utterance change by {off:.3g} {what}", question)


@pytest.mark.check("3.4", points=1, concept="section 3.4")
def test_model_uses_few_tensors(student, draw):
    """all tensors that the model uses, declared or not, have fewer than 500,000 elements."""
    expect_budget("the model", new_model(student), *two_utterances(draw), most=BUDGET - 1)


def attentions(student, draw):
    """The model, and the calls of its layers that attend, in order."""
    model = new_model(student).train()
    calls = model.trace(*two_utterances(draw)).layers
    return model, [call for call in calls if re.search("attention", call.kind, re.IGNORECASE)]


@pytest.mark.check("3.4", points=1, concept="section 3.4")
def test_model_has_few_layers(student, draw):
    """the model attends at least once, and in fewer than four layers."""
    _, calls = attentions(student, draw)
    hint = "each EncoderLayer attends once: where is it called?" if not calls else ""
    expect_between("the number of layers that attend", len(calls), 1, MOST_LAYERS, hint=hint)


@pytest.mark.check("3.4", points=1, concept="section 3.4")
def test_model_layers_are_separate(student, draw):
    """every layer has its own weights: a layer used three times is one."""
    model, calls = attentions(student, draw)
    question = "is it one layer, used again and again?"
    paths = [call.path for call in calls]
    if not paths:
        raise Failure("no layer attends", "where are the encoder layers called?")
    if len(set(paths)) < len(paths):
        raise Failure(f"{len(paths)} calls of attention, by {len(set(paths))} layers", question)
    shared = [name for name, one in model.parameters().items() if one.same_as is not None]
    if shared:
        raise Failure(f"{len(shared)} parameters have two names, such as {shared[0]}", question)


@pytest.mark.check("3.4", points=1, concept="section 3.4")
def test_model_normalizes_before_classifying(student, draw):
    """there is a normalization between pooling and the last linear layer."""
    expect_normalized("the model", student, new_model(student), *two_utterances(draw))


@pytest.mark.check("3.4", points=1, concept="section 3.4")
def test_model_learns_everywhere(student, draw):
    """a gradient reaches every parameter."""
    expect_gradients("the model", new_model(student), *two_utterances(draw))


# 3.5 train_step


def run_steps(names, weight, batches, lr):
    """Train a linear model: its weight, the losses, and whether it was in training mode."""

    class Probe(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(weight.clone())
            self.modes = []

        def forward(self, mel, valid):
            self.modes.append(self.training)
            return (mel * valid[..., None]).sum(dim=1) @ self.weight

    probe = Probe().eval()
    optimizer = torch.optim.SGD(probe.parameters(), lr=lr)
    losses = [names["train_step"](probe, optimizer, *batch) for batch in batches]
    losses = [one.detach() if isinstance(one, torch.Tensor) else one for one in losses]
    return probe.weight.detach(), losses, probe.modes


RATE = 0.1


def descend(weight: Tensor, batches, *, add_up=False, softmax=False, total=False) -> Tensor:
    """Gradient descent on the same batches; the options are mistakes."""
    kept = torch.zeros_like(weight)
    for mel, valid, labels in batches:
        weight = weight.detach().requires_grad_()
        logits = (mel * valid[..., None]).sum(dim=1) @ weight
        logits = logits.softmax(dim=1) if softmax else logits
        loss = F.cross_entropy(logits, labels, reduction="sum" if total else "mean")
        (gradient,) = torch.autograd.grad(loss, weight)
        kept = kept + gradient if add_up else gradient
        weight = weight.detach() - RATE * kept
    return weight


def step_batches(draw) -> tuple[Tensor, list]:
    labels = (torch.tensor([0, 3, 6]), torch.tensor([2, 2, 5]), torch.tensor([1, 4, 0]))
    return draw(D, C), [(draw(B, T, D), valid_of(), one) for one in labels]


@pytest.mark.check("3.5", points=1, concept="section 3.5")
def test_step_by_hand(student):
    """one step on two weights agrees with pencil and paper."""
    batch = (torch.ones(3, 1, 1), torch.ones(3, 1).bool(), torch.tensor([0, 0, 0]))
    weight, losses, _ = student.define(run_steps, torch.zeros(1, 2), [batch], 1.0)
    expected = torch.tensor([[0.5, -0.5]])
    suspects = {"is there an optimizer.step()?": torch.zeros(1, 2)}
    expect_close("the weights", weight, expected, suspects, rtol=1e-5, atol=1e-6)
    expect_close("the loss", losses[0], math.log(2), rtol=1e-5, atol=1e-6)


@pytest.mark.check("3.5", points=2, concept="section 3.5")
def test_step_values(student, draw):
    """three steps equal gradient descent on the cross-entropy."""
    weight, batches = step_batches(draw)
    actual, _, _ = student.define(run_steps, weight, batches, RATE)
    suspects = {
        "gradients accumulate in .grad: are they cleared?": descend(weight, batches, add_up=True),
        "cross_entropy takes logits: is there a softmax before it?": descend(
            weight, batches, softmax=True
        ),
        "the loss is the mean over the batch, not the sum": descend(weight, batches, total=True),
        "the weights are unchanged: is there a backward, and then a step?": weight,
    }
    expect_close(
        "the weights after three steps", actual, descend(weight, batches), suspects, **CLOSE
    )


@pytest.mark.check("3.5", points=1, concept="section 3.5")
def test_step_trains_and_tells(student, draw):
    """a step is made in training mode, and returns its loss as a float."""
    weight, batches = step_batches(draw)
    _, losses, modes = student.define(run_steps, weight, batches[:1], RATE)
    if not modes or not all(modes):
        raise Failure("train_step leaves the model in evaluation mode", "where is model.train()?")
    if isinstance(losses[0], Tensor):
        raise Failure("the loss is a tensor, expected a float", "loss.item() is a number")
    mel, valid, labels = batches[0]
    loss = F.cross_entropy((mel * valid[..., None]).sum(dim=1) @ weight, labels).item()
    expect_close("the loss", losses[0], loss)


# 3.6 predict


def run_predict(names, lengths, batch_size):
    """Predictions of a model that returns the number of valid frames, and how it was called."""

    class Probe(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = []

        def forward(self, mel, valid):
            self.seen.append((self.training, torch.is_grad_enabled(), len(mel)))
            return torch.nn.functional.one_hot(valid.sum(dim=1) % 1009, 1009).float()

    probe = Probe().train()
    options = () if batch_size is None else (batch_size,)
    found = names["predict"](probe, [torch.zeros(n, 2) for n in lengths], *options)
    return found, probe.seen


MANY = tuple(91 + 37 * i % 500 for i in range(70))


@pytest.mark.check("3.6", points=1, concept="section 3.6")
def test_predict_by_hand(student):
    """whole utterances are predicted, in order, in evaluation mode."""
    found, _ = student.define(run_predict, (5, 2, 9, 4, 7), 2)
    expect_equal("predict(counter, five utterances)", found, torch.tensor([5, 2, 9, 4, 7]))


@pytest.mark.check("3.6", points=2, concept="section 3.6")
def test_predict_whole_utterances(student):
    """every utterance is predicted whole, and in order, for any size of batches."""
    expected = torch.tensor(MANY)
    for size in (None, 1, 3, 100):
        found, _ = student.define(run_predict, MANY, size)
        suspects = {
            "whole utterances, not crops: which frames does the model see?": expected.clamp(
                max=128
            ),
            "are they sorted by length? They must be in the given order": expected.sort()[0],
        }
        what = f"predict(model, {len(MANY)} utterances{'' if size is None else f', {size}'})"
        if isinstance(found, Tensor) and found.shape != expected.shape:
            hint = "is the last, smaller batch left out?" if found.numel() < len(MANY) else ""
            raise Failure(f"{what} has shape {shape_of(found)}, expected ({len(MANY)},)", hint)
        expect_equal(what, found, expected, suspects)


@pytest.mark.check("3.6", points=1, concept="section 3.6")
def test_predict_evaluates(student):
    """predictions are made in evaluation mode, without gradients, in batches of the given size."""
    _, seen = student.define(run_predict, MANY[:10], 4)
    if any(training for training, _, _ in seen):
        raise Failure("predict leaves the model in training mode", "where is model.eval()?")
    if any(graded for _, graded, _ in seen):
        raise Failure("predict records gradients", "torch.no_grad() saves half of the memory")
    expect_equal("the sizes of the batches", [size for _, _, size in seen], [4, 4, 2])


# 3.7 Best


def run_best(names, steps):
    """The weights and buffers after each of two calls of Best.restore."""

    class Probe(nn.Module):
        mean: torch.Tensor

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3))
            self.register_buffer("mean", torch.zeros(2))

    probe, best, found = Probe(), names["Best"](), []
    for accuracy, value in steps:
        with torch.no_grad():
            probe.weight.fill_(value)
            probe.mean.fill_(10 * value)
        best.update(accuracy, probe)
    for _ in range(2):
        best.restore(probe)
        found += [probe.weight.detach().clone(), probe.mean.clone()]
        with torch.no_grad():  # training goes on
            probe.weight.add_(100)
            probe.mean.add_(100)
    return found


def expect_best(student, steps: list[tuple[float, float]], best: float) -> list[Tensor]:
    """The second restored state; fails unless the first one is that of the best step."""
    weight, mean, *again = student.define(run_best, steps)
    (_, first), (_, last) = steps[0], steps[-1]
    what, three = "the weights after restore", torch.ones(3)
    suspects = {"only an accuracy higher than the best so far counts": first * three}
    if isinstance(again[0], Tensor) and torch.equal(again[0], weight):
        hint = "only a higher accuracy counts: is it compared with self.accuracy, and remembered?"
        suspects[hint] = last * three
    suspects["are the tensors cloned? state_dict() is not a copy"] = last * three
    expect_close(what, weight, best * three, suspects)
    buffers = {"buffers are part of the state, too": 10 * last * torch.ones(2)}
    expect_close("the buffers after restore", mean, 10 * best * torch.ones(2), buffers)
    return again


@pytest.mark.check("3.7", points=1, concept="section 3.7")
def test_best_by_hand(student):
    """restore loads the weights of the best of three steps."""
    expect_best(student, [(0.3, 1.0), (0.9, 2.0), (0.5, 3.0)], 2.0)


@pytest.mark.check("3.7", points=1, concept="section 3.7")
def test_best_of_many(student):
    """the best of many steps is restored, wherever it was, and an accuracy of 0 counts."""
    expect_best(student, [(0.0, 4.0), (0.0, 5.0)], 4.0)
    expect_best(student, [(0.1, 1.0), (0.5, 2.0), (0.4, 3.0), (0.45, 4.0)], 2.0)
    expect_best(student, [(0.1, 1.0), (0.2, 2.0), (0.3, 3.0)], 3.0)


@pytest.mark.check("3.7", points=1, concept="section 3.7")
def test_best_stays(student):
    """training may go on from restored weights: the kept ones do not change."""
    weight, mean = expect_best(student, [(0.3, 1.0), (0.9, 2.0), (0.5, 3.0)], 2.0)
    hint = "are the kept tensors the model's own now? load_state_dict copies"
    expect_close(
        "the weights restored again", weight, 2 * torch.ones(3), {hint: 102 * torch.ones(3)}
    )
    expect_close(
        "the buffers restored again", mean, 20 * torch.ones(2), {hint: 120 * torch.ones(2)}
    )


# 3.8 what it has learned


@pytest.fixture
def trained(student, weights):
    """The student's model with the weights that were handed in, in evaluation mode."""
    return load_weights(new_model(student, SPEAKERS), weights).eval()


@pytest.mark.check("3.8", points=1, concept="section 3.8")
def test_recipe(student):
    """the recipe has all arguments, and its warm-up ends before the training does."""
    expect_recipe(student.recipe(), "crop_frames")


@pytest.mark.check("3.8", points=7, concept="section 3.8", timeout=120)
def test_accuracy(trained, secret, record):
    """the model recognizes its voices in new sentences."""
    mels, labels = speaker_utterances(secret)
    measured = score(record, scores(trained, mels), labels, NAMES, "accuracy on hidden utterances")
    expect_accuracy(record, measured, none=LEAST, full=FULL)


@pytest.mark.check("3.8", points=1, concept="section 3.8", timeout=60)
def test_trained_model_ignores_padding(trained, secret):
    """the trained model has the same logits for an utterance alone and in a batch."""
    mels, _ = speaker_utterances(secret)
    some = mels[:8]
    off = (scores(trained, some) - scores(trained, some, batch=1)).abs().max()
    question = "does every layer and every mean_pool get the mask?"
    expect_between("the change of the logits", off, 0, 1e-3, hint=question)


@pytest.mark.check(
    "3.8",
    points=2,
    after=("3.8-recipe", "3.8-accuracy"),
    concept="section 3.8",
    timeout=300,
    retrain=True,
)
def test_retrained(student, trained, secret, record):
    """the same model learns the voices from scratch, trained by the grader."""
    mels, labels = speaker_utterances(secret)
    handed_in = score(Record(), scores(trained, mels), labels, NAMES)
    recipe = expect_recipe(student.recipe(), "crop_frames")
    again = train_again(lambda: new_model(student, SPEAKERS), speaker_plan, recipe, secret, record)
    measured = score(Record(), scores(again, mels), labels, NAMES)
    expect_retrained(record, measured, handed_in, AGAIN_GAP)
    expect_accuracy(record, measured, none=AGAIN_NONE, full=AGAIN_FULL)

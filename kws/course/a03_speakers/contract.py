"""The contract of assignment 3: batches, pooling, a schedule, a model, training, evaluation.

Shape letters: B utterances   T frames   F mel bands   D features   C speakers   W, S steps
"""

from typing import Any

import torch
from torch import Tensor, nn

from kws.course.operators import size_beyond, watch
from kws.course.trial import is_whole, trial, valid_frames

BUDGET, MOST_LAYERS = 499_999, 3  # numbers that training changes, self-attentions
SAME = 1e-4  # logits of float32 sums in another order differ by some 1e-6
PADDING = -20.0


# 3.1

COLLATED = {"lengths": (3, 5, 2), "F": 2}
COLLATED_HIDDEN = {"lengths": (4, 11, 2, 7), "F": 5}


@trial("3.1", public=COLLATED, hidden=COLLATED_HIDDEN)
def collate_values(draw, lengths, F, collate):
    """a batch has every utterance from its first frame on, in order, and padding after it."""
    mels = [draw(length, F) for length in lengths]
    mel, _ = collate(mels)
    yield "mel of collate(mels)", mel
    mel, _ = collate(mels, 7.0)
    yield "mel of collate(mels, 7.0)", mel
    mel, _ = collate(mels[-1:])
    yield "mel of a single utterance", mel


@trial("3.1", public=COLLATED, hidden=COLLATED_HIDDEN)
def collate_mask(draw, lengths, F, collate):
    """a frame is valid by its number, not by its values."""
    longer = draw.integers(len(lengths), high=9).tolist()
    mels = [draw(length + more, F) for length, more in zip(lengths, longer, strict=True)]
    _, valid = collate(mels)
    yield "valid of collate(mels)", valid
    mels[0][1:] = PADDING  # silence, as real as any other sound
    mels[1][-1] = 0.0
    _, valid = collate(mels)
    yield "valid of utterances with silence in them", valid
    _, valid = collate(mels[-1:])
    yield "valid of a single utterance", valid


# 3.2


@trial("3.2", public={"B": 3, "T": 7, "D": 4}, hidden={"B": 4, "T": 9, "D": 5})
def pool_values(draw, B, T, D, mean_pool):
    """mean_pool is the mean of each utterance's own frames, and gradients flow through it."""
    valid = valid_frames(B, T)
    yield f"mean_pool(x, valid) for x ({B}, {T}, {B})", mean_pool(draw(B, T, B), valid)
    x = draw(B, T, D).requires_grad_()
    y = mean_pool(x, valid)
    yield "mean_pool(x, valid)", y
    (y * draw(*y.shape)).sum().backward()
    yield "the gradient of x", x.grad
    yield "mean_pool(x, valid) without padding", mean_pool(x, torch.ones_like(valid))


@trial("3.2", public={"B": 3, "T": 7, "D": 4}, hidden={"B": 4, "T": 9, "D": 5})
def pool_padding(draw, B, T, D, mean_pool):
    """mean_pool is the same for any padding, and any amount of it."""
    valid = valid_frames(B, T)
    x = draw(B, T, D).masked_fill(~valid[..., None], 1e6)
    yield "mean_pool(x, valid) with loud padding", mean_pool(x, valid)
    x = torch.cat([x, torch.full((B, 6, D), -1e6)], dim=1)
    valid = torch.cat([valid, torch.zeros(B, 6, dtype=torch.bool)], dim=1)
    yield "mean_pool(x, valid) with six more frames of padding", mean_pool(x, valid)
    yield "x after the call (modified in place?)", x


# 3.3


def _factors(cosine_warmup, W: int, S: int) -> list[Any]:
    return [cosine_warmup(step, W, S) for step in range(S)]


@trial("3.3", public={"W": 2, "S": 6}, hidden={"W": range(3, 9), "S": range(23, 90)})
def schedule_values(draw, W, S, cosine_warmup):
    """every step has its factor, for any warm-up and any length."""
    for warmup, total in ((W, S), (2 * W + 1, 2 * S)):
        what = f"the list of factors of {total} steps, {warmup} of them warm-up,"
        yield what, _factors(cosine_warmup, warmup, total)


@trial("3.3", public={"S": 4}, hidden={"S": range(9, 200)})
def schedule_ends(draw, S, cosine_warmup):
    """without a warm-up, step 0 is the peak; the factor of the last step is always 0."""
    found = [_factors(cosine_warmup, warmup, S) for warmup in (0, 1, S - 1)]
    yield f"the factors of {S} steps, in rows with 0, 1 and {S - 1} of them warm-up,", found


# 3.4


def _utterances(draw, lengths) -> tuple[Tensor, Tensor]:
    mels = nn.utils.rnn.pad_sequence([draw(n, 40) for n in lengths], True, PADDING)
    return mels, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def _same_values(a: Any, b: Any) -> bool:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape:
        return False
    return bool((a - b).abs().max() < SAME)


DISTINGUISHED = "do two utterances have other logits?"
SAME_TWICE = "are the logits the same in a second call, in evaluation mode?"


def _differ(logits: Any) -> bool:
    return isinstance(logits, Tensor) and not _same_values(logits[:1], logits[1:2])


def _judge_logits(results, C, lengths):
    logits, other = results["logits"], results["other"]
    known = isinstance(logits, Tensor)
    yield "the shape of the logits", list(logits.shape) if known else type(logits).__name__
    yield "does a logit ever fall below 0?", known and bool((logits < 0).any())
    yield "are all logits finite?", known and bool(torch.isfinite(logits).all())
    yield SAME_TWICE, _same_values(logits, results["again"])
    yield DISTINGUISHED, _differ(logits)
    question = "are the logits the same through another microphone, a constant added to each band?"
    yield question, _same_values(logits, other)


@trial(
    "3.4",
    public={"C": 11, "lengths": (93, 251)},
    hidden={"C": 13, "lengths": (130, 301, 77)},
    measure=_judge_logits,
)
def model_logits(draw, C, lengths, SpeakerClassifier):
    """there is one logit for each speaker, whatever the microphone."""
    model = SpeakerClassifier(C).eval()
    mel, valid = _utterances(draw, lengths)
    yield "logits", model(mel, valid)
    yield "again", model(mel, valid)
    yield "other", model(mel + draw(40), valid)


def _judge_padding(results, lengths):
    yield DISTINGUISHED, _differ(results["both"])
    yield SAME_TWICE, _same_values(results["again"], results["alone"])
    for what in ("beside a longer one", "with other padding", "with one frame of padding"):
        yield (
            f"has an utterance the same logits {what}?",
            _same_values(results[what], results["alone"]),
        )


@trial("3.4", public={"lengths": (93, 251)}, hidden={"lengths": (130, 301)}, measure=_judge_padding)
def model_padding(draw, lengths, SpeakerClassifier):
    """an utterance has the same logits in any batch."""
    model = SpeakerClassifier(11).eval()
    mel, valid = _utterances(draw, lengths)
    own = lengths[0]
    for what in ("alone", "again"):
        yield what, model(mel[:1, :own], valid[:1, :own])
    yield "both", model(mel, valid)
    yield "beside a longer one", model(mel, valid)[:1]
    yield "with other padding", model(mel.masked_fill(~valid[..., None], 3.0), valid)[:1]
    yield "with one frame of padding", model(mel[:1, : own + 1], valid[:1, : own + 1])


@trial(
    "3.4",
    public={"C": 100, "lengths": (93, 251, 130)},
    hidden={"C": 100, "lengths": (130, 301, 99)},
)
def model_budget(draw, C, lengths, SpeakerClassifier):
    """training changes fewer than 500,000 numbers, wherever they are, in one to three layers."""
    given = _utterances(draw, lengths)
    yield size_beyond(BUDGET, lambda: SpeakerClassifier(C), *given)
    operators = watch(SpeakerClassifier(C).eval(), *given)
    found = operators.attentions
    yield "the number of self-attentions", "1 to 3" if 1 <= found <= MOST_LAYERS else f"{found}"
    yield "self-attentions with the weights of an earlier one", operators.repeated
    yield DISTINGUISHED, _differ(operators.output)


@trial("3.4", public={"lengths": (93, 251, 130)}, hidden={"lengths": (130, 301, 99)})
def model_norm(draw, lengths, SpeakerClassifier):
    """there is a norm between the pooling and the last linear layer."""
    operators = watch(SpeakerClassifier(11).eval(), *_utterances(draw, lengths))
    yield "is the pooled vector normalized before it is classified?", operators.normalizes_pooled
    yield DISTINGUISHED, _differ(operators.output)


@trial("3.4", public={"lengths": (93, 251)}, hidden={"lengths": (130, 301)})
def model_gradients(draw, lengths, SpeakerClassifier):
    """a gradient reaches every parameter."""
    model = SpeakerClassifier(11).train()
    logits = model(*_utterances(draw, lengths))
    (logits * draw(*logits.shape)).sum().backward()
    # a bias may be 0: that of the keys shifts all scores of a query alike
    silent = [p for p in model.parameters() if p.grad is None or (p.ndim > 1 and not p.grad.any())]
    yield "biases and norms without a gradient", sum(p.ndim < 2 for p in silent)
    yield "matrices without a gradient", sum(p.ndim > 1 for p in silent)


# 3.5


class Linear(nn.Module):
    """Scores (B, C): the sum of the valid frames, times a matrix."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.modes: list[str] = []

    def forward(self, mel: Tensor, valid: Tensor) -> Tensor:
        self.modes.append("training" if self.training else "evaluation")
        return (mel * valid[..., None]).sum(dim=1) @ self.weight


def _batch(draw, B, T, D, C) -> tuple[Tensor, Tensor, Tensor]:
    return draw(B, T, D), valid_frames(B, T), draw.integers(B, high=C)


SMALL, LARGE = {"B": 3, "T": 5, "D": 4, "C": 3}, {"B": 4, "T": 7, "D": 5, "C": 7}


@trial("3.5", public=SMALL, hidden=LARGE)
def step_values(draw, B, T, D, C, train_step):
    """three steps equal gradient descent on the cross-entropy."""
    model = Linear(draw(D, C))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in (1, 2, 3):
        loss = train_step(model, optimizer, *_batch(draw, B, T, D, C))
        yield f"the weights after step {step}", model.weight.clone()
        yield f"the loss of step {step}", loss


@trial("3.5", public=SMALL, hidden=LARGE)
def step_mode(draw, B, T, D, C, train_step):
    """a step is made in training mode, and returns its loss as a float."""
    model = Linear(draw(D, C)).eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    steps: list[int] = []
    optimizer.register_step_post_hook(lambda *_: steps.append(1))
    loss = train_step(model, optimizer, *_batch(draw, B, T, D, C))
    yield "the number of steps of the optimizer in a call", len(steps)
    yield "the mode of the model in a step", model.modes
    yield "is the loss a float?", isinstance(loss, float)


# 3.6


class FrameCounter(nn.Module):
    """Its highest score is that of the number of valid frames."""

    def __init__(self):
        super().__init__()
        self.modes: list[str] = []
        self.gradients: list[bool] = []
        self.sizes: list[int] = []

    def forward(self, mel: Tensor, valid: Tensor) -> Tensor:
        self.modes.append("training" if self.training else "evaluation")
        self.gradients.append(torch.is_grad_enabled())
        self.sizes.append(len(mel))
        return nn.functional.one_hot(valid.sum(dim=1), 1009).float()


@trial("3.6", public={"few": 5, "many": 70}, hidden={"few": 7, "many": 67})
def predict_values(draw, few, many, predict):
    """whole utterances are predicted, in order, in batches of any size."""
    lengths = (draw(11).argsort()[:few] + 1).tolist()
    mels = [draw(length, 3) for length in lengths]
    found = predict(FrameCounter(), mels, 2)
    yield f"predict(counter, utterances of {lengths} frames, 2)", found
    yield "its dtype", str(getattr(found, "dtype", type(found).__name__))
    yield "predict with a batch for all of them", predict(FrameCounter(), mels, 100)
    mels = [draw(91 + 37 * i % 500, 3) for i in range(many)]
    yield f"predict(counter, {many} long utterances)", predict(FrameCounter(), mels)


@trial("3.6", public={"lengths": (5, 2, 9, 4, 7)}, hidden={"lengths": (3, 8, 2, 6, 5, 1, 4)})
def predict_mode(draw, lengths, predict):
    """predictions are made in evaluation mode, without gradients, in batches of the given size."""
    counter = FrameCounter().train()
    predict(counter, [draw(length, 3) for length in lengths], 3)
    yield "the sizes of the batches", counter.sizes
    yield "the mode of the model in each batch", counter.modes
    yield "are gradients recorded, batch by batch?", counter.gradients


# 3.7


class Weighted(nn.Module):
    """A weight and a buffer, all of one value."""

    mean: Tensor

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("mean", torch.zeros(2))

    def set(self, value: float) -> None:
        with torch.no_grad():
            self.weight.fill_(value)
            self.mean.fill_(10 * value)

    def state(self) -> list[float]:
        return [*self.weight.tolist(), *self.mean.tolist()]


def _restored(Best, steps):
    """The model's values after steps of (accuracy, value), a restore, and two more."""
    model, best = Weighted(), Best()
    for accuracy, value in steps:
        model.set(value)
        best.update(accuracy, model)
    what = f"weight and buffer {{}}, after accuracies {[accuracy for accuracy, _ in steps]}"
    model.set(100.0)  # training goes on
    best.restore(model)
    yield what.format("restored"), model.state()
    model.set(100.0)
    best.restore(model)
    yield what.format("restored again"), model.state()
    model.set(50.0)  # and may find something better
    best.update(1.0, model)
    model.set(200.0)
    best.update(0.95, model)
    best.restore(model)
    yield what.format("restored once more"), model.state()


@trial("3.7", public={"shift": 0.0, "first": 1}, hidden={"shift": 0.04, "first": range(300, 900)})
def best_values(draw, shift, first, Best):
    """the weights and buffers of the highest accuracy are restored, wherever it was."""
    for accuracies in ((0.3, 0.9, 0.5), (0.1, 0.5, 0.4, 0.45), (0.1, 0.2, 0.204)):
        steps = [(a + shift, float(at)) for at, a in enumerate(accuracies, first)]
        yield from _restored(Best, steps)


@trial("3.7", public={"accuracy": 0.4, "n": 2}, hidden={"accuracy": 0.7, "n": range(300, 900)})
def best_equals(draw, accuracy, n, Best):
    """of equal accuracies the first counts, and an accuracy of 0 counts."""
    yield from _restored(Best, [(0.1, 1.0), (accuracy, float(n)), (accuracy, 3.0)])
    yield from _restored(Best, [(0.0, 4.0), (0.0, 5.0)])


# 3.8

BOUNDS = {
    "steps": (1, 100_000),
    "batch_size": (2, 1024),
    "crop_frames": (16, 10_000),
    "lr": (1e-6, 0.1),  # the only one that is not a whole number
}


def _judge_recipe(results):
    made = results["recipe()"]
    yield "is recipe() a dictionary?", isinstance(made, dict)
    recipe = made if isinstance(made, dict) else {}
    wanted = [*BOUNDS, "warmup_steps"]
    yield "names that recipe() lacks", [name for name in wanted if name not in recipe]
    yield "names that fit does not know", sorted({*recipe} - {*wanted, "every"})
    for name, (low, high) in BOUNDS.items():
        yield name, _between(recipe.get(name), low, high, f"{low:,} to {high:,}")
    most = recipe["steps"] - 1 if isinstance(recipe.get("steps"), int | float) else 0
    yield "warmup_steps", _between(recipe.get("warmup_steps"), 0.0, most, "fewer than steps")


def _between(value: Any, low: Any, high: Any, right: str) -> str:
    if not isinstance(value, int | float):
        return "no number"
    if isinstance(low, int) and not is_whole(value):
        return "no whole number"
    return "too small" if value < low else "too large" if value > high else right


@trial("3.8", public={}, hidden={}, measure=_judge_recipe)
def recipe_values(draw, recipe):
    """the recipe has all arguments, and its warm-up ends before the training does."""
    yield "recipe()", recipe()

"""The contract of assignment 9: rates, vector quantization, a codec, a prior over codes, sampling.

Shape letters: B batch   T frames   F mel bands   t codes   N vectors   D width   K codes to choose
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kws.course.a04_conformer.contract import exception_of
from kws.course.trial import Draw, plain, trial

Measured = Iterator[tuple[str, Any]]
DRAWS = 600  # where the frequency of a draw is counted
CERTAIN = 5.0  # standard deviations: a fair draw is beyond once in a million
MELS, FRAMES, CODES, LENGTH, WORDS = 40, 100, 128, 25, 35  # of the model that is handed in


def _beyond(counts: Tensor, p: Tensor, n: int) -> int:
    """How many of `counts` no fair draw of n with probabilities p would give."""
    return int(((counts - n * p).abs() > CERTAIN * (n * p * (1 - p)).sqrt() + 1e-6).sum())


# 9.1


@trial(
    "9.1",
    public={"hertz": 22_050, "strides": (3, 5), "K": 1024, "context": 700},
    hidden={"hertz": 44_100, "strides": (2, 3, 7), "K": 4096, "context": 1100},
)
def rates_values(draw, hertz, strides, K, context, code_rate, bit_rate, context_seconds):
    """rates of codes and bits, and how long a context lasts."""
    rates = []
    for some in (list(strides), [strides[0]], [1], [], [2] * 7):
        rates.append(float(code_rate(hertz, some)))
        yield f"code_rate({hertz}, {some})", rates[-1]
    for size in (K, 2, 3 * K, 1):
        yield f"bit_rate({rates[-1]:g}, {size})", float(bit_rate(rates[-1], size))
    for rate in (rates[0], 10.0):
        yield f"context_seconds({context}, {rate:g})", float(context_seconds(context, rate))


# 9.2


@trial("9.2", public={"B": 3, "t": 5, "D": 4, "K": 7}, hidden={"B": 2, "t": 9, "D": 6, "K": 11})
def nearest_values(draw, B, t, D, K, nearest):
    """each vector has the nearest code, however long the codes are."""
    z, codebook = draw(B, t, D), draw(K, D) * draw.uniform(K, 1, low=0.2, high=3.0)
    codes = nearest(z, codebook)
    yield "nearest(z, codebook)", codes
    yield "its dtype", str(getattr(codes, "dtype", type(codes).__name__))
    yield "nearest(codebook, codebook)", nearest(codebook, codebook)
    yield "nearest of a single vector", nearest(z[0, 0], codebook)
    yield "nearest(z far off, codebook)", nearest(10 * z[0] + 5, codebook)
    twice = torch.tensor([[2.0] * D, [1.0] * D, [1.0] * D, [0.0] * D])
    yield "of equally near codes", nearest(torch.ones(3, D), twice)


@trial("9.2", public={"K": 7}, hidden={"K": 13})
def perplexity_values(draw, K, perplexity):
    """the perplexity is 1 for a single code, K for equal ones, and between them in between."""
    counts = draw.integers(K, high=50)
    counts[0], counts[-1] = 0, 3
    yield "perplexity of some counts", perplexity(counts)
    yield "the same counts as float32", perplexity(counts.float())
    yield "ten times the counts", perplexity(10 * counts)
    yield "perplexity of equal counts", perplexity(torch.full((K,), 3.0))
    single = torch.zeros(K)
    single[K // 2] = 9
    yield "perplexity of a single code", perplexity(single)


# 9.3


@trial("9.3", public={"B": 2, "t": 5, "D": 3, "K": 6}, hidden={"B": 3, "t": 4, "D": 5, "K": 9})
def quantize_values(draw, B, t, D, K, quantize):
    """vectors of the nearest codes, the codes, and the loss."""
    z, codebook = draw(B, t, D), draw(K, D)
    for beta in (0.25, 2.0):
        y, codes, loss = quantize(z, codebook, beta)
        yield f"y with beta={beta}", y
        yield f"the codes with beta={beta}", codes
        yield f"the loss with beta={beta}", loss
    yield "the loss with the usual beta", quantize(z, codebook)[2]
    yield "y of its own vectors", quantize(codebook, codebook, 1.0)[0]
    yield "the loss of its own vectors", quantize(codebook, codebook, 1.0)[2]
    yield "z after the call (modified in place?)", z
    yield "the codebook after the call (modified in place?)", codebook


@trial("9.3", public={"N": 5, "D": 3, "K": 6}, hidden={"N": 7, "D": 4, "K": 5})
def quantize_gradients(draw, N, D, K, quantize):
    """the gradient is passed straight through, and the commitment loss moves z, not the codes."""
    z, codebook, weights = draw(N, D).requires_grad_(), draw(K, D).requires_grad_(), draw(N, D)
    y, _, loss = quantize(z, codebook, 0.5)
    yield "the shape of the loss", list(getattr(loss, "shape", ()))
    yield "have y and the loss a gradient?", [y.requires_grad, loss.requires_grad]
    nothing = 0 * (z.sum() + codebook.sum())  # so that both have a gradient
    total = (y * weights).sum() + nothing
    yield "the gradient of z for y", torch.autograd.grad(total, z, retain_graph=True)[0]
    (pulled,) = torch.autograd.grad(loss + nothing, z, retain_graph=True)
    yield "the gradient of z for the loss", pulled
    (pulled,) = torch.autograd.grad(total + loss, codebook)
    yield "has the codebook a gradient?", bool(pulled.any())


# 9.4


def _state(draw: Draw, K: int, D: int) -> tuple[Tensor, Tensor]:
    return draw.uniform(K, low=0.5, high=4.0), draw(K, D)


@trial("9.4", public={"N": 9, "D": 3, "K": 5}, hidden={"N": 13, "D": 2, "K": 7})
def follow_values(draw, N, D, K, follow):
    """one step of the averages, for any momentum, and codes that are not chosen."""
    counts, sums = _state(draw, K, D)
    z, codes = draw(N, D), draw.integers(N, high=K - 1)
    for momentum in (0.95, 0.3, 0.0):
        new_counts, new_sums = follow(counts, sums, z, codes, momentum)
        yield f"the counts with momentum={momentum}", new_counts.clone()
        yield f"the sums with momentum={momentum}", new_sums.clone()
    yield "the old counts after the call (modified in place?)", counts
    yield "the old sums after the call (modified in place?)", sums


@trial(
    "9.4",
    public={"N": 9, "D": 3, "K": 6, "floor": 1.5},
    hidden={"N": 13, "D": 2, "K": 8, "floor": 0.75},
)
def restart_values(draw, N, D, K, floor, restart):
    """dead codes are reset to rows of z, and the others do not change."""
    counts, sums = _state(draw, K, D)
    counts[0], counts[1], counts[2] = floor / 2, floor, 1.01 * floor
    z, alive = draw(N, D), counts >= floor
    new_counts, new_sums = restart(counts, sums, z, floor, torch.Generator().manual_seed(1))
    yield "the counts", new_counts
    yield "the sums of living codes", new_sums[alive]
    places = new_sums[~alive] / new_counts[~alive][:, None]
    gaps = (places[:, None] - z).abs().amax(-1).amin(-1)
    plain_rows = (new_sums[~alive][:, None] - z).abs().amax(-1).amin(-1) < 1e-4
    yield "dead codes whose sum is a row of z, not the floor times it", int(plain_rows.sum())
    yield "dead codes that are not at a row of z after the call", int((gaps > 1e-4).sum())
    yield "the old counts after the call (modified in place?)", counts
    yield "the old sums after the call (modified in place?)", sums
    yield "the sums where all are alive", restart(torch.full((K,), floor), sums, z, floor)[1]


def measure_restart(results: Mapping[str, Any], N: int, K: int) -> Measured:
    rows = torch.as_tensor(plain(results["rows"])).reshape(-1, K)
    yield "restarts on something else than a row", int(((rows < 0) | (rows >= N)).sum())
    again = results["the same seed"]
    yield "the same seed: is it the same draw?", bool(again[0] == again[1])
    yield "another seed: is it always the same draw?", all(one == again[0] for one in again[2:])
    free = results["no seed"]
    yield "without a generator: is it always the same draw?", all(one == free[0] for one in free)
    same_rows = (rows == rows[:, :1]).all(1).double().mean()
    yield "do all dead codes always begin at the same row?", bool(same_rows > 0.5)
    paired = (rows.sort(dim=1).values.diff(dim=1) == 0).any()
    yield "do two dead codes ever begin at the same row?", bool(paired)
    counts = rows.flatten().clamp(0, N - 1).bincount(minlength=N)
    yield "is the last row ever drawn?", bool(counts[-1])
    p = torch.full((N,), 1 / N)
    yield "rows that are drawn too often or too rarely", _beyond(counts, p, rows.numel())


@trial("9.4", public={"N": 5, "K": 4}, hidden={"N": 7, "K": 3}, measure=measure_restart)
def restart_fair(draw, N, K, restart):
    """every row is as likely as any other, and each dead code has its own draw."""
    z = torch.arange(N).float()[:, None]
    dead = torch.full((K,), 0.125), torch.full((K, 1), -1.0)

    def drawn(generator: torch.Generator | None) -> list[int]:
        counts, sums = restart(*(one.clone() for one in dead), z, 0.5, generator)
        return (sums[:, 0] / counts).nan_to_num(-1).round().long().tolist()

    generator = torch.Generator().manual_seed(3)
    yield "rows", torch.tensor([drawn(generator) for _ in range(DRAWS)])
    seeds = (0, 0, 1, 2, 3, 4, 5)
    yield "the same seed", [drawn(torch.Generator().manual_seed(seed)) for seed in seeds]
    yield "no seed", [drawn(None) for _ in range(2 * N)]


# 9.5


def _book(draw: Draw, Codebook: Any, K: int, D: int, **options: float) -> Any:
    book = Codebook(K, D, **options)
    counts, sums = _state(draw, K, D)
    state = {"vectors": sums / counts[:, None], "counts": counts, "sums": sums}
    book.load_state_dict(state | {"begun": torch.tensor(True)})
    return book


def _buffers(book: nn.Module) -> Iterator[tuple[str, Any]]:
    for name in ("vectors", "counts", "sums"):
        yield name, getattr(book, name).clone()


@trial("9.5", public={"B": 3, "t": 5, "D": 3, "K": 6}, hidden={"B": 2, "t": 8, "D": 4, "K": 5})
def codebook_values(draw, B, t, D, K, Codebook):
    """the codebook quantizes, follows in training mode, and is fixed in evaluation mode."""
    z = draw(B, t, D)
    for options in ({"momentum": 0.7, "floor": 0.0, "beta": 0.5}, {"floor": 0.0}):
        book, text = _book(draw, Codebook, K, D, **options), f"with {options}"
        y, codes, loss = book.eval()(z)
        yield f"y in evaluation mode {text}", y
        yield f"the codes in evaluation mode {text}", codes
        yield f"the loss in evaluation mode {text}", loss
        for name, value in _buffers(book):
            yield f"{name} after evaluation {text}", value
        y, codes, loss = book.train()(z)
        yield f"y in training mode {text}", y
        yield f"the codes in training mode {text}", codes
        yield f"the loss in training mode {text}", loss
        for name, value in _buffers(book):
            yield f"{name} after training {text}", value
    book = _book(draw, Codebook, K, D, momentum=0.1, floor=5.0).train()
    book(z[:1, :2])  # every count was below the floor before: follow first, then restart
    yield "the smallest count after a restart", book.counts.min()
    gaps = (book.vectors - book.sums / book.counts[:, None]).abs().max()
    yield "are the vectors sums over counts after a restart?", bool(gaps < 1e-4)
    usual = _book(draw, Codebook, K, D).train()
    usual(z[:, :1])
    yield "the smallest count with the usual floor", usual.counts.min()
    book = _book(draw, Codebook, K, D, floor=0.0).train()
    book(z.requires_grad_())
    kept = [name for name, value in _buffers(book) if value.requires_grad]
    yield "buffers that keep a gradient", kept
    yield "parameters of the codebook", sum(p.numel() for p in book.parameters())


@trial("9.5", public={"D": 3, "K": 4, "n": 9}, hidden={"D": 2, "K": 5, "n": 12})
def codebook_begins(draw, D, K, n, Codebook):
    """it begins once, in training mode, with vectors of the batch; one code is a ValueError."""
    z, book = draw(1, n, D), Codebook(K, D, momentum=0.99, floor=0.0)
    before = book.vectors.clone()
    book.eval()(z)
    yield "has it begun after evaluation?", bool(book.begun)
    yield "do its vectors stay in evaluation?", bool(torch.equal(book.vectors, before))
    _, codes, _ = book.train()(z)
    yield "has it begun after training?", bool(book.begun)
    yield "codes that are used in the first batch", len(codes.unique())
    held = book.vectors.clone()
    moved = z + 100
    book(moved)
    middle = (book.vectors - held).abs().amax(1)
    yield "codes that jump into the second batch", int((middle > 50).sum())
    for size in (1, 0):
        yield f"the error raised by Codebook({size}, {D})", exception_of(Codebook, size, D)
    yield "the error raised by Codebook(2, 1)", exception_of(Codebook, 2, 1)


@trial(
    "9.5",
    public={"B": 3, "t": 4, "F": 5, "W": 6, "D": 3, "K": 7},
    hidden={"B": 2, "t": 5, "F": 3, "W": 8, "D": 4, "K": 9},
)
def codec_values(draw, B, t, F, W, D, K, Codec):
    """mels become codes and mels again; what is decoded depends on the codes alone."""
    # untrained layers shrink what they read: 30 keeps the encoder's output off the codes' vectors
    first, mel, codec = 30 * draw(B, 4 * t, F), 30 * draw(B, 4 * t, F), Codec(F, W, D, K)
    codec.train()(first)  # the codebook begins, so that codes lie among its vectors, and differ
    codec.eval()
    codec.codebook.vectors.copy_(codec.codebook.vectors.flip(0))
    again, codes, loss = codec(mel)
    yield "are there several codes?", len(codes.unique()) > 1
    yield "does another mel get other codes?", not _equal(codec.encode(first), codes)
    yield "the shape of the mel again", list(again.shape)
    yield "the shape of the codes", list(codes.shape)
    yield "is the loss a number above 0?", bool(loss > 0)
    long, changed = draw(8, 48, F), draw(8, 48, F)
    changed[:, :32] = long[:, :32]
    fresh = Codec(F, W, D, K)
    fresh.train()(long)  # so that the codes lie among its vectors, and differ
    early = fresh.eval().encode(long)[:, :5] != fresh.encode(changed)[:, :5]
    yield "how many of the first codes hang on the last frames", int(early.sum())
    far = draw(2, 96, F).requires_grad_()
    fresh(far)[0][:, :16].sum().backward()
    reach = 0 if far.grad is None else int(far.grad[:, 64:].any(dim=2).sum())
    yield "frames from the 64th on that reach the first 16 frames of the mel again", reach
    coded, decoded = codec.encode(mel), codec.decode(codes)
    yield "the shape of decode(codes)", list(decoded.shape)
    yield "does encode give the codes of forward?", _equal(coded, codes)
    yield "does decode give the mel of forward?", _near(decoded, again)
    state = [value.clone() for _, value in _buffers(codec.codebook)]
    codec.train().encode(mel + 1)
    training = codec.training and codec.codebook.training
    yield "are codec and codebook in training mode as before?", training
    kept = [_equal(a, b) for a, (_, b) in zip(state, _buffers(codec.codebook), strict=True)]
    yield "does the codebook stay when encode is called in training mode?", all(kept)
    codec.eval()
    some = draw.integers(2, 12, high=K)
    one, two = codec.decode(some), codec.decode((some + (torch.arange(12) > 7)) % K)
    yield "do the last codes leave the first frames as they are?", _near(one[:, :16], two[:, :16])
    first = codec.decode(codes[:1, :1])
    yield "the shape of one decoded code", list(first.shape)
    other = (codes + 1) % K
    yield "do other codes decode to another mel?", not _near(codec.decode(other), decoded)
    mel.requires_grad_()
    again, _, loss = codec(mel)
    again.square().mean().backward(retain_graph=True)
    yield "does a gradient reach the mel past the codes?", bool(mel.grad.any())
    mel.grad = None
    loss.backward()
    yield "does commitment reach the mel?", bool(mel.grad is not None and mel.grad.any())


def _modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def _equal(one: Any, other: Any) -> bool:
    return isinstance(one, Tensor) and one.shape == other.shape and bool(torch.equal(one, other))


def _near(one: Any, other: Tensor) -> bool:
    if not isinstance(one, Tensor) or one.shape != other.shape:
        return False
    return bool((one - other).abs().max() < 1e-4)


# 9.6


@trial("9.6", public={"n": 5, "t": 6, "K": 4}, hidden={"n": 4, "t": 9, "K": 6})
def bigram_values(draw, n, t, K, bigram):
    """pairs are counted inside of each clip, its start among them, and one is added."""
    codes = draw.integers(n, t, high=K - 1)  # the last code is never seen
    yield "bigram(codes, K)", bigram(codes, K)
    yield "bigram of one code each", bigram(codes[:, :1], K)
    yield "the sums of the rows", bigram(codes, K).sum(1)


@trial(
    "9.6",
    public={"B": 2, "t": 5, "K": 6, "words": 4, "L": 2},
    hidden={"B": 3, "t": 4, "K": 5, "words": 7, "L": 3},
)
def prior_causality(draw, B, t, K, words, L, CodePrior):
    """each output depends on the word and on all codes before it, and on none after."""
    prior = CodePrior(words, K, t + 1, 8, 2, 12, L).eval()
    labels, codes = draw.integers(B, high=words), draw.integers(B, t, high=K)
    with torch.no_grad():
        logits = prior(labels, codes)
        yield "the shape of the logits", list(logits.shape)
        other = prior((labels + 1) % words, codes)
        gaps = (other - logits).abs().amax((0, 2))
        yield "do logits change with the word, place by place?", (gaps > 1e-6).tolist()
        for place in range(t):
            changed = codes.clone()
            changed[:, place] = (codes[:, place] + 1) % K
            gaps = (prior(labels, changed) - logits).abs().amax((0, 2))
            yield f"do logits change with code {place}, place by place?", (gaps > 1e-6).tolist()
        for some in range(t):
            gap = (prior(labels, codes[:, :some]) - logits[:, : some + 1]).abs().max()
            yield f"are they the same for the first {some} codes alone?", bool(gap < 1e-4)
        one = (prior(labels[:1], codes[:1]) - logits[:1]).abs().max()
        yield "are they the same for one clip alone?", bool(one < 1e-4)


@trial(
    "9.6",
    public={"t": 5, "K": 6, "words": 4, "L": 2},
    hidden={"t": 4, "K": 5, "words": 7, "L": 3},
)
def prior_places(draw, t, K, words, L, CodePrior):
    """places are added, every part is used, and too many codes raise a ValueError."""
    prior = CodePrior(words, K, t, 8, 2, 12, L)
    labels, same = torch.arange(words), torch.zeros(words, t - 1, dtype=torch.long)
    logits = prior(labels, torch.arange(K).repeat(words, 1)[:, : t - 1])
    (logits.square().sum() + 0 * prior.places.sum()).backward()
    silent = [name for name, p in prior.named_parameters() if p.grad is None]
    yield "parameters without a gradient", sorted(silent)
    moved = prior.places.grad.abs().amax(1) > 0
    yield "places without a gradient", int((~moved).sum())
    for codes in (t, t + 1):
        many = torch.zeros(words, codes, dtype=torch.long)
        yield (
            f"the error raised by {codes} codes where {t} are predicted",
            exception_of(prior, labels, many),
        )
    yield f"the error raised by {t - 1} codes", exception_of(prior, labels, same)
    prior.eval()
    with torch.no_grad():
        before = prior(labels, same)
        prior.places[1] += torch.arange(8)  # a constant would be removed by a LayerNorm
        gaps = (prior(labels, same) - before).abs().amax((0, 2)) > 1e-4
        yield "do logits change with place 1, place by place?", gaps.tolist()
        prior.norm.weight.zero_()
        prior.norm.bias.zero_()
        prior.head.bias.copy_(torch.arange(K))
        yield "logits where the norm gives zeros", prior(labels, same)
        plain_sum = CodePrior(1, K, 1, 8, 2, 12, 0).eval()
        plain_sum.places[0] = -plain_sum.words.weight[0]
        plain_sum.head.bias.copy_(torch.arange(K))
        word, nothing = torch.zeros(1, dtype=torch.long), torch.zeros(1, 0, dtype=torch.long)
        yield "logits where word and place cancel, without layers", plain_sum(word, nothing)


@trial("9.6", public={"B": 3, "t": 4, "K": 5}, hidden={"B": 2, "t": 7, "K": 4})
def nats_values(draw, B, t, K, nats):
    """the mean over all codes, in nats."""
    logits, codes = 2 * draw(B, t, K), draw.integers(B, t, high=K)
    yield "nats(logits, codes)", nats(logits, codes)
    yield "nats of one code", nats(logits[:1, :1], codes[:1, :1])
    yield "nats of log-probabilities", nats(logits.log_softmax(-1), codes)
    loss = nats(logits.requires_grad_(), codes)
    yield "has it a gradient, to train by?", isinstance(loss, Tensor) and loss.requires_grad


# 9.7


@trial("9.7", public={"B": 3, "K": 7, "k": 3}, hidden={"B": 4, "K": 9, "k": 5})
def probabilities_values(draw, B, K, k, probabilities):
    """the temperature divides, top-k keeps k and renormalizes, bad values raise a ValueError."""
    logits = 2 * draw(B, K)
    yield "probabilities(logits)", probabilities(logits)
    for temperature in (0.5, 2.0, 0.01):
        yield f"with temperature={temperature}", probabilities(logits, temperature)
    for top_k in (1, k, K):
        yield f"with top_k={top_k}", probabilities(logits, 1.0, top_k)
        yield f"with temperature=0.5, top_k={top_k}", probabilities(logits, 0.5, top_k)
    yield "logits after the call (modified in place?)", logits
    for temperature in (0, -1.0):
        what = f"the error raised by temperature={temperature}"
        yield what, exception_of(probabilities, logits, temperature)
    for top_k in (0, -1, K + 1):
        yield (
            f"the error raised by top_k={top_k} of {K}",
            exception_of(probabilities, logits, 1.0, top_k),
        )


class _Counting(nn.Module):
    """A prior whose next code follows from the word and the codes before it, for certain."""

    def __init__(self, K: int):
        super().__init__()
        self.K = K

    def forward(self, words: Tensor, codes: Tensor) -> Tensor:
        sums = torch.cat([words[:, None], codes], dim=1).cumsum(1)
        return 200.0 * torch.eye(self.K)[(sums + 1) % self.K]


@trial("9.7", public={"B": 3, "t": 6, "K": 5}, hidden={"B": 4, "t": 8, "K": 7})
def generate_values(draw, B, t, K, generate):
    """each of `length` codes is drawn given the word and the codes before it."""
    words, prior = torch.arange(B), _Counting(K)
    codes = generate(prior, words, t)
    yield "generate where each code is certain", codes
    yield "its dtype", str(getattr(codes, "dtype", type(codes).__name__))
    yield "generate of one code", generate(prior, words, 1, 0.5, 2)
    uneven, seeded = 4 * draw(K), torch.Generator().manual_seed(2)
    same = generate(lambda _, c: uneven.repeat(B, c.shape[1] + 1, 1), words, t, 3.0, 1, seeded)
    yield "generate with top_k=1", same
    seen: list[list[int]] = []

    def watched(labels: Tensor, so_far: Tensor) -> Tensor:
        seen.append(list(so_far.shape))
        return torch.zeros(len(labels), so_far.shape[1] + 1, K)

    generate(watched, words, 3, 1.0, None, torch.Generator().manual_seed(0))
    yield "the shapes of the codes that the prior is asked for", seen
    weight = torch.ones(K, requires_grad=True)
    codes = generate(lambda _, c: weight.expand(B, c.shape[1] + 1, K), words, 2)
    yield "have the codes a gradient?", bool(codes.requires_grad)


def measure_draws(results: Mapping[str, Any], K: int, temperature: float, k: int) -> Measured:
    seeds = results["seeds"]
    yield "the same seed: is it the same draw?", bool(seeds[0] == seeds[1])
    yield "another seed: is it always the same draw?", all(one == seeds[0] for one in seeds[2:])
    free = results["no seed"]
    yield "without a generator: is it always the same draw?", bool(free[0] == free[1])
    logits = results["logits"]
    whole = (logits / temperature).softmax(-1)
    least = logits.topk(k).values[-1]
    cut = (logits.masked_fill(logits < least, -torch.inf)).softmax(-1)
    rows = torch.as_tensor(plain(results["temperature"]))
    yield "does every row get the codes of the first one?", bool((rows == rows[:1]).all())
    for name, p in (("temperature", whole), ("top_k", cut)):
        drawn = torch.as_tensor(plain(results[name])).flatten().long()
        yield f"codes out of range with {name}", int(((drawn < 0) | (drawn >= K)).sum())
        counts = drawn.clamp(0, K - 1).bincount(minlength=K)
        if name == "top_k":
            yield "codes that are ever drawn with top_k", int((counts > 0).sum())
        yield f"codes too often or too rarely with {name}", _beyond(counts, p, len(drawn))


@trial(
    "9.7",
    public={"K": 6, "temperature": 2.0, "k": 2},
    hidden={"K": 7, "temperature": 0.5, "k": 2},
    measure=measure_draws,
)
def generate_fair(draw, K, temperature, k, generate):
    """codes are as frequent as they are probable, and depend on the generator only."""
    logits = torch.linspace(-11, -9, K)[draw(K).argsort()]  # what is masked by 0 comes out ahead

    def prior(words: Tensor, codes: Tensor) -> Tensor:
        return logits.repeat(len(words), codes.shape[1] + 1, 1)

    yield "logits", logits
    words, generator = torch.zeros(DRAWS, dtype=torch.long), torch.Generator().manual_seed(5)
    yield "temperature", generate(prior, words, 2, temperature, None, generator)
    yield "top_k", generate(prior, words, 2, 1.0, k, generator)
    seeds = (1, 1, 2, 3, 4)
    seeded = [torch.Generator().manual_seed(seed) for seed in seeds]
    found = [generate(prior, words[:9], 2, 1.0, None, each).tolist() for each in seeded]
    yield "seeds", found
    yield "no seed", [generate(prior, words[:99], 2).tolist() for _ in range(2)]


# 9.8


@trial("9.8", public={"B": 2}, hidden={"B": 3})
def model_values(draw, B, CodeModel, encode_mels, decode_codes):
    """the model that is handed in makes codes, mels, and logits of codes."""
    torch.manual_seed(0)
    model = CodeModel()
    mel, words = draw(B, FRAMES, MELS), draw.integers(B, high=WORDS)
    model.codec.train()(mel)
    model.eval()
    with torch.no_grad():
        codes = encode_mels(model, mel)
        yield "the shape of encode_mels(model, mel)", list(codes.shape)
        inside = bool((codes >= 0).all() and (codes < CODES).all())
        yield f"are codes from 0 to {CODES - 1}?", inside
        yield "are they those of the codec?", _equal(codes, model.codec.encode(mel))
        state = [value.clone() for _, value in _buffers(model.codec.codebook)]
        for mode in ("evaluation", "training"):
            before = _modes(model.train(mode == "training"))
            encode_mels(model, mel + 1)
            yield f"called in {mode} mode, is each part in it afterwards?", _modes(model) == before
        found = _buffers(model.codec.codebook)
        kept = [_equal(a, b) for a, (_, b) in zip(state, found, strict=True)]
        yield "does the codebook stay when encode_mels is called in training mode?", all(kept)
        model.eval()
        decoded = decode_codes(model, codes)
        yield "the shape of decode_codes(model, codes)", list(decoded.shape)
        yield "are they those of the codec, decoded?", _near(decoded, model.codec.decode(codes))
        logits = model(words, codes[:, :-1])
        yield "the shape of model(words, codes)", list(logits.shape)
        yield "are they the prior's?", _near(logits, model.prior(words, codes[:, :-1]))
        for number, which in ((WORDS - 1, "the last word"), (WORDS, "a word beyond the last")):
            error = exception_of(model, words * 0 + number, codes[:, :1])
            yield f"the error raised by {which}", error
        last = torch.full((B, 1), CODES - 1)
        yield "the error raised by the last code", exception_of(model, words, last)
        what = f"the error raised by {LENGTH} codes before a code"
        yield what, exception_of(model, words, codes)

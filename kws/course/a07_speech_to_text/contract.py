"""The contract of assignment 7: counting errors, subsampling, 2-D attention, the decoder, losses,
searches, the recognizer.

Shape letters: B utterances   N frames   F mel bands   T frames after subsampling   C channels
               D model width   H heads   K width of one head   E feed-forward width
               U symbols of a text   V symbols there are
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from kws.course.a02_attention.contract import count
from kws.course.a04_conformer.contract import (
    compare_within,
    exception_of,
    loud,
    real,
    without_gradient,
)
from kws.course.operators import size_beyond, undeclared
from kws.course.trial import Draw, plain, trial, valid_frames

BUDGET = 999_999  # numbers of the recognizer that training changes
SOS, EOS = 1, 2
TOLERANCE = 1e-3  # of the spread of the logits: an utterance alone and in a batch
DEPENDS = 1e-4  # the same, of what must differ: an embedding times sqrt(D) outweighs the memory
Weights = dict[str, Tensor]


def linear_weights(draw: Draw, **layers: tuple[int, int]) -> Weights:
    named = {}
    for name, (d_out, d_in) in layers.items():
        named |= {f"{name}__weight": (d_out, d_in), f"{name}__bias": (d_out,)}
    return draw.weights(**named)


def subsampling_weights(draw: Draw, D: int, C: int, bands: int) -> Weights:
    weights = linear_weights(draw, project=(D, C * bands))
    for name, channels in (("first", 1), ("second", C)):
        weights[f"{name}.weight"] = draw(C, channels, 3, 3) / (9 * channels) ** 0.5
        weights[f"{name}.bias"] = 0.5 + draw(C) / 4
    weights["project.bias"] -= 0.5  # some results are negative
    return weights


def cross_weights(draw: Draw, D: int) -> Weights:
    return linear_weights(draw, **dict.fromkeys(("query", "key", "value", "out"), (D, D)))


def decoder_weights(draw: Draw, D: int, E: int) -> Weights:
    weights = linear_weights(draw, expand=(E, D), contract=(D, E))
    for part in ("self_attention", "cross_attention"):
        weights |= {f"{part}.{name}": x for name, x in cross_weights(draw, D).items()}
    norms = [f"norm_{part}__{kind}" for part in ("self", "cross", "feed_forward") for kind in KINDS]
    return weights | draw.weights(**dict.fromkeys(norms, (D,)))


KINDS = ("weight", "bias")


def words(draw: Draw, most: int, kinds: int) -> list[int]:
    count = int(draw.integers(1, high=most + 1))
    return draw.integers(count, high=kinds).tolist()


# 7.1


@trial("7.1", public={"n": 31, "most": 9}, hidden={"n": 40, "most": 11})
def edits_values(draw, n, most, count_edits):
    """substitutions, deletions and insertions of the shortest way, for any two sequences."""
    pairs = (("", ""), ("", "abc"), ("ab", ""), ("kitten", "sitting"), ("abcde", "bcdef"))
    for a, b in (*pairs, ("ab", "ba"), ("aba", "bcab")):  # ties that are not decided step by step
        yield f"count_edits({a!r}, {b!r})", list(count_edits(a, b))
    # a substitution costs as much as a gap: of equal costs the fewest gaps
    for a, b in (((1, 2, 3), (2, 4, 5)), (["one", "two"], ["two", "one"]), ([1], [2, 1])):
        yield f"count_edits({a}, {b})", list(count_edits(a, b))
    pairs = [(words(draw, most, 3), words(draw, most, 3)) for _ in range(n)]
    yield f"count_edits of {n} other pairs", [list(count_edits(a, b)) for a, b in pairs]
    yield "count_edits('Oh', 'oh')", list(count_edits("Oh", "oh"))
    kinds = {type(plain(number)).__name__ for number in count_edits("abc", "acd")}
    yield "the types of the three numbers", sorted(kinds)


@trial("7.1", public={"n": 5}, hidden={"n": 9})
def rate_values(draw, n, word_error_rate):
    """the word error rate is all errors over all words of the references."""
    spoken = ["seven one two", "nine", "one one one one one"]
    written = ["seven two two three", "", "one one one one nine"]
    yield "word_error_rate of three texts", float(word_error_rate(spoken, written))
    yield "of the same, exchanged", float(word_error_rate(written, spoken))
    yield "of texts that are right", float(word_error_rate(spoken, list(spoken)))
    yield "where much is inserted", float(word_error_rate(["nine"], ["one nine two six"]))
    yield "with more than one space", float(word_error_rate(["one  two "], ["one two"]))
    texts = [" ".join(map(str, words(draw, 7, 4))) for _ in range(2 * n)]
    yield f"of {n} texts", float(word_error_rate(["0", *texts[:n]], ["0", *texts[n:]]))
    what = "the error raised by word_error_rate([''], ['one']), no word in the reference"
    yield what, exception_of(word_error_rate, [""], ["one"])


# 7.2


@trial("7.2", public={"most": 14}, hidden={"most": 43})
def frames_values(draw, most, subsampled):
    """two convolutions of stride 2 leave a quarter of the frames, rounded up."""
    yield f"subsampled(n) for n = 1 to {most}", [int(subsampled(n)) for n in range(1, most + 1)]


@trial(
    "7.2",
    public={"B": 3, "N": 13, "F": 11, "D": 5, "C": 3},
    hidden={"B": 2, "N": 18, "F": 13, "D": 7, "C": 2},
)
def subsampling_values(draw, B, N, F, D, C, ConvSubsampling, load_subsampling):
    """the subsampling equals its formula with known weights."""
    module = ConvSubsampling(F, D, C)
    load_subsampling(module, subsampling_weights(draw, D, C, (F + 3) // 4))
    mel = draw(B, N, F).requires_grad_()
    x, valid = module(mel)
    yield "module(mel)[0]", x
    yield "module(mel)[1], without a mask", valid
    (x * draw(*x.shape)).sum().backward()
    yield "the gradient of mel", mel.grad
    yield "mel after the call (modified in place?)", mel
    yield "module(mel)[0] of one frame", module(draw(B, 1, F))[0]


@trial(
    "7.2",
    public={"B": 4, "N": 13, "F": 11, "D": 5, "C": 3},
    hidden={"B": 5, "N": 19, "F": 13, "D": 7, "C": 2},  # odd: the last window reads padding
)
def subsampling_padding(draw, B, N, F, D, C, ConvSubsampling, load_subsampling):
    """padding changes no real frame, and the mask shrinks with the frames."""
    module = ConvSubsampling(F, D, C)
    load_subsampling(module, subsampling_weights(draw, D, C, (F + 3) // 4))
    mel, valid = draw(B, N, F), valid_frames(B, N)
    x, after = module(mel, valid)
    yield "module(mel, valid)[1]", after
    shrunk = valid[:, ::2][:, ::2]
    yield "module(mel, valid)[0], real frames", real(x, shrunk)
    yield "the same with other padding", real(module(loud(mel, valid), valid)[0], shrunk)
    broken = mel.masked_fill(~valid[..., None], math.nan)
    yield "the same with NaN in the padding", real(module(broken, valid)[0], shrunk)
    yield "mel and valid after the call (modified in place?)", [mel, valid]
    rows = [module(mel[b : b + 1, : int(valid[b].sum())])[0][0] for b in range(B)]
    yield "the frames of each utterance alone", torch.cat(rows)


@trial("7.2", public={"F": 40, "D": 8, "C": 2}, hidden={"F": 43, "D": 7, "C": 5})
def subsampling_count(draw, F, D, C, ConvSubsampling):
    """the subsampling has 9 C² + 11 C + (C F / 4 + 1) D parameters."""
    yield f"parameters of ConvSubsampling({F}, {D}, {C})", count(ConvSubsampling(F, D, C))


# 7.3


@trial(
    "7.3",
    public={"B": 2, "C": 3, "T": 7, "F": 5},
    hidden={"B": 3, "C": 2, "T": 11, "F": 7},
)
def attention_values(draw, B, C, T, F, attend_2d):
    """attention over time, then over frequency, channel by channel."""
    q, k, v = (draw(B, C, T, F).requires_grad_() for _ in range(3))
    y = attend_2d(q, k, v)
    yield "attend_2d(q, k, v)", y
    (y * draw(*y.shape)).sum().backward()
    for name, x in (("q", q), ("k", k), ("v", v)):
        yield f"the gradient of {name}", x.grad
        yield f"{name} after the call (modified in place?)", x


@trial(
    "7.3",
    public={"B": 3, "C": 2, "T": 9, "F": 5},
    hidden={"B": 4, "C": 3, "T": 11, "F": 7},
)
def attention_padding(draw, B, C, T, F, attend_2d):
    """padding does not change the result, and padded frames of it are zero."""
    q, k, v = (draw(B, C, T, F) for _ in range(3))
    valid = valid_frames(B, T)
    y = attend_2d(q, k, v, valid)
    yield "the shape of attend_2d(q, k, v, valid)", list(y.shape)
    yield "over time, real frames", y[:, :C].transpose(1, 2)[valid]
    yield "over frequency, real frames", y[:, C:].transpose(1, 2)[valid]
    yield "are padded frames of the result zero?", bool((y.transpose(1, 2)[~valid] == 0).all())
    other = [x + 100 * ~valid[:, None, :, None] for x in (q, k, v)]
    yield "the same with other padding", attend_2d(*other, valid)
    yield "q and valid after the call (modified in place?)", [q, valid]
    alone = [x[-1:, :, : int(valid[-1].sum())] for x in (q, k, v)]
    yield "the last utterance alone", attend_2d(*alone)
    double = [x.double() for x in (q, k, v)]
    yield "the dtype of attend_2d(q, k, v, valid) in float64", str(attend_2d(*double, valid).dtype)


# 7.4


@trial("7.4", public={"U": 4}, hidden={"U": 7})
def mask_values(draw, U, causal_mask):
    """each place attends to itself and to those before it."""
    yield f"causal_mask({U})", causal_mask(U)
    yield "causal_mask(1)", causal_mask(1)


@trial(
    "7.4",
    public={"B": 4, "U": 5, "T": 7, "H": 2, "K": 3},
    hidden={"B": 2, "U": 7, "T": 11, "H": 3, "K": 5},
)
def cross_values(draw, B, U, T, H, K, CrossAttention, load_cross_attention):
    """queries from x, keys and values from the memory, masked where the mask is False."""
    D = H * K
    attention = CrossAttention(D, H)
    load_cross_attention(attention, cross_weights(draw, D))
    x, memory = draw(B, U, D).requires_grad_(), draw(B, T, D).requires_grad_()
    same = bool(torch.equal(*(attention(x, memory).nan_to_num() for _ in range(2))))
    yield "is attention(x, memory) the same in a second call?", same
    yield "attention(x, memory)", attention(x, memory)
    valid = valid_frames(B, T)
    y = attention(x, memory, valid[:, None, None, :])
    yield "attention(x, memory, mask) with the mask of the padding", y
    mask = draw(B, 1, U, T) > 0
    mask[..., 0] = True
    yield "attention(x, memory, mask) with another mask", attention(x, memory, mask)
    (y * draw(*y.shape)).sum().backward()
    yield "the gradient of x", x.grad
    yield "the gradient of the memory", memory.grad
    yield f"parameters of CrossAttention({D}, {H})", count(attention)
    yield "attention(x, memory) where both have one shape", attention(x, draw(B, U, D))


@trial(
    "7.4",
    public={"B": 3, "U": 5, "T": 7, "H": 2, "K": 3, "E": 11},
    hidden={"B": 2, "U": 7, "T": 11, "H": 3, "K": 5, "E": 13},
)
def layer_values(draw, B, U, T, H, K, E, DecoderLayer, load_decoder_layer):
    """the layer equals the formula with known weights, with and without padding."""
    D = H * K
    layer = DecoderLayer(D, H, E)
    load_decoder_layer(layer, decoder_weights(draw, D, E))
    y, memory = draw(B, U, D).requires_grad_(), draw(B, T, D).requires_grad_()
    same = bool(torch.equal(*(layer(y, memory).nan_to_num() for _ in range(2))))
    yield "is layer(y, memory) the same in a second call?", same
    valid = valid_frames(B, T)
    valid[0, -1] = False  # no row is whole: an inverted mask leaves frames to each
    z = layer(y, memory, valid)
    yield "layer(y, memory, valid)", z
    yield "layer(y, memory)", layer(y, memory)
    (z * draw(*z.shape)).sum().backward()
    yield "the gradient of y", y.grad
    yield "the gradient of the memory", memory.grad
    yield "parameters without a gradient", without_gradient(layer)
    yield "y after the call (modified in place?)", y


@trial(
    "7.4",
    public={"B": 3, "U": 6, "T": 7, "H": 2, "K": 3, "E": 11},
    hidden={"B": 2, "U": 8, "T": 9, "H": 3, "K": 2, "E": 7},
)
def layer_causality(draw, B, U, T, H, K, E, DecoderLayer, load_decoder_layer):
    """outputs depend only on the symbols so far and on real frames of the memory."""
    D = H * K
    layer = DecoderLayer(D, H, E)
    load_decoder_layer(layer, decoder_weights(draw, D, E))
    y, memory, valid = draw(B, U, D), draw(B, T, D), valid_frames(B, T)
    valid[0, -1] = False
    other = y.clone()
    other[:, U // 2 :] += 3 * draw(B, U - U // 2, D)
    first = layer(other, memory, valid)
    what = f"layer(y, memory, valid) before place {U // 2}, where other symbols follow"
    yield what, first[:, : U // 2]
    yield "and from there on", first[:, U // 2 :]
    yield "the same with other padding of the memory", layer(other, loud(memory, valid), valid)


@trial("7.4", public={"D": 6, "H": 2, "E": 5}, hidden={"D": 15, "H": 3, "E": 7})
def layer_count(draw, D, H, E, DecoderLayer):
    """the layer has 8 D² + 15 D + 2 D E + E parameters."""
    yield f"parameters of DecoderLayer({D}, {H}, {E})", count(DecoderLayer(D, H, E))


# 7.5


@trial("7.5", public={"lengths": (3, 1, 4)}, hidden={"lengths": (2, 5, 1, 5)})
def shift_values(draw, lengths, shift):
    """inputs begin with the start; wanted symbols are one place ahead and end with the end."""
    texts = [draw.integers(length, low=3, high=9) for length in lengths]
    for given, what in ((texts, "texts"), (texts[:1], "one text")):
        inputs, wanted = shift(given)
        yield f"inputs of {what}", inputs
        yield f"wanted symbols of {what}", wanted
    yield "the dtypes", sorted({str(inputs.dtype), str(wanted.dtype)})
    yield "the texts after the call (modified in place?)", list(texts)


@trial(
    "7.5",
    public={"B": 3, "U": 5, "V": 7, "smoothing": 0.1},
    hidden={"B": 2, "U": 7, "V": 11, "smoothing": 0.3},
)
def loss_values(draw, B, U, V, smoothing, smoothed_loss):
    """the smoothed loss equals the formula, over the places that count."""
    logits, wanted = draw(B, U, V).requires_grad_(), draw.integers(B, U, high=V)
    yield "smoothed_loss(logits, wanted, 0.0)", smoothed_loss(logits, wanted, 0.0)
    yield "without padding", smoothed_loss(logits, wanted, smoothing)
    padded = wanted.masked_fill(~valid_frames(B, U), -100)
    loss = smoothed_loss(logits, padded, smoothing)
    yield f"smoothed_loss(logits, wanted, {smoothing})", loss
    yield "the same again", smoothed_loss(logits, padded, smoothing)
    loss.backward()
    yield "the gradient of the logits", logits.grad
    loss = smoothed_loss(200 * logits, padded, smoothing)
    yield "for large logits, is it finite?", bool(loss.isfinite())
    yield "for large logits", loss


# 7.6


@trial("7.6", public={"T": 11, "V": 3}, hidden={"T": 17, "V": 4})
def collapse_values(draw, T, V, collapse):
    """repeats are merged, then blanks removed."""
    for path in ([0, 3, 3, 0, 3, 4], [5, 5, 5], [0, 0], [2], [4, 0, 4, 4, 0]):
        yield f"collapse({path})", list(collapse(torch.tensor(path)))
    yield f"collapse of {T} random symbols", list(collapse(draw.integers(T, high=V)))


@trial("7.6", public={"U": 6}, hidden={"U": range(40, 90)})
def needed_values(draw, U, frames_needed):
    """a frame for each symbol, and one for the blank between equal neighbors."""
    for text in ([1, 1, 2], [3], [4, 4, 4], [1, 2, 1]):
        yield f"frames_needed({text})", int(frames_needed(torch.tensor(text)))
    text = draw.integers(U, low=1, high=3)
    yield f"frames_needed({text.tolist()})", int(frames_needed(text))


@trial("7.6", public={"T": 9, "V": 5}, hidden={"T": 13, "V": 6})
def ctc_values(draw, T, V, ctc_loss):
    """the loss is that of all paths together, and infinite if there are too few frames."""
    log_p = draw(T, V, dtype=torch.float64).log_softmax(dim=-1)
    for text in ([1], [1, 2], [1, 1], [3, 3, 1], [2, 1, 2, 4], [4, 4, 4, 3]):
        yield f"ctc_loss(log_p, {text})", ctc_loss(log_p, torch.tensor(text))
    double = torch.tensor([1, 1, 2])
    few = [torch.as_tensor(ctc_loss(log_p[:frames], double)) for frames in (3, 4)]
    yield "ctc_loss of 3 and of 4 frames, text [1, 1, 2]", torch.stack(few)
    yield "ctc_loss of one frame, text [2]", ctc_loss(log_p[:1], torch.tensor([2]))
    yield "log_p after the call (modified in place?)", log_p
    yield "the dtype", str(ctc_loss(log_p, torch.tensor([1, 2])).dtype)


@trial("7.6", public={"T": 400, "V": 5}, hidden={"T": 500, "V": 7})
def ctc_of_many_frames(draw, T, V, ctc_loss):
    """hundreds of frames do not underflow."""
    log_p = (3 * draw(T, V)).log_softmax(dim=-1)
    text = draw.integers(T // 8, low=1, high=V)
    loss = ctc_loss(log_p, text)
    yield f"is ctc_loss of {T} frames finite?", bool(loss.isfinite())
    yield f"ctc_loss of {T} frames and {T // 8} symbols", loss


# 7.7


class FakeModel:
    """A model whose scores depend on the text only; `calls` are the shapes, `received` the last."""

    def __init__(self, draw: Draw, V: int, eos: float = 0.0):
        self.V = V
        self.table = 2 * draw(V, V, V, dtype=torch.float64)
        self.table[..., EOS] += eos
        self.table[..., SOS] = -30.0
        self.calls: list[tuple[int, ...]] = []
        self.received = torch.zeros(0)

    def __call__(self, symbols: Tensor) -> Tensor:
        """Log-probabilities (n, V), of the last two symbols and of how many there are."""
        self.calls.append(tuple(symbols.shape))
        self.received = symbols.clone()
        last = symbols[:, -1]
        before = symbols[:, -2] if symbols.shape[1] > 1 else torch.zeros_like(last)
        scores = self.table[before % self.V, last % self.V].roll(symbols.shape[1] // 3, dims=-1)
        return scores.log_softmax(dim=-1)


class EndsLate:
    """Two texts end soon; one that is behind them then gains by each symbol, with a bonus of 1."""

    GOES = (0.9, 0.1, 0.9, 0.9, 0.9, 0.05)
    ENDS = (0.05, 0.6, 0.05, 0.05, 0.05, 0.9)

    def __init__(self, V: int, letter: int):
        self.V, self.letter = V, letter

    def __call__(self, symbols: Tensor) -> Tensor:
        place = min(symbols.shape[1], len(self.GOES)) - 1
        goes, ends = self.GOES[place], self.ENDS[place]
        p = torch.full((len(symbols), self.V), (1 - goes - ends) / (self.V - 2))
        p[:, self.letter], p[:, EOS] = goes, ends
        return p.log()


class RowByRow(FakeModel):
    """The same, where each row has scores of its own."""

    def __call__(self, symbols: Tensor) -> Tensor:
        rows = torch.arange(len(symbols))[:, None]
        shift = (torch.arange(self.V)[None] + rows) % (self.V - 3)
        scores = super().__call__(symbols)
        return torch.cat([scores[:, :3], scores[:, 3:].gather(1, shift[:, : self.V - 3])], dim=1)


def strays(symbols: Tensor) -> int:
    """How many symbols behind the first end of a row are not the end."""
    behind = (symbols == EOS).cumsum(dim=1) > 0
    return int((symbols[behind] != EOS).sum())


@trial("7.7", public={"B": 3, "V": 9, "longest": 17}, hidden={"B": 4, "V": 11, "longest": 19})
def greedy_values(draw, B, V, longest, greedy):
    """each row takes its best next symbol, until its own end."""
    for ends in (0.0, 2.0, 3.0, 4.0, 5.0, -9.0):
        step = RowByRow(draw, V, ends)
        yield (
            f"greedy(step, {B}, {longest}), ends made likelier by {ends}",
            greedy(step, B, longest),
        )
        yield "the shapes of the arguments of step", [list(shape) for shape in step.calls]
        yield "other symbols after a row's end, as step gets them", strays(step.received)
    step = RowByRow(draw, V, -60.0)  # which does not end
    yield "one row, one symbol", greedy(step, 1, 1)
    yield "the shapes of the arguments of step then", [list(shape) for shape in step.calls]


# 7.8


def _beamed(found: Any) -> tuple[list[int], float]:
    text, score = found
    return [int(symbol) for symbol in text], float(score)


def _texts_and_scores(what: str, found: Any) -> Iterator[tuple[str, Any]]:
    """Text and score as two results: scores are compared up to rounding."""
    text, score = _beamed(found)
    yield f"the text of {what}", text
    yield f"the score of {what}", score


@trial("7.8", public={"V": 6, "longest": 5}, hidden={"V": 7, "longest": 6})
def beam_values(draw, V, longest, beam_search):
    """the best ended text, with its score, for any width."""
    likely = [FakeModel(draw, V, 1.5) for _ in range(12)]
    found = [_beamed(beam_search(step, 2, longest)) for step in likely]
    yield "twelve times where the end is likelier", [text for text, _ in found]
    yield "and their scores", [score for _, score in found]
    for width in (1, 2, 3, 5):
        step = FakeModel(draw, V)
        yield from _texts_and_scores(
            f"beam_search(step, {width}, {longest})", beam_search(step, width, longest)
        )
        few = max(rows for rows, _ in step.calls) <= width
        yield f"is step called with {width} rows at most?", few
    for weight in (0.4, 1.5):
        what = f"beam_search with a length weight of {weight}"
        yield from _texts_and_scores(what, beam_search(FakeModel(draw, V, 1.0), 3, longest, weight))
    some = [FakeModel(draw, V) for _ in range(16)]
    found = [_beamed(beam_search(step, 3, longest + 3, 1.0)) for step in some]
    yield "sixteen times with a length weight of 1", [text for text, _ in found]
    yield "and their scores then", [score for _, score in found]
    late = EndsLate(V, letter=int(draw.integers(1, low=3, high=V)))
    what = "beam_search where the text that ends last comes out ahead"
    yield from _texts_and_scores(what, beam_search(late, 2, longest + 3, 1.0))
    never = FakeModel(draw, V, -60.0)
    yield from _texts_and_scores("beam_search where no text ends", beam_search(never, 2, longest))
    often = FakeModel(draw, V, 3.0)
    yield from _texts_and_scores(
        "beam_search where the end is likely", beam_search(often, 4, longest)
    )
    for width in (0, -1):
        yield (
            f"the error raised by a width of {width}",
            exception_of(beam_search, often, width, longest),
        )


@trial("7.8", public={"V": 5, "longest": 4}, hidden={"V": 5, "longest": 5})
def beam_widths(draw, V, longest, beam_search):
    """width 1 is greedy search, and a beam of all texts finds the best one."""
    steps, widths = [FakeModel(draw, V, ends) for ends in (0.0, 1.0, 2.0)], (1, V**longest)
    found = [_beamed(beam_search(step, n, longest)) for step in steps for n in widths]
    yield (
        f"the texts of three searches, of width 1 and {V**longest} each",
        [one[0] for one in found],
    )
    yield "and their scores", [score for _, score in found]


@trial("7.8", public={"V": 6, "n": 3, "U": 4}, hidden={"V": 8, "n": 5, "U": 5})
def joint_values(draw, V, n, U, joint_step):
    """the score of a symbol is the weighted sum of its log-probability and its increment of psi."""
    step, other = FakeModel(draw, V), FakeModel(draw, V)
    kinds: set[type] = set()

    def prefix_scores(text: tuple[int, ...]) -> Tensor:
        kinds.add(type(text))
        scores, row = torch.zeros(V, dtype=torch.float64), torch.tensor([[SOS, *text]])
        for place in range(1, row.shape[1] + 1):
            found = other(row[:, :place])[0]
            scores = scores[row[0, place - 1]] * (place > 1) + found
        return scores

    symbols = torch.cat([torch.full((n, 1), SOS), draw.integers(n, U, low=3, high=V)], dim=1)
    for weight in (0.3, 0.0, 1.0):
        both = joint_step(step, prefix_scores, weight)
        for places in (1, 2, U + 1):
            what = f"joint_step(step, prefix_scores, {weight}) of {places} symbols"
            yield what, both(symbols[:, :places])
    yield "is prefix_scores called with tuples?", kinds == {tuple}


# 7.9


@trial(
    "7.9",
    public={"B": 4, "N": 41, "F": 40, "V": 19, "U": 6},
    hidden={"B": 5, "N": 53, "F": 40, "V": 17, "U": 7},
    measure=compare_within(TOLERANCE),
)
def model_padding(draw, B, N, F, V, U, SpeechTransformer):
    """an utterance has the same logits alone and in a padded batch; the decoder is causal."""
    model = SpeechTransformer(F, V).eval()
    mel, valid, symbols = draw(B, N, F), valid_frames(B, N), draw.integers(B, U, high=V)
    shrunk = valid[:, ::2][:, ::2]
    logits, ctc = model(mel, valid, symbols)
    yield "the shape of the decoder's logits", str(tuple(logits.shape))
    yield "the shape of CTC's logits", str(tuple(ctc.shape))
    again, ctc_again = model(loud(mel, valid), valid, symbols)
    what = "equal with other padding?"
    yield f"are CTC's logits {what}", {"one": ctc[shrunk], "other": ctc_again[shrunk]}
    yield f"are the decoder's logits {what}", {"one": logits, "other": again}
    rows = [
        model(mel[b : b + 1, : int(valid[b].sum())], None, symbols[b : b + 1]) for b in range(B)
    ]
    alone = torch.cat([row[1][0] for row in rows])
    yield "are CTC's logits equal for each utterance alone?", {"one": ctc[shrunk], "other": alone}
    alone = torch.cat([row[0] for row in rows])
    yield "are the decoder's logits equal for each utterance alone?", dict(one=logits, other=alone)
    other = symbols.clone()
    other[:, U // 2 :] = (other[:, U // 2 :] + 1) % V
    later = model(mel, valid, other)[0]
    same = {"one": logits[:, : U // 2], "other": later[:, : U // 2]}
    yield "are the logits before a place alike, whatever is written there?", same
    yield "and those from there on?", {"one": logits[:, U // 2 :], "other": later[:, U // 2 :]}
    both = model.encode(mel, valid)
    yield "the mask of the memory", both[1]
    halves = {"one": logits, "other": model.decode(symbols, *both)}
    yield "are decode(symbols, *encode(mel, valid)) and forward alike?", halves


@trial(
    "7.9",
    public={"B": 4, "N": 41, "F": 40, "V": 19, "U": 6},
    hidden={"B": 5, "N": 53, "F": 40, "V": 17, "U": 7},
    measure=compare_within(DEPENDS),
)
def model_inputs(draw, B, N, F, V, U, SpeechTransformer):
    """the logits depend on the frames and the symbols, and on the order of both."""
    model = SpeechTransformer(F, V).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():  # a layer may begin with zeros
                parameter.normal_(std=0.1)
    mel, symbols = draw(B, N, F), draw.integers(B, U, low=3, high=V)
    symbols[:, 1] = 3 + (symbols[:, 0] - 2) % (V - 3)
    logits, ctc = model(mel, None, symbols)
    other, ctc_other = model(mel.roll(1, dims=0), None, symbols)
    yield "are the decoder's logits equal for other utterances?", {"one": logits, "other": other}
    yield "are CTC's logits equal for other utterances?", {"one": ctc, "other": ctc_other}
    for which, table in (("the decoder", logits), ("CTC", ctc)):
        ones = (table.sum(dim=-1) - 1).abs().max() < TOLERANCE
        yield f"do the logits of {which} add up to 1, as probabilities do?", bool(ones)
    other, ctc_other = model(mel.roll(16, dims=1), None, symbols)
    pair = {"one": logits, "other": other}
    yield "are the decoder's logits equal for the same at another time?", pair
    quiet, turned = torch.zeros(2, B, 48, F)
    quiet[:, 8:16], quiet[:, 24:32] = mel[:, 8:16], mel[:, 24:32]
    turned[:, 8:16], turned[:, 24:32] = mel[:, 24:32], mel[:, 8:16]
    pair = {"one": model(quiet, None, symbols)[0], "other": model(turned, None, symbols)[0]}
    yield "are the decoder's logits equal if two sounds change places?", pair
    turned = torch.cat([symbols[:, :2].flip(dims=[1]), symbols[:, 2:]], dim=1)
    other = model(mel, None, turned)[0]
    last = {"one": logits[:, -1], "other": other[:, -1]}
    yield "are the last logits equal if the first two symbols change places?", last
    equal = model(mel, None, torch.full_like(symbols, 3))[0]
    ends = {"one": equal[:, 0], "other": equal[:, -1]}
    yield "are the first and the last logits equal where all symbols are equal?", ends
    memory, _ = model.encode(mel)
    other = model.decode(symbols, memory.flip(dims=[0]))
    yield "are the logits equal for another memory?", {"one": logits, "other": other}


@trial(
    "7.9",
    public={"B": 3, "N": 29, "F": 40, "V": 19, "U": 5},
    hidden={"B": 4, "N": 37, "F": 40, "V": 19, "U": 6},
)
def budget(draw, B, N, F, V, U, SpeechTransformer):
    """training changes fewer than 1,000,000 numbers of the model, wherever they are."""
    given = draw(B, N, F), valid_frames(B, N), draw.integers(B, U, high=V)
    yield size_beyond(BUDGET, lambda: SpeechTransformer(F, V), *given)


@trial(
    "7.9",
    public={"B": 3, "N": 29, "F": 40, "V": 19, "U": 5},
    hidden={"B": 4, "N": 37, "F": 40, "V": 23, "U": 6},
)
def model_size(draw, B, N, F, V, U, SpeechTransformer):
    """a gradient reaches every parameter."""
    model = SpeechTransformer(F, V)
    given = draw(B, N, F), valid_frames(B, N), draw.integers(B, U, high=V)
    yield "numbers that learn and that the model does not declare", undeclared(model, *given)
    mel = given[0].requires_grad_()
    model(*given)[1].square().sum().backward()
    yield "does a gradient of CTC's logits reach the mel?", mel.grad is not None
    model.zero_grad()
    mel.grad = None
    logits, ctc = model(*given)
    logits.square().sum().backward(retain_graph=True)
    yield "does a gradient of the decoder's logits reach the mel?", mel.grad is not None
    (logits.square().sum() + ctc.square().sum()).backward()
    yield "parameters without a gradient", without_gradient(model)


class FixedLogits(torch.nn.Module):
    """In the place of a recognizer: logits that are known, whatever it is asked."""

    def __init__(self, draw: Draw, B: int, T: int, U: int, V: int):
        super().__init__()
        self.logits = draw(B, U, V).requires_grad_()
        self.ctc_logits = draw(B, T, V).requires_grad_()
        self.received: list[Tensor] = []

    def forward(self, mel: Tensor, valid: Tensor, symbols: Tensor) -> tuple[Tensor, Tensor]:
        self.received = [mel, valid, symbols]
        return self.logits, self.ctc_logits


@trial(
    "7.9",
    public={"B": 3, "N": 61, "V": 9, "lengths": (4, 2, 3)},
    hidden={"B": 4, "N": 77, "V": 11, "lengths": (5, 1, 4, 3)},
)
def loss_of_both(draw, B, N, V, lengths, joint_loss):
    """the joint loss is the weighted sum of CTC's and the decoder's."""
    texts = [draw.integers(length, low=3, high=V) for length in lengths]
    valid = torch.arange(N) < N - 9 * torch.arange(B)[:, None]
    model = FixedLogits(draw, B, (N + 3) // 4, max(lengths) + 1, V)
    mel = draw(B, N, 5)
    for weight in (0.3, 1.0, 0.0):
        yield f"joint_loss(…, {weight})", joint_loss(model, mel, valid, texts, weight)
    yield "valid and symbols as the model gets them", model.received[1:]
    joint_loss(model, mel, valid, texts, 0.3).backward()
    yield "the gradient of the decoder's logits", model.logits.grad
    yield "the gradient of CTC's logits", model.ctc_logits.grad


@trial("7.9", public={}, hidden={})
def recipe_values(draw, recipe):
    """a recipe that trains both losses."""
    found = recipe()
    yield "the names in recipe()", sorted(map(str, found))
    yield "are there 1 to 5,000 steps?", 1 <= found["steps"] <= 5_000
    yield "is the learning rate between 0.00001 and 0.1?", 1e-5 <= found["lr"] <= 0.1
    yield "is the weight of CTC between 0 and 1?", 0 < found["ctc_weight"] < 1

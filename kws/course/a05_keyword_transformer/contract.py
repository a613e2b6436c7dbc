"""The contract of assignment 5: tokens, stem, class token, keyword transformer, and its errors.

Shape letters: B batch   T frames   F mel bands   N tokens   D model width   E feed-forward width
               C classes
"""

from collections.abc import Iterator
from typing import Any

import torch

from kws.course.a02_attention.contract import count
from kws.course.a04_conformer.contract import without_gradient
from kws.course.operators import size_beyond
from kws.course.recipes import within_reason
from kws.course.trial import Draw, trial

BUDGET = 500_000  # numbers of the small model that training changes
CLIP = (101, 64)  # frames and mel bands of a second
WORDS = ("_silence_", "go", "cat", "_unknown_", "off", "yes", "marvin", "down")
WORDS += ("left", "up", "six", "right", "no", "stop", "on", "backward")


def stem_weights(draw: Draw, channels: tuple[int, int]) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for place, (before, after) in enumerate(((1, channels[0]), channels), start=1):
        conv, norm = f"conv{place}", f"norm{place}"
        found |= draw.weights(
            **{f"{conv}__weight": (after, before, 3, 3), f"{conv}__bias": (after,)},
            **{f"{norm}__weight": (after,), f"{norm}__bias": (after,)},
            **{f"{norm}__running_mean": (after,)},
        )
        found[f"{norm}.running_var"] = draw.uniform(after, low=0.5, high=1.5)
    return found


def token_weights(draw: Draw, D: int, N: int | None) -> dict[str, torch.Tensor]:
    return draw.weights(token=(D,), **({} if N is None else {"positions": (N + 1, D)}))


def encoder_layer_weights(draw: Draw, D: int, E: int) -> dict[str, torch.Tensor]:
    return draw.weights(
        attention__qkv__weight=(3 * D, D),
        attention__qkv__bias=(3 * D,),
        attention__out__weight=(D, D),
        attention__out__bias=(D,),
        feed_forward__expand__weight=(E, D),
        feed_forward__expand__bias=(E,),
        feed_forward__contract__weight=(D, E),
        feed_forward__contract__bias=(D,),
        norm_attention__weight=(D,),
        norm_attention__bias=(D,),
        norm_feed_forward__weight=(D,),
        norm_feed_forward__bias=(D,),
    )


# 5.1


@trial(
    "5.1",
    public={"bands": 40, "frames": 98, "strides": (2, 3)},
    hidden={"bands": range(60, 100), "frames": range(30, 60), "strides": (3, 2)},
)
def tokens_values(draw, bands, frames, strides, count_tokens):
    """tokens are counted for any size and any number of convolutions."""
    for some in (strides, (2, 4), (3, 1, 2), (5,), ()):
        yield f"count_tokens({bands}, {frames}, {some})", count_tokens(bands, frames, some)
    yield "count_tokens(7, 9, (2, 2))", count_tokens(7, 9, (2, 2))


@trial(
    "5.1",
    public={"batch": 16, "heads": 8, "layers": 6, "tokens": 6465},
    hidden={"batch": 3, "heads": 5, "layers": range(6, 30), "tokens": range(31, 99)},
)
def memory_values(draw, batch, heads, layers, tokens, attention_bytes):
    """weights grow with the square of the tokens, and in proportion to all else."""
    sizes = (batch, heads, layers, tokens)
    yield f"attention_bytes{sizes}", attention_bytes(*sizes)
    yield "attention_bytes(2, 3, 5, 7)", attention_bytes(2, 3, 5, 7)


# 5.2

STEM = {"B": 3, "T": 23, "F": 14, "channels": (2, 3), "strides": (2, 3)}
STEM_HIDDEN = {"B": 4, "T": 19, "F": 17, "channels": (3, 5), "strides": (1, 2)}


@trial("5.2", public=STEM, hidden=STEM_HIDDEN)
def stem_points(draw, B, T, F, channels, strides, Stem, load_stem):
    """points equal the formula with known weights, for any strides, in training too."""
    mel = draw(B, T, F).requires_grad_()
    for each in (strides, strides[::-1]):
        stem = Stem(channels, each)
        load_stem(stem, stem_weights(draw, channels))
        stem.eval()
        yield f"Stem({channels}, {each})(mel) in evaluation mode", stem(mel)
    stem.train()
    tokens = stem(mel)
    yield "Stem(…)(mel) in training mode", tokens
    (tokens * draw(*tokens.shape)).sum().backward()
    yield "the gradient of mel", mel.grad
    stem.eval()
    yield "Stem(…)(mel) in evaluation mode, after a step of training", stem(mel)
    yield "mel after the call (modified in place?)", mel


@trial("5.2", public=STEM, hidden=STEM_HIDDEN)
def stem_columns(draw, B, T, F, channels, strides, Stem, load_stem):
    """a column is all bands of a frame, one after the other."""
    mel, weights, found = draw(B, T, F), stem_weights(draw, channels), []
    for columns in (True, False):
        stem = Stem(channels, strides, columns)
        load_stem(stem, weights)
        found.append(stem.eval()(mel))
    columns, points = found
    yield "the shape of columns", list(columns.shape)
    yield "do the columns of two clips differ?", not torch.equal(columns[0], columns[1])
    what = "how columns differ from the points of their frame, one band after the other"
    yield what, columns - points.reshape(columns.shape)


@trial("5.2", public={"C": 64}, hidden={"C": range(33, 300)})
def stem_count(draw, C, Stem):
    """points and columns have the same number of parameters."""
    for columns in (False, True):
        what = f"parameters of Stem((32, {C}), (2, 2), columns={columns})"
        yield what, count(Stem((32, C), (2, 2), columns))


# 5.3


@trial("5.3", public={"B": 3, "N": 5, "D": 4}, hidden={"B": 4, "N": 11, "D": 6})
def token_values(draw, B, N, D, ClassToken, load_token):
    """the token is the first of every clip, and each place has a position, the token's included."""
    x = draw(B, N, D).requires_grad_()
    for positions in (False, True):
        reader = ClassToken(D, N, positions)
        load_token(reader, token_weights(draw, D, N if positions else None))
        y = reader(x)
        yield f"reader(x) with positions={positions}", y
        (y * draw(*y.shape)).sum().backward()
        silent = sum(p.grad is None or not bool(p.grad.any()) for p in reader.parameters())
        yield f"parameters without a gradient, with positions={positions}", silent
    yield "the gradient of x", x.grad
    yield "x after the call (modified in place?)", x


@trial("5.3", public={"N": 5, "D": 4}, hidden={"N": range(7, 90), "D": range(92, 199)})
def token_count(draw, N, D, ClassToken):
    """the token has D parameters, positions have (N + 1) D more."""
    for positions in (False, True):
        what = f"parameters of ClassToken({D}, {N}, positions={positions})"
        yield what, count(ClassToken(D, N, positions))


def _starts(results: dict[str, Any], **_: Any) -> Iterator[tuple[str, Any]]:
    for what, numbers in results.items():
        again = numbers.numel() - len(numbers.unique())
        # two of many random numbers may be the same by chance
        yield f"{what}: numbers that are there again", again if again > numbers.numel() / 10 else 0
        yield f"{what}: is a number beyond ±0.5?", bool((numbers.abs() > 0.5).any())


@trial("5.3", public={"N": 5, "D": 200}, hidden={"N": 7, "D": 250}, measure=_starts)
def token_start(draw, N, D, ClassToken):
    """token and positions start as small random numbers."""
    nothing = torch.zeros(1, N, D)
    # the tokens are not all zero, as a token may begin that is appended to the end
    yield "a new token", ClassToken(D, N)(0.02 * draw(1, N, D))[0, :1]
    yield "new positions", ClassToken(D, N, positions=True)(nothing)[0, 1:]


# 5.4


KEYWORDS = {"C": 5, "channels": (2, 3), "strides": (4, 3), "bands": 6, "frames": 9, "L": 3}
KEYWORDS_HIDDEN = {"C": 7, "channels": (3, 4), "strides": (3, 5), "bands": 5, "frames": 7, "L": 2}


@trial("5.4", public=KEYWORDS, hidden=KEYWORDS_HIDDEN)
def transformer_values(
    draw, C, channels, strides, bands, frames, L, KeywordTransformer, load_transformer
):
    """the model equals its parts, one after the other, and classifies the cls token."""
    D, H, E = 6, 2, 7
    mel = draw(3, *CLIP)
    for columns, positions in ((False, False), (True, True), (False, True)):
        model = KeywordTransformer(C, channels, strides, columns, positions, D, H, E, L)
        kind = f"columns={columns}, positions={positions}"
        yield f"the shape of model(mel) with {kind}", list(model(mel).shape)
        tokens = (frames, bands) if columns else (frames * bands, 1)
        load_transformer(model, keyword_weights(draw, C, channels, *tokens, positions, L))
        logits = model.eval()(mel)
        yield f"model(mel) with {kind}, in evaluation mode,", logits
        (logits * draw(*logits.shape)).sum().backward()
        yield "parameters without a gradient", sum(p.grad is None for p in model.parameters())


def keyword_weights(draw, C, channels, N, bands, positions, L):
    """Known weights for N tokens of so many bands, with D = 6 and E = 7."""
    return {
        "stem": stem_weights(draw, channels),
        "widen": draw.weights(weight=(6, channels[1] * bands), bias=(6,)),
        "reader": token_weights(draw, 6, N if positions else None),
        "layers": [encoder_layer_weights(draw, 6, 7) for _ in range(L)],
        "classify": draw.weights(weight=(C, 6), bias=(C,)),
    }


@trial("5.4", public=KEYWORDS, hidden=KEYWORDS_HIDDEN)
def transformer_modes(
    draw, C, channels, strides, bands, frames, L, KeywordTransformer, load_transformer
):
    """a clip is classified by itself; in training the batch norm of the stem sees all clips."""
    model = KeywordTransformer(C, channels, strides, False, False, 6, 2, 7, L)
    load_transformer(model, keyword_weights(draw, C, channels, frames * bands, 1, False, L))
    mel = draw(3, *CLIP)
    trained = model(mel)
    yield "the shape of model(mel)", list(trained.shape)
    same = torch.equal(trained, model(mel))
    change = not torch.allclose(model(mel[:2]), trained[:2], atol=1e-4)
    y = model.eval()(mel)
    yield "do two clips have other logits?", not torch.allclose(y[0], y[1], atol=1e-4)
    yield "the change of the logits of a clip alone, in evaluation mode", model(mel[:1]) - y[:1]
    yield "is model(mel) the same in a second call, in training mode?", same
    yield "do the logits of a clip change with the other clips, in training mode?", change
    yield "mel after the calls (modified in place?)", mel


@trial("5.4", public={"C": 5}, hidden={"C": range(7, 300)})
def transformer_without_layers(draw, C, KeywordTransformer):
    """without layers, nothing of a clip reaches its logits: the cls token alone is classified."""
    model = KeywordTransformer(C, (2, 3), (3, 3), d_model=6, num_heads=2, d_ff=7, num_layers=0)
    logits = model.eval()(draw(3, *CLIP))
    yield "the shape of model(mel)", list(logits.shape)
    distance = (logits - logits[:1]).abs().max()
    yield "how far the logits of clips are apart where there are no layers", distance


@trial("5.4", public={"C": 5, "D": 6, "E": 7}, hidden={"C": 7, "D": 10, "E": range(11, 300)})
def transformer_count(draw, C, D, E, KeywordTransformer):
    """every layer has its own parameters."""
    for layers in (0, 1, 3):
        model = KeywordTransformer(
            C, (2, 3), columns=True, d_model=D, num_heads=2, d_ff=E, num_layers=layers
        )
        yield f"parameters of KeywordTransformer({C}, …, num_layers={layers})", count(model)
    model = KeywordTransformer(C, (2, 3), positions=True, d_model=D, num_heads=2, d_ff=E)
    yield f"parameters of KeywordTransformer({C}, …, positions=True)", count(model)


# 5.5


@trial(
    "5.5",
    public={"C": 5, "channels": (7, 3), "D": 11, "E": 13, "L": 2},
    hidden={"C": 35, "channels": (16, 32), "D": 64, "E": range(65, 400), "L": 3},
)
def parameters_values(draw, C, channels, D, E, L, keyword_parameters):
    """the formula is right for other channels, widths and depths."""
    yield "keyword_parameters(12)", keyword_parameters(12)
    yield f"keyword_parameters({C})", keyword_parameters(C)
    for depth in (L, 1, 0):
        sizes = (C, channels, D, E, depth)
        yield f"keyword_parameters{sizes}", keyword_parameters(*sizes)


@trial("5.5", public={"C": 31}, hidden={"C": range(13, 400)})
def parameters_built(draw, C, KeywordTransformer, keyword_parameters):
    """the report's model has 2,147,404 parameters, as predicted, and another for other classes."""
    for classes in (12, C):
        predicted = keyword_parameters(classes)
        built = count(KeywordTransformer(classes))
        yield f"parameters of KeywordTransformer({classes})", built
        yield f"keyword_parameters({classes}), less those of KeywordTransformer", predicted - built


# 5.6


@trial("5.6", public={"B": 3}, hidden={"B": 5})
def small_model_learns(draw, B, small_model):
    """training changes every parameter, and at most 500,000 numbers, wherever they are."""
    mel = draw(B, 101, 64)
    yield size_beyond(BUDGET, small_model, mel)
    model = small_model()
    logits = model(mel)
    yield "the shape of small_model()(mel)", list(logits.shape)
    logits.square().sum().backward()
    yield "parameters without a gradient", without_gradient(model)


@trial("5.6", public={"most": 100_000}, hidden={"most": 100_000})
def recipe(draw, most, recipe):
    yield from within_reason(recipe(), most, 1024)


# 5.7


@trial("5.7", public={"n": 31, "C": 3}, hidden={"n": 101, "C": 12})
def confusion_values(draw, n, C, confusion_matrix):
    """every clip is counted once, in the row of its class."""
    for classes in (C, 2, 35):
        predicted, labels = draw.integers(n, high=classes), draw.integers(n, high=classes)
        matrix = confusion_matrix(predicted, labels, classes)
        yield f"confusion_matrix of {n} clips, {classes} classes,", matrix
        yield "predicted after the call (modified in place?)", predicted
        yield "labels after the call (modified in place?)", labels


@trial("5.7", public={"n": 4, "C": 3}, hidden={"n": range(5, 50), "C": range(3, 30)})
def confusion_absent(draw, n, C, confusion_matrix):
    """a class without clips, or never predicted, keeps its row and its column."""
    zeros = torch.zeros(n, dtype=torch.long)
    yield (
        f"confusion_matrix where all of {C} classes but one are absent",
        confusion_matrix(zeros, zeros, C),
    )
    yield (
        f"confusion_matrix where all are predicted as class {C - 1}",
        confusion_matrix(zeros + C - 1, zeros, C),
    )
    yield "confusion_matrix of no clips", confusion_matrix(zeros[:0], zeros[:0], C)


# 5.8


@trial("5.8", public={"n": 10, "C": 4}, hidden={"n": 97, "C": 12})
def threshold_values(draw, n, C, with_threshold):
    """the most probable class, or unknown below the threshold."""
    probabilities = (2 * draw(n, C)).softmax(1)
    for threshold, unknown in ((0.4, 1), (0.6, C - 1), (0.6, C)):
        what = f"with_threshold(probabilities, {threshold}, {unknown})"
        yield what, with_threshold(probabilities, threshold, unknown)
    yield "probabilities after the call (modified in place?)", probabilities


@trial("5.8", public={"n": 5, "C": 3}, hidden={"n": 13, "C": 5})
def threshold_ends(draw, n, C, with_threshold):
    """at 0 nothing is unknown, above 1 everything; what equals the threshold is not below it."""
    probabilities = draw(n, C).softmax(1)
    for threshold in (0.0, 1.01):
        what = f"with_threshold(probabilities, {threshold}, {C})"
        yield what, with_threshold(probabilities, threshold, C)
    rows = torch.tensor([[0.25, 0.5, 0.25], [1.0, 0.0, 0.0], [0.25, 0.25, 0.5]])
    for threshold in (0.5, 1.0):
        what = f"with_threshold of rows that reach 0.5, 1 and 0.5, threshold {threshold},"
        yield what, with_threshold(rows, threshold, 3)


# 5.9


@trial("5.9", public={"words": WORDS}, hidden={"words": ("_silence_", "tree", *WORDS[:0:-1])})
def table_words(draw, words, kaggle_table):
    """each label of the course has its name on Kaggle, whatever their order."""
    order, words = draw(len(words)).argsort(), [words[n] for n in draw(len(words)).argsort()]
    files = [f"clip_{number:02}.wav" for number in range(len(words))]
    table = kaggle_table(files, order, [*words])
    yield "the files of the table", sorted(table)
    for row, file in sorted(zip(order.tolist(), files, strict=True)):
        yield f"the label of a clip that was taken for {words[row]}", table[file]


@trial("5.9", public={"n": 6, "C": 3}, hidden={"n": 157, "C": 12})
def table_files(draw, n, C, kaggle_table):
    """each file has its row, also where several clips are of one class."""
    predicted = draw.integers(n, high=C)
    table = kaggle_table([f"{n - i}.wav" for i in range(n)], predicted, list(WORDS[:C]))
    yield "the table", table
    yield "the table of no clips", kaggle_table([], predicted[:0], list(WORDS[:C]))

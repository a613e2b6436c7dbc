"""How many parameters a named model has, predicted part by part from its settings alone.

    predict(configure("kwt-1"))["encoder"].value   12 (4 d² + 6 d + 2 d f + f) = 597,504

A part is a direct child of the model, or a parameter of its own, under its name there; parts
without parameters are left out. `kws params` prints these formulas beside the measured counts.

Letters: C classes   m features of a frame   d width   f width of the feed-forward layer   L layers
         k kernel size   a, b, c channels   h width of a recurrent direction or of a hidden layer
         w, g other widths   N positions
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from kws.models import speaker
from kws.models.bc_resnet import HEAD_KERNEL, STAGE_BLOCKS, BcResNetConfig, widths_of
from kws.models.convs2s import ConvS2sConfig
from kws.models.formula import Formula
from kws.models.keyword_transformer import KeywordTransformerConfig
from kws.models.recurrent import CrnnConfig, GruConfig, RnnConfig
from kws.models.sequence_classifier import STEM_CHANNELS, STEM_STRIDES
from kws.models.tdnn import TdnnConfig

Parts = dict[str, Formula]


def predict(config: Any) -> Parts:
    """Parameters of each part of the model that `config` describes.

    Raises:
        TypeError: if there is no prediction for this kind of settings.
    """
    for kind, prediction in PREDICTIONS.items():
        if isinstance(config, kind):
            return prediction(config)
    raise TypeError(f"no prediction for {type(config).__name__}")


def linear(n_in: int, n_out: int, names: str = "d C") -> Formula:
    """A linear layer; `names` are those of its two widths."""
    a, b = names.split()
    return Formula(f"{a} {b} + {b}", {a: n_in, b: n_out})


def conv_stem(channels: tuple[int, ...]) -> Formula:
    """3 × 3 convolutions, each with a bias and a normalization: 9 in out + 3 out."""
    names = "abcefghij"[: len(channels)]
    text = ["9 a + 3 a", *(f"9 {i} {o} + 3 {o}" for i, o in itertools.pairwise(names))]
    return Formula(" + ".join(text), dict(zip(names, channels, strict=True)))


def bands_after(num_features: int, divisors: Iterable[int], *, ceil: bool) -> int:
    """Bands left after strides (rounded up) or poolings (rounded down)."""
    for divisor in divisors:
        num_features = -(-num_features // divisor) if ceil else num_features // divisor
    return num_features


def encoder_layer(d: int, f: int, *, qkv_bias: bool = True, relative: bool = False) -> Formula:
    """Attention 4 d² + 4 d, feed-forward 2 d f + f + d, two normalizations 4 d."""
    text = "4 d² + 9 d + 2 d f + f" if qkv_bias else "4 d² + 6 d + 2 d f + f"
    return Formula(text + (" + d² + 2 d" if relative else ""), {"d": d, "f": f})


def times(count: int, layer: Formula) -> Formula:
    """`count` layers of one formula, each with weights of its own."""
    return Formula(f"L ({layer.text})", {"L": count, **layer.values})


def bidirectional_rnn(width: int, hidden_size: int, num_layers: int, *, gates: int = 3) -> Formula:
    """gates · h (in + h + 2) for each layer and direction; above the first layer in is 2 h.

    A GRU has 3 gates, an LSTM 4.
    """
    values = {"w": width, "h": hidden_size}
    text = f"2 ({gates} h (w + h + 2))"
    if num_layers == 1:
        return Formula(text, values)
    return Formula(f"{text} + 2 (L - 1) ({gates} h (3 h + 2))", {**values, "L": num_layers})


def pooling(name: str, width: int) -> Parts:
    """Nothing for the mean; a score of each frame; or a hidden layer of width d before it."""
    texts = {"attention": "d + 1", "self-attentive": "d² + 2 d"}
    return {"pool": Formula(texts[name], {"d": width})} if name in texts else {}


def classifier(width: int, num_classes: int, d_hidden: int, *, normalized: bool) -> Formula:
    """A normalization, a hidden layer, both if there are any, and a linear layer."""
    text = "2 d + " if normalized else ""
    if d_hidden:
        values = {"d": width, "h": d_hidden, "C": num_classes}
        return Formula(f"{text}d h + h + h C + C", values)
    return Formula(f"{text}d C + C", {"d": width, "C": num_classes})


def predict_crnn(config: CrnnConfig) -> Parts:
    """Convolutions, GRU over the bands that they leave, pooling, classifier."""
    bands = bands_after(config.num_features, tuple(pool for pool, _ in config.pools), ceil=False)
    width = bands * config.channels[-1]
    d = 2 * config.hidden_size
    return {
        "stem": conv_stem(config.channels),
        "gru": bidirectional_rnn(width, config.hidden_size, config.num_layers),
        **pooling(config.pooling, d),
        "classify": classifier(d, config.num_classes, config.d_hidden, normalized=False),
    }


def predict_gru(config: GruConfig) -> Parts:
    """Two convolutions over time, with 2 and 3 frames, GRU, linear layer."""
    sizes = {"m": config.num_features, "a": config.channels}
    return {
        "narrow": Formula("2 m a + a", sizes),
        "widen": Formula("3 a m + m", sizes),
        "gru": bidirectional_rnn(config.num_features, config.hidden_size, config.num_layers),
        "classify": linear(2 * config.hidden_size, config.num_classes),
    }


def predict_rnn(config: RnnConfig) -> Parts:
    """Recurrent layers over the frames, linear layer."""
    gates = {"gru": 3, "lstm": 4}[config.cell]
    h = config.hidden_size
    return {
        "rnn": bidirectional_rnn(config.num_features, h, config.num_layers, gates=gates),
        "classify": linear(2 * h, config.num_classes),
    }


def predict_convs2s(config: ConvS2sConfig) -> Parts:
    """A block convolves k frames of width d to 2 d channels."""
    d = config.d_model
    return {
        "project": linear(config.num_features, d, "m d"),
        "positions": Formula("N d", {"N": config.max_frames, "d": d}),
        "blocks": times(
            config.num_layers, Formula("2 k d² + 2 d", {"k": config.kernel_size, "d": d})
        ),
        "classify": linear(d, config.num_classes),
    }


def predict_keyword_transformer(config: KeywordTransformerConfig) -> Parts:
    """The cls token counts as one more learned position."""
    d = config.d_model
    layer = encoder_layer(d, config.d_ff, qkv_bias=config.qkv_bias)
    parts: Parts = {"cls": Formula("d", {"d": d})}
    if config.stem == "frames":
        parts["project"] = linear(config.num_features, d, "m d")
    else:
        parts["stem"] = conv_stem(config.channels)
        parts["project"] = linear(config.channels[-1], d, "b d")
    if config.positions == "learned":
        parts["positions"] = Formula("(1 + N) d", {"N": config.max_tokens, "d": d})
    parts["encoder"] = times(config.num_layers, layer)
    parts["classify"] = linear(d, config.num_classes)
    return parts


def predict_bc_resnet(config: BcResNetConfig) -> Parts:
    """A block of width a: kernels 3 a + 3 a, mixing a², normalizations 2 S a + 2 a."""
    stem, *widths, head = widths_of(config.base_channels)
    texts, values, before = [], {"s": stem, "S": config.sub_bands}, ("s", stem)
    for name, width, blocks in zip("abce", widths, STAGE_BLOCKS, strict=True):
        values[name] = width
        if width != before[1]:  # the first block of the stage changes the width
            texts.append(f"{before[0]} {name} + 2 {name}")
        texts.append(f"{blocks} ({name}² + 8 {name} + 2 S {name})")
        before = (name, width)
    last = {"e": widths[-1]}
    return {
        "stem": Formula("25 s", {"s": stem}),
        "stem_norm": Formula("2 s", {"s": stem}),
        "blocks": Formula(" + ".join(texts), values),
        "head": Formula("k² e", {"k": HEAD_KERNEL, **last}),
        "head_mix": Formula("e g", {**last, "g": head}),
        "head_norm": Formula("2 g", {"g": head}),
        "classify": linear(head, config.num_classes, "g C"),
    }


def predict_tdnn(config: TdnnConfig) -> Parts:
    """Layers of 5, 3, 3, 1 and 1 frames; mean and deviation double the last one's width."""
    c, h = config.channels, config.d_hidden
    layers = "5 m c + 3 c + 2 (3 c² + 3 c) + c² + 3 c + 3 c² + 9 c"
    return {
        "layers": Formula(layers, {"m": config.num_features, "c": c}),
        "classify": classifier(6 * c, config.num_classes, h, normalized=True),
    }


def front_end(config: speaker.EncoderSettings) -> Formula:
    """A projection of each frame, or of what two convolutions leave of it."""
    if config.front_end == "linear":
        return linear(config.num_features, config.d_model, "m d")
    bands = bands_after(config.num_features, STEM_STRIDES, ceil=True)
    sizes = {"b": STEM_CHANNELS[-1], "n": bands, "d": config.d_model}
    return conv_stem(STEM_CHANNELS) + Formula("b n d + d", sizes)


def around(config: speaker.EncoderSettings, encoder: Formula) -> Parts:
    """The parts that Transformer and Conformer have in common, with the encoder between them."""
    d, normalized = config.d_model, config.normalization != "none"
    return {
        "front_end": front_end(config),
        "encoder": encoder,
        **pooling(config.pooling, d),
        "classify": classifier(d, config.num_classes, config.d_hidden, normalized=normalized),
    }


def predict_transformer(config: speaker.TransformerConfig) -> Parts:
    """A layer that is shared counts once."""
    relative = config.positions == "relative"
    layer = encoder_layer(config.d_model, config.d_ff, qkv_bias=config.qkv_bias, relative=relative)
    encoder = layer if config.share_weights else times(config.num_layers, layer)
    if config.norm_first:
        encoder += Formula("2 d", {"d": config.d_model})
    return around(config, encoder)


def predict_conformer(config: speaker.ConformerConfig) -> Parts:
    """Two feed-forwards, attention, a convolution module and five normalizations a layer."""
    values = {"d": config.d_model, "f": config.d_ff, "k": config.kernel_size}
    text = "7 d² + 4 d f + 2 f + (22 + k) d"
    relative = " + d² + 2 d" if config.positions == "relative" else ""
    return around(config, times(config.num_layers, Formula(text + relative, values)))


def predict_laboratory_conformer(config: speaker.LaboratoryConformerConfig) -> Parts:
    """One layer, used L times."""
    d, normalized = config.d_model, config.normalization != "none"
    values = {"d": d, "f": config.d_ff, "k": config.kernel_size}
    return {
        "front_end": linear(config.num_features, d, "m d"),
        "encoder": Formula("(7 + k) d² + 9 d + 4 d f + 2 f", values),
        "classify": classifier(d, config.num_classes, 0, normalized=normalized),
    }


PREDICTIONS: dict[type, Callable[[Any], Parts]] = {
    CrnnConfig: predict_crnn,
    GruConfig: predict_gru,
    RnnConfig: predict_rnn,
    ConvS2sConfig: predict_convs2s,
    KeywordTransformerConfig: predict_keyword_transformer,
    BcResNetConfig: predict_bc_resnet,
    TdnnConfig: predict_tdnn,
    speaker.TransformerConfig: predict_transformer,
    speaker.ConformerConfig: predict_conformer,
    speaker.LaboratoryConformerConfig: predict_laboratory_conformer,
}

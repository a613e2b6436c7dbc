"""How many parameters a model has: measured, and by formula from its settings alone.

    print(formulas(configure("kwt-1"))["encoder"])   L (4 d² + 6 d + 2 d f + f), in all 597,504

A part is a direct child of the model, or a parameter of its own, under its name there; parts
without parameters are left out. `kws params` prints the formulas beside the measured counts.

Letters: C classes   m features of a frame   d width   f width of the feed-forward layer   L layers
         k kernel size   a, b, c channels   h width of a recurrent direction or of a hidden layer
         w, g other widths   N positions
"""

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from kws.models import speaker
from kws.models.bc_resnet import HEAD_KERNEL, STAGE_BLOCKS, BcResNetConfig, widths_of
from kws.models.causal import CausalConfig
from kws.models.causal_conformer import CausalConformerConfig
from kws.models.causal_crnn import CausalCrnnConfig
from kws.models.classifier import STEM_CHANNELS, STEM_STRIDES
from kws.models.convs2s import ConvS2sConfig
from kws.models.ds_cnn import STEM_KERNEL, DsCnnConfig
from kws.models.gated import GatedCrnnConfig
from kws.models.keyword_transformer import KeywordTransformerConfig
from kws.models.pair import CrnnPairConfig
from kws.models.patches import count_patches
from kws.models.recurrent import CrnnConfig, GruConfig, RnnConfig
from kws.models.spectrogram_transformer import SpectrogramTransformerConfig
from kws.models.speech_gru import SpeechGruConfig
from kws.models.speech_transformer import SpeechTransformerConfig, count_subsampled
from kws.models.tdnn import TdnnConfig

# Scalars of the layers; the number of heads does not matter.
ATTENTION = "4*d**2 + 4*d"  # queries, keys, values, output: four linear layers
FEED_FORWARD = "2*d*f + f + d"
ENCODER_LAYER = "4*d**2 + 9*d + 2*d*f + f"  # the two and two LayerNorms of 2 d
ENCODER_LAYER_NO_QKV_BIAS = "4*d**2 + 6*d + 2*d*f + f"
RELATIVE = "d**2 + 2*d"  # what relative positions add to an attention
CONVOLUTION_MODULE = "3*d**2 + (8 + k)*d"  # two pointwise of 2 d² and d², depthwise, two norms
CONFORMER_LAYER = "7*d**2 + 4*d*f + 2*f + (22 + k)*d"
BRANCHFORMER_LAYER = "6*d**2 + 12*d + 3*d*f//2 + f + (3 + k)*f//2"  # f is even


def count_parameters(module: nn.Module) -> int:
    """Number of trainable scalars; a tensor that several layers share counts once."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def measured_parts(module: nn.Module) -> dict[str, int]:
    """Trainable scalars of each direct child, and of the module's own parameters, by name.

    Parts without any are left out. A tensor that two parts share counts in the first of them, so
    the parts add up to `count_parameters(module)`.
    """
    parts: dict[str, int] = {}
    for name, parameter in module.named_parameters():
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + parameter.numel() * parameter.requires_grad
    return {part: count for part, count in parts.items() if count}


def shared_tensors(module: nn.Module) -> list[list[str]]:
    """The names of every parameter that has more than one: weights that are used repeatedly.

    >>> layer = nn.Linear(3, 3, bias=False)
    >>> shared_tensors(nn.Sequential(layer, nn.ReLU(), layer))
    [['0.weight', '2.weight']]
    """
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return [group for group in names.values() if len(group) > 1]


@dataclass(frozen=True)
class Formula:
    """A Python expression and the numbers in it.

    >>> layers = Formula("L*(4*d**2 + 9*d + 2*d*f + f)", {"L": 4, "d": 256, "f": 512})
    >>> print(layers, "=", layers.value)
    L (4 d² + 9 d + 2 d f + f) = 2108416
    """

    expression: str
    values: Mapping[str, int]

    @property
    def value(self) -> int:
        # only expressions of this module get here, never untrusted text
        return eval(self.expression, {"__builtins__": {}}, dict(self.values))

    def __str__(self) -> str:
        return self.expression.replace("**2", "²").replace("*", " ")

    def __add__(self, other: "Formula") -> "Formula":
        """The sum of two formulas; a name that both have must have one value."""
        for name in self.values.keys() & other.values.keys():
            if self.values[name] != other.values[name]:
                raise ValueError(f"{name} is {self.values[name]} and {other.values[name]}")
        return Formula(f"{self.expression} + {other.expression}", {**self.values, **other.values})


Parts = dict[str, Formula]


def formulas(config: Any) -> Parts:
    """Parameters of each part of the model of `config`. TypeError: no formula for its kind."""
    for kind, parts_of in PARTS.items():
        if isinstance(config, kind):
            return parts_of(config)
    raise TypeError(f"no formula for {type(config).__name__}")


def encoder_layer(d: int, f: int, *, qkv_bias: bool = True, relative: bool = False) -> Formula:
    layer = Formula(ENCODER_LAYER if qkv_bias else ENCODER_LAYER_NO_QKV_BIAS, {"d": d, "f": f})
    return layer + Formula(RELATIVE, {"d": d}) if relative else layer


def conformer_layer(d: int, f: int, k: int, *, relative: bool = False) -> Formula:
    layer = Formula(CONFORMER_LAYER, {"d": d, "f": f, "k": k})
    return layer + Formula(RELATIVE, {"d": d}) if relative else layer


def times(count: int, layer: Formula) -> Formula:
    """`count` layers of one formula, each with weights of its own."""
    return Formula(f"L*({layer.expression})", {"L": count, **layer.values})


def linear(n_in: int, n_out: int, names: str = "d C") -> Formula:
    """A linear layer; `names` are those of its two widths."""
    a, b = names.split()
    return Formula(f"{a}*{b} + {b}", {a: n_in, b: n_out})


def conv_stem(channels: tuple[int, ...]) -> Formula:
    """3 × 3 convolutions, each with a bias and a normalization: 9 in out + 3 out."""
    names = "abcefghij"[: len(channels)]
    terms = ["9*a + 3*a", *(f"9*{i}*{o} + 3*{o}" for i, o in itertools.pairwise(names))]
    return Formula(" + ".join(terms), dict(zip(names, channels, strict=True)))


def bands_after(num_features: int, divisors: Iterable[int], *, ceil: bool) -> int:
    """Bands left after strides (rounded up) or poolings (rounded down)."""
    for divisor in divisors:
        num_features = -(-num_features // divisor) if ceil else num_features // divisor
    return num_features


def bidirectional_rnn(width: int, hidden_size: int, num_layers: int, *, gates: int = 3) -> Formula:
    """gates (GRU 3, LSTM 4) · h (in + h + 2) a layer and direction; in = 2 h above the first."""
    values = {"w": width, "h": hidden_size}
    text = f"2*({gates}*h*(w + h + 2))"
    if num_layers == 1:
        return Formula(text, values)
    return Formula(f"{text} + 2*(L - 1)*({gates}*h*(3*h + 2))", {**values, "L": num_layers})


def pooling(name: str, width: int) -> Parts:
    """Nothing for the mean; a score of each frame; or a hidden layer of width d before it."""
    texts = {"attention": "d + 1", "self-attentive": "d**2 + 2*d"}
    return {"pool": Formula(texts[name], {"d": width})} if name in texts else {}


def classifier(
    width: int, num_classes: int, d_hidden: int, *, normalized: bool, cosine: bool = False
) -> Formula:
    """A normalization, a hidden layer, both if there are any, and a layer of logits."""
    text, bias = "2*d + " if normalized else "", "" if cosine else " + C"
    if d_hidden:
        values = {"d": width, "h": d_hidden, "C": num_classes}
        return Formula(f"{text}d*h + h + h*C{bias}", values)
    return Formula(f"{text}d*C{bias}", {"d": width, "C": num_classes})


def stem_width(config: CrnnConfig | CausalConfig) -> int:
    """Numbers of a frame after the convolutions: a channel for each band that they leave."""
    bands = bands_after(config.num_features, tuple(pool for pool, _ in config.pools), ceil=False)
    return bands * config.channels[-1]


def parts_of_crnn(config: CrnnConfig) -> Parts:
    """Convolutions, GRU over the bands that they leave, pooling, classifier."""
    d = 2 * config.hidden_size
    return {
        "stem": conv_stem(config.channels),
        "gru": bidirectional_rnn(stem_width(config), config.hidden_size, config.num_layers),
        **pooling(config.pooling, d),
        "classify": classifier(d, config.num_classes, config.d_hidden, normalized=False),
    }


def parts_of_causal(config: CausalConfig, width: int, **encoder: Formula) -> Parts:
    """The same convolutions, an encoder of one direction, a score of each step."""
    return {
        "blocks": conv_stem(config.channels),
        **encoder,
        **pooling("attention", width),
        "classify": classifier(width, config.num_classes, 0, normalized=False),
    }


def parts_of_causal_crnn(config: CausalCrnnConfig) -> Parts:
    """With a GRU."""
    w, h = stem_width(config), config.hidden_size
    return parts_of_causal(config, h, gru=Formula("3*h*(w + h + 2)", {"w": w, "h": h}))


def parts_of_causal_conformer(config: CausalConformerConfig) -> Parts:
    """With Conformer layers, each with a score for each of N distances."""
    w, d = stem_width(config), config.d_model
    layer = conformer_layer(d, config.d_ff, config.kernel_size)
    layers = times(config.num_layers, layer + Formula("N*d", {"N": config.past, "d": d}))
    return parts_of_causal(config, d, project=linear(w, d, "w d"), layers=layers)


def parts_of_gated_crnn(config: GatedCrnnConfig) -> Parts:
    """All of one CRNN, and all of the other."""
    gate, words = (total(parts_of_crnn(each)) for each in config.networks)
    return {"gate": gate, "words": words}


def parts_of_crnn_pair(config: CrnnPairConfig) -> Parts:
    """All of one CRNN but its classifier, so of the other, and one classifier for both."""
    several = [parts_of_crnn(each) for each in config.networks]
    bodies = [{name: x for name, x in each.items() if name != "classify"} for each in several]
    first, second = map(total, bodies)
    width = 2 * (config.hidden_size + config.wide_hidden_size)
    last = classifier(width, config.num_classes, 0, normalized=False)
    return {"first": first, "second": second, "classify": last}


def total(parts: Parts) -> Formula:
    """The sum of all parts."""
    return functools.reduce(operator.add, parts.values())


def parts_of_gru(config: GruConfig) -> Parts:
    """Two convolutions over time, with 2 and 3 frames, GRU, linear layer."""
    sizes = {"m": config.num_features, "a": config.channels}
    return {
        "narrow": Formula("2*m*a + a", sizes),
        "widen": Formula("3*a*m + m", sizes),
        "gru": bidirectional_rnn(config.num_features, config.hidden_size, config.num_layers),
        "classify": linear(2 * config.hidden_size, config.num_classes),
    }


MODULES = {  # between the convolutions and the encoder of a Speech-Transformer, by channels
    "res-cnn": "18*a**2 + 6*a",
    "res-cnn-lstm": "33*a**2 + 9*a",
    "attention-1d": "36*a**2 + 6*a",
    "attention-2d": "45*a**2 + 6*a",
}


def subsampling(config: SpeechTransformerConfig | SpeechGruConfig) -> Formula:
    """Two 3 × 3 convolutions, and the linear layer on the g bands that they leave."""
    sizes = {"a": config.channels, "g": count_subsampled(config.num_features), "d": config.d_model}
    sizes["n"] = config.deltas
    return Formula("(10 + 9*n)*a + 9*a**2 + a + (a*g + 1)*d", sizes)


def parts_of_speech_transformer(config: SpeechTransformerConfig) -> Parts:
    """Subsampling and its modules, encoder with a norm, CTC, decoder layers, norm, logits."""
    d, f, symbols = config.d_model, config.d_ff, config.num_classes
    norm = Formula("2*d", {"d": d})
    decoder = Formula("8*d**2 + 15*d + 2*d*f + f", {"d": d, "f": f})
    before = subsampling(config)
    if config.num_modules:
        module = Formula(MODULES[config.module], {"a": config.channels})
        before += times(config.num_modules, module)
    parts = {
        "subsample": before,
        "encoder": times(config.num_encoder_layers, encoder_layer(d, f)) + norm,
        "ctc": linear(d, symbols),
        "embed": Formula("C*d", {"C": symbols, "d": d}),
        "decoder": times(config.num_decoder_layers, decoder),
        "norm": norm,
        "write": linear(d, symbols),
    }
    return {name: formula for name, formula in parts.items() if formula.value}


def parts_of_speech_gru(config: SpeechGruConfig) -> Parts:
    """Subsampling, bidirectional GRUs, CTC; a GRU decoder, then attention, logits."""
    d, h, symbols = config.d_model, config.hidden_size, config.num_classes
    parts = {
        "subsample": subsampling(config),
        "encoder": bidirectional_rnn(d, h, config.num_encoder_layers),
        "narrow": Formula("2*h*d + d", {"h": h, "d": d}),
        "ctc": linear(d, symbols),
    }
    if config.num_decoder_layers:
        parts |= {
            "embed": Formula("C*d", {"C": symbols, "d": d}),
            "decoder": times(config.num_decoder_layers, Formula("6*d**2 + 6*d", {"d": d})),
            "attention": Formula(ATTENTION, {"d": d}),
            "combine": Formula("2*d**2 + d", {"d": d}),
            "write": linear(d, symbols),
        }
    return parts


def parts_of_rnn(config: RnnConfig) -> Parts:
    """Recurrent layers over the frames, linear layer."""
    gates = {"gru": 3, "lstm": 4}[config.cell]
    h = config.hidden_size
    return {
        "rnn": bidirectional_rnn(config.num_features, h, config.num_layers, gates=gates),
        "classify": linear(2 * h, config.num_classes),
    }


def parts_of_convs2s(config: ConvS2sConfig) -> Parts:
    """A block convolves k frames of width d to 2 d channels."""
    d = config.d_model
    return {
        "project": linear(config.num_features, d, "m d"),
        "positions": Formula("N*d", {"N": config.max_frames, "d": d}),
        "blocks": times(
            config.num_layers, Formula("2*k*d**2 + 2*d", {"k": config.kernel_size, "d": d})
        ),
        "classify": linear(d, config.num_classes),
    }


def parts_of_keyword_transformer(config: KeywordTransformerConfig) -> Parts:
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
        parts["positions"] = Formula("(1 + N)*d", {"N": config.max_tokens, "d": d})
    parts["encoder"] = times(config.num_layers, layer)
    parts["classify"] = linear(d, config.num_classes)
    return parts


def parts_of_spectrogram_transformer(config: SpectrogramTransformerConfig) -> Parts:
    """A patch of P pixels, a grid of r rows and t columns, n tokens that are read."""
    d, tokens = config.d_model, 1 + config.distilled
    sizes = (config.num_features, config.num_frames, config.patch, config.stride)
    rows, columns = count_patches(*sizes)
    grid = {"d": d, "r": rows, "t": columns}
    own = Formula("n*d", {"n": tokens, "d": d})
    layers = times(config.num_layers, encoder_layer(d, config.d_ff))
    parts: Parts = {
        "tokens": own,
        "token_positions": own,
        "embed": Formula("P*d + d", {"P": config.patch[0] * config.patch[1], "d": d}),
        "positions": Formula("d*r*t" if config.positions == "grid" else "d*(r + t)", grid),
        "encoder": layers + Formula("2*d", {"d": d}),
    }
    if config.head_norm:
        parts["head_norm"] = Formula("2*d", {"d": d})
    return parts | {"classify": linear(d, config.num_classes)}


def parts_of_bc_resnet(config: BcResNetConfig) -> Parts:
    """A block of width a: kernels 3 a + 3 a, mixing a², normalizations 2 S a + 2 a."""
    stem, *widths, head = widths_of(config.base_channels)
    texts, values, before = [], {"s": stem, "S": config.sub_bands}, ("s", stem)
    for name, width, blocks in zip("abce", widths, STAGE_BLOCKS, strict=True):
        values[name] = width
        if width != before[1]:  # the first block of the stage changes the width
            texts.append(f"{before[0]}*{name} + 2*{name}")
        texts.append(f"{blocks}*({name}**2 + 8*{name} + 2*S*{name})")
        before = (name, width)
    last = {"e": widths[-1]}
    return {
        "stem": Formula("25*s", {"s": stem}),
        "stem_norm": Formula("2*s", {"s": stem}),
        "blocks": Formula(" + ".join(texts), values),
        "head": Formula("k**2*e", {"k": HEAD_KERNEL, **last}),
        "head_mix": Formula("e*g", {**last, "g": head}),
        "head_norm": Formula("2*g", {"g": head}),
        "classify": linear(head, config.num_classes, "g C"),
    }


def parts_of_ds_cnn(config: DsCnnConfig) -> Parts:
    """A block: depthwise 9 c + c, pointwise c² + c, two normalizations of 2 c."""
    c = config.channels
    return {
        "stem": Formula("k*c + c", {"k": STEM_KERNEL[0] * STEM_KERNEL[1], "c": c}),
        "stem_norm": Formula("2*c", {"c": c}),
        "blocks": times(config.num_blocks, Formula("c**2 + 15*c", {"c": c})),
        "classify": linear(c, config.num_classes, "c C"),
    }


def parts_of_tdnn(config: TdnnConfig) -> Parts:
    """Layers of 5, 3, 3, 1 and 1 frames; mean and deviation double the last one's width."""
    c, h = config.channels, config.d_hidden
    layers = "5*m*c + 3*c + 2*(3*c**2 + 3*c) + c**2 + 3*c + 3*c**2 + 9*c"
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
    return conv_stem(STEM_CHANNELS) + Formula("b*n*d + d", sizes)


def with_classifier(config: speaker.EncoderSettings, encoder: Formula) -> Parts:
    """The parts that all encoders have in common, with the encoder between them."""
    d = config.d_model
    return {
        "front_end": front_end(config),
        "encoder": encoder,
        **pooling(config.pooling, d),
        "classify": classifier(
            d,
            config.num_classes,
            config.d_hidden,
            normalized=config.normalization != "none",
            cosine=config.logit_scale > 0,
        ),
    }


def parts_of_transformer(config: speaker.TransformerConfig) -> Parts:
    """A layer that is shared counts once."""
    relative = config.positions == "relative"
    layer = encoder_layer(config.d_model, config.d_ff, qkv_bias=config.qkv_bias, relative=relative)
    encoder = layer if config.share_weights else times(config.num_layers, layer)
    if config.norm_first:
        encoder += Formula("2*d", {"d": config.d_model})
    return with_classifier(config, encoder)


def parts_of_conformer(config: speaker.ConformerConfig) -> Parts:
    relative = config.positions == "relative"
    layer = conformer_layer(config.d_model, config.d_ff, config.kernel_size, relative=relative)
    return with_classifier(config, times(config.num_layers, layer))


def parts_of_branchformer(config: speaker.BranchformerConfig) -> Parts:
    sizes = {"d": config.d_model, "f": config.d_ff, "k": config.kernel_size}
    relative = f" + {RELATIVE}" * (config.positions == "relative")
    layer = Formula(BRANCHFORMER_LAYER + relative, sizes)
    return with_classifier(config, times(config.num_layers, layer))


PARTS: dict[type, Callable[[Any], Parts]] = {
    CausalConformerConfig: parts_of_causal_conformer,
    CausalCrnnConfig: parts_of_causal_crnn,
    CrnnConfig: parts_of_crnn,
    CrnnPairConfig: parts_of_crnn_pair,
    GatedCrnnConfig: parts_of_gated_crnn,
    GruConfig: parts_of_gru,
    RnnConfig: parts_of_rnn,
    ConvS2sConfig: parts_of_convs2s,
    KeywordTransformerConfig: parts_of_keyword_transformer,
    SpectrogramTransformerConfig: parts_of_spectrogram_transformer,
    BcResNetConfig: parts_of_bc_resnet,
    DsCnnConfig: parts_of_ds_cnn,
    SpeechTransformerConfig: parts_of_speech_transformer,
    SpeechGruConfig: parts_of_speech_gru,
    TdnnConfig: parts_of_tdnn,
    speaker.TransformerConfig: parts_of_transformer,
    speaker.ConformerConfig: parts_of_conformer,
    speaker.BranchformerConfig: parts_of_branchformer,
}

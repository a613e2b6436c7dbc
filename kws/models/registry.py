"""Every model by name: its builder and its published settings.

    model = build_model("crnn-attention", num_features=40, num_classes=12, dropout=0.1)

Anything that a settings class knows can be overridden by keyword. `kws params` prints the list.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

from torch import nn

from kws.errors import UsageError, did_you_mean, is_out_of_memory
from kws.models import (
    bc_resnet,
    causal_conformer,
    causal_crnn,
    convs2s,
    ds_cnn,
    gated,
    keyword_transformer,
    pair,
    pretrained,
    recurrent,
    speaker,
    spectrogram_transformer,
    speech_gru,
    speech_transformer,
    tdnn,
)
from kws.models.fast import use_fast_layers
from kws.settings import from_options


@dataclass(frozen=True)
class Entry:
    """A named model."""

    build: Callable[[Any], nn.Module]  # makes the module from settings
    config: Any  # the published settings, a frozen dataclass with `num_features` and `num_classes`
    about: str  # one line for the list of models


MODELS: dict[str, Entry] = {
    "crnn": Entry(
        recurrent.Crnn, recurrent.CrnnConfig(), "3 convolutions, bidirectional GRU, mean over time"
    ),
    "crnn-attention": Entry(
        recurrent.Crnn,
        recurrent.CRNN_ATTENTION,
        "max pooling, bidirectional GRU, attention pooling: the report's best",
    ),
    "crnn-small": Entry(
        recurrent.Crnn, recurrent.CRNN_SMALL, "the same idea, light enough to train on a CPU"
    ),
    "crnn-gated": Entry(
        gated.GatedCrnn,
        gated.GatedCrnnConfig(),
        "two of crnn-small: one for silence and unknown, one for words",
    ),
    "crnn-pair": Entry(
        pair.CrnnPair,
        pair.CrnnPairConfig(),
        "crnn-small and a wider one, logits averaged: the model of kws",
    ),
    "crnn-causal": Entry(
        causal_crnn.CausalCrnn,
        causal_crnn.CausalCrnnConfig(),
        "reads each frame of a stream once: a step every 30 ms, with state",
    ),
    "conformer-causal": Entry(
        causal_conformer.CausalConformer,
        causal_conformer.CausalConformerConfig(),
        "the same with 2 Conformer layers, whose steps attend to the last 990 ms",
    ),
    "gru": Entry(recurrent.GruClassifier, recurrent.GruConfig(), "bidirectional GRU over MFCC"),
    "lstm": Entry(
        recurrent.RnnClassifier,
        recurrent.RnnConfig(),
        "bidirectional LSTM (or cell=gru) over the frames as they are",
    ),
    "convs2s": Entry(
        convs2s.ConvS2s,
        convs2s.ConvS2sConfig(),
        "gated convolutions with learned positions, no attention",
    ),
    "strided-transformer": Entry(
        keyword_transformer.KeywordTransformer,
        keyword_transformer.STRIDED,
        "cls token over two strided convolutions, 416 tokens a second",
    ),
    "maxpool-transformer": Entry(
        keyword_transformer.KeywordTransformer,
        keyword_transformer.MAX_POOL,
        "the same with max pooling, 400 tokens a second",
    ),
    "unstrided-transformer": Entry(
        keyword_transformer.KeywordTransformer,
        keyword_transformer.UNSTRIDED,
        "the same without strides, 6,464 tokens a second",
    ),
    **{
        f"kwt-{size}": Entry(
            keyword_transformer.KeywordTransformer,
            keyword_transformer.kwt(size),
            f"Keyword Transformer, 12 layers of width {64 * size}, a token per frame",
        )
        for size in (1, 2, 3)
    },
    "ast-small": Entry(
        spectrogram_transformer.SpectrogramTransformer,
        spectrogram_transformer.AST_SMALL,
        "patches of 32 bands x 8 frames, 3 pre-norm layers of width 96: learns on a CPU",
    ),
    **{
        f"bc-resnet-{size}": Entry(
            bc_resnet.BcResNet,
            bc_resnet.BcResNetConfig(base_channels=8 * size),
            f"broadcasted residuals, {8 * size} channels",
        )
        for size in (1, 8)
    },
    "ds-cnn": Entry(
        ds_cnn.DsCnn,
        ds_cnn.DsCnnConfig(),
        "depthwise separable convolutions at the size of MLPerf Tiny",
    ),
    "transformer": Entry(
        speaker.build_transformer,
        speaker.TransformerConfig(),
        "convolutional front end, 3 pre-norm layers, self-attentive pooling",
    ),
    "conformer": Entry(
        speaker.build_conformer,
        speaker.ConformerConfig(),
        "convolutional front end, 2 Conformer layers, self-attentive pooling",
    ),
    "branchformer": Entry(
        speaker.build_branchformer,
        speaker.BranchformerConfig(),
        "the same front end, 2 layers with attention and gated convolution side by side",
    ),
    "tdnn": Entry(
        tdnn.Tdnn, tdnn.TdnnConfig(), "dilated convolutions over time, statistics pooling"
    ),
    "homework-baseline": Entry(
        speaker.build_transformer, speaker.HOMEWORK_BASELINE, "the speaker homework's sample model"
    ),
    "homework-modified": Entry(
        speaker.build_transformer,
        speaker.HOMEWORK_MODIFIED,
        "the same with width 512, 16 heads, 6 layers and a ReLU head",
    ),
    "lab-encoder": Entry(
        speaker.build_transformer,
        speaker.LABORATORY_ENCODER,
        "one layer of width 80 used three times: 154,880 in the encoder",
    ),
    "lab-encoder-separate": Entry(
        speaker.build_transformer,
        replace(speaker.LABORATORY_ENCODER, share_weights=False),
        "the same with three separate layers: 464,640 in the encoder",
    ),
    "lab-conformer": Entry(
        speaker.build_conformer,
        speaker.LABORATORY_CONFORMER,
        "3 Conformer layers of width 80 over the frames as they are",
    ),
}

PRETRAINED: dict[str, Entry] = {  # they read waveforms, and need transformers
    "wav2vec2": Entry(
        pretrained.Wav2Vec2, pretrained.Wav2Vec2Config(), "wav2vec 2.0 base, fine-tuned"
    ),
    "ast": Entry(
        pretrained.Ast, pretrained.AstConfig(), "Audio Spectrogram Transformer base, fine-tuned"
    ),
}

RECOGNIZERS: dict[str, Entry] = {  # (features, valid, symbols) -> logits of decoder and of CTC
    "speech-transformer": Entry(
        speech_transformer.SpeechTransformer,
        speech_transformer.SpeechTransformerConfig(),
        "strided convolutions, 3 encoder layers, 2 decoder layers, CTC",
    ),
    "speech-gru": Entry(
        speech_gru.SpeechGru,
        speech_gru.SpeechGruConfig(),
        "the same with GRUs; without its decoder the front half of Deep Speech 2",
    ),
}


def find_model(name: str) -> Entry:
    """The entry called `name`; UsageError with the nearest name if there is none."""
    known = MODELS | PRETRAINED | RECOGNIZERS
    if name not in known:
        raise UsageError(
            f"model {name!r} is unknown{did_you_mean(name, known)}: "
            f"choose one of {', '.join(known)}"
        )
    return known[name]


def configure(
    name: str,
    /,
    *,
    num_features: int | None = None,
    num_classes: int | None = None,
    **overrides: object,
) -> Any:
    """The settings of a named model with some of them changed; None keeps the published value.

    >>> configure("kwt-1", num_classes=35).num_classes
    35

    Raises:
        UsageError: an unknown model or setting, or a value of the wrong type.
    """
    config = find_model(name).config
    sizes = {"num_features": num_features, "num_classes": num_classes}
    changes: dict[str, Any] = {key: size for key, size in sizes.items() if size is not None}
    changes |= overrides
    kinds = get_type_hints(type(config), include_extras=True)
    return replace(config, **from_options(kinds, changes, name))


def build_model(
    name: str, /, *, num_features: int, num_classes: int, **overrides: object
) -> nn.Module:
    """Make a model with fresh weights: (features (B, T, F), valid) -> logits (B, num_classes).

    Args:
        name: one of MODELS, PRETRAINED or RECOGNIZERS (which are called with symbols, too).
        num_features: features of a frame.
        num_classes: number of logits.
        overrides: other settings of that model, see its settings class.

    Raises:
        UsageError: an unknown model or setting, or numbers that do not fit together.
    """
    config = configure(name, num_features=num_features, num_classes=num_classes, **overrides)
    return build_from(name, config)


def build_from(name: str, config: Any) -> nn.Module:
    """Make the named model from complete settings; UsageError if they do not fit together."""
    with explain_misfits(name):
        return use_fast_layers(find_model(name).build(config))


@contextmanager
def explain_misfits(name: str) -> Iterator[None]:
    """Settings of the model `name` that do not fit together or into memory as a UsageError."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"{name}: {error}: change these settings") from error
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise UsageError(f"{name}: too large for the memory: lower its sizes") from error

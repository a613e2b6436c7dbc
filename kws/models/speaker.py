"""Transformers, Conformers and Branchformers that classify speakers or words.

Sources: the speaker homework, whose sample model has 125,896 parameters for 600 speakers, and its
laboratory, which printed 154.88k for an encoder. One layer of `LABORATORY_ENCODER`, however often
it is used, has 154,880; three separate ones have 464,640. What the print counts is not known. Its
Conformer is given as `dim_feedforward=500, nhead=1`, three layers, and 225.72k. An ordinary layer
of these sizes (`LABORATORY_CONFORMER`) has 210,040 with our kernel of 31; 225,720 are, for one, two
feed-forward networks of 500, attention without biases of queries, keys and values, and a
convolution over all channels with a kernel of 3 and batch normalization, without layer norms.
"""

from dataclasses import dataclass, replace

from torch import nn

from kws.models.branchformer import BranchformerLayer
from kws.models.classifier import FRONT_ENDS, Classifier, SequenceClassifier, make_pooling
from kws.models.conformer import Conformer
from kws.models.positional import ENCODER_POSITIONS, SinusoidalPositions
from kws.models.transformer import EncoderLayer, TransformerEncoder
from kws.settings import Finite, Layers, Size, SizeOrZero


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """What the encoders share."""

    num_classes: Size = 600  # number of logits
    num_features: Size = 40  # frequency bands of the input
    # "linear" for each frame by itself, "conv" for two convolutions of stride 2
    front_end: str = "conv"
    d_model: Size = 96  # width of the encoder
    num_heads: Size = 4  # attention heads of a layer; must divide `d_model`
    num_layers: Layers = 3  # encoder layers
    d_ff: Size = 384  # width of the feed-forward networks
    positions: str = "sinusoidal"  # "none", "sinusoidal" or "relative"
    dropout: Finite = 0.1  # in every branch of the encoder
    pooling: str = "self-attentive"  # over time: "mean", "attention" or "self-attentive"
    normalization: str = "batch"  # in front of the classifier: "none", "layer" or "batch"
    d_hidden: SizeOrZero = 0  # width of a hidden layer in front of the logits; 0 for none
    head_activation: str = "relu"  # of that layer: "relu", "sigmoid" or "tanh"
    head_dropout: Finite = 0.1  # in front of the logits
    # logits are this times a cosine (`CosineLogits`); 0 for a linear layer
    logit_scale: Finite = 0.0


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(EncoderSettings):
    """Settings of a Transformer; the defaults are the package's own."""

    activation: str = "gelu"  # of the feed-forward networks: "relu", "gelu" or "silu"
    # normalize before each branch (pre-norm) and once at the end, not after each
    norm_first: bool = True
    qkv_bias: bool = True  # queries, keys and values have a bias
    share_weights: bool = False  # one layer used `num_layers` times


@dataclass(frozen=True, kw_only=True)
class ConformerConfig(EncoderSettings):
    """Settings of a Conformer; the defaults are the package's own."""

    num_layers: Layers = 2
    d_ff: Size = 192
    positions: str = "relative"
    kernel_size: Size = 15  # frames seen by the depthwise convolution; odd
    norm: str = "batch"  # in the convolution module: "batch" or "layer"


@dataclass(frozen=True, kw_only=True)
class BranchformerConfig(EncoderSettings):
    """Settings of a Branchformer; the defaults are the package's own."""

    num_layers: Layers = 2
    positions: str = "relative"
    kernel_size: Size = 15  # frames seen by the depthwise convolution; odd


HOMEWORK_BASELINE = TransformerConfig(
    front_end="linear",
    d_model=80,
    num_heads=2,
    num_layers=1,
    d_ff=256,
    positions="none",
    pooling="mean",
    normalization="none",
    d_hidden=80,
    head_activation="sigmoid",
    head_dropout=0.0,
    activation="relu",
    norm_first=False,
)
HOMEWORK_MODIFIED = replace(
    HOMEWORK_BASELINE, d_model=512, num_heads=16, num_layers=6, d_hidden=512, head_activation="relu"
)
LABORATORY_ENCODER = replace(
    HOMEWORK_BASELINE,
    num_heads=1,
    num_layers=3,
    d_ff=800,  # given as dim_feedforward=10: as a factor of the width it explains the count
    head_activation="relu",
    qkv_bias=False,
    share_weights=True,
)
LABORATORY_CONFORMER = ConformerConfig(
    front_end="linear",
    d_model=80,
    num_heads=1,
    num_layers=3,
    d_ff=500,
    positions="none",
    pooling="mean",
    head_dropout=0.0,
    kernel_size=31,
)


def build_transformer(config: TransformerConfig) -> SequenceClassifier:
    """The Transformer of `config`; ValueError if its numbers do not fit or a name is unknown."""
    layer = EncoderLayer(
        config.d_model,
        config.num_heads,
        config.d_ff,
        config.dropout,
        activation=config.activation,
        norm_first=config.norm_first,
        qkv_bias=config.qkv_bias,
        positions="relative" if config.positions == "relative" else "none",
    )
    encoder = TransformerEncoder(
        layer,
        config.num_layers,
        norm=nn.LayerNorm(config.d_model) if config.norm_first else None,
        share_weights=config.share_weights,
    )
    return _assemble(config, encoder)


def build_conformer(config: ConformerConfig) -> SequenceClassifier:
    """The Conformer of `config`; ValueError if its numbers do not fit or a name is unknown."""
    encoder = Conformer(
        config.d_model,
        config.num_heads,
        config.d_ff,
        config.num_layers,
        config.kernel_size,
        config.dropout,
        norm=config.norm,
        positions="relative" if config.positions == "relative" else "none",
    )
    return _assemble(config, encoder)


def build_branchformer(config: BranchformerConfig) -> SequenceClassifier:
    """The Branchformer of `config`; ValueError if its numbers do not fit or a name is unknown."""
    layer = BranchformerLayer(
        config.d_model,
        config.num_heads,
        config.d_ff,
        config.kernel_size,
        config.dropout,
        positions="relative" if config.positions == "relative" else "none",
    )
    return _assemble(config, TransformerEncoder(layer, config.num_layers))


def _assemble(config: EncoderSettings, encoder: nn.Module) -> SequenceClassifier:
    """Put the parts around `encoder` that all of them have in common."""
    for name, value, known in (
        ("front_end", config.front_end, FRONT_ENDS),
        ("positions", config.positions, ENCODER_POSITIONS),
    ):
        if value not in known:
            raise ValueError(f"{name}={value!r} is none of {', '.join(known)}")
    D = config.d_model
    return SequenceClassifier(
        FRONT_ENDS[config.front_end](config.num_features, D),
        SinusoidalPositions(D) if config.positions == "sinusoidal" else nn.Identity(),
        encoder,
        make_pooling(config.pooling, D),
        Classifier(
            D,
            config.num_classes,
            normalization=config.normalization,
            d_hidden=config.d_hidden or None,
            activation=config.head_activation,
            dropout=config.head_dropout,
            scale=config.logit_scale,
        ),
    )

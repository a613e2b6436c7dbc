"""Recurrent keyword models: a GRU over MFCC, an LSTM or GRU over the frames as they are, the CRNN.

Sources: Cho et al. 2014 for the GRU (https://arxiv.org/abs/1406.1078), Hochreiter and Schmidhuber
1997 for the LSTM (https://doi.org/10.1162/neco.1997.9.8.1735), Çakır et al. 2017 for the CRNN
(https://arxiv.org/abs/1702.06286), and the Speech Commands report whose sizes these models have:
GRU 441,190 (30 classes), CRNN 4,424,652, CRNN with attention pooling 1,507,149 (12 classes).
The report does not say how the first two leave time, nor which dropout: ours take the mean over the
frames, and 0.3 where the third has its dropout.

Shape letters: B batch   T frames   F features of a frame   D width   H width of one GRU direction
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kws.models.classifier import Classifier, MeanPooling, make_pooling
from kws.models.frontend import ConvStem, convolve, frames_of
from kws.settings import Finite, Layers, Size, SizeOrZero


@dataclass(frozen=True, kw_only=True)
class GruConfig:
    """Settings of `GruClassifier`; the defaults are the report's, for 30 words."""

    num_classes: Size = 30  # number of logits
    num_features: Size = 40  # features of a frame; the report has 40 MFCC
    channels: Size = 32  # width between the two convolutions over time
    hidden_size: Size = 128  # width of each direction of the GRU
    num_layers: Layers = 2  # GRUs on top of each other
    dropout: Finite = 0.0  # between the GRU layers


@dataclass(frozen=True, kw_only=True)
class RnnConfig:
    """Settings of `RnnClassifier`; the sizes are ours, those of the GRU over MFCC."""

    num_classes: Size = 30  # number of logits
    num_features: Size = 40  # features of a frame
    cell: str = "lstm"  # "lstm" or "gru"
    hidden_size: Size = 128  # width of each direction
    num_layers: Layers = 2  # recurrent layers on top of each other
    dropout: Finite = 0.0  # between the layers


@dataclass(frozen=True, kw_only=True)
class CrnnConfig:
    """Settings of `Crnn`; the defaults are the report's first, 4,424,652 parameters."""

    num_classes: Size = 12  # number of logits
    num_features: Size = 40  # frequency bands of the input
    channels: tuple[Size, ...] = (32, 64, 128)  # output channels of each convolution
    # (bands, frames) of the pooling after each convolution
    pools: tuple[tuple[Size, Size], ...] = ((1, 1), (1, 1), (1, 1))
    activation: str = "relu"  # after each convolution: "relu", "gelu" or "silu"
    # pool before the batch normalization, not after the activation: cheaper
    pool_first: bool = False
    hidden_size: Size = 128  # width of each direction of the GRU
    num_layers: Layers = 2  # GRUs on top of each other
    pooling: str = "mean"  # over time: "mean", "attention" or "self-attentive"
    d_hidden: SizeOrZero = 0  # width of a hidden layer in front of the logits; 0 for none
    dropout: Finite = 0.0  # between the GRU layers, and in front of the logits


CRNN_ATTENTION = CrnnConfig(
    pools=((2, 2), (2, 2), (1, 1)),
    activation="silu",
    pooling="attention",
    d_hidden=128,
    dropout=0.3,
)
CRNN_SMALL = CrnnConfig(  # the same idea at a quarter of the size and less than half the time
    channels=(32, 64, 64),
    pools=((2, 2), (2, 2), (2, 1)),
    activation="silu",
    pool_first=True,
    hidden_size=96,
    num_layers=1,
    pooling="attention",
    dropout=0.3,
)


CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class BidirectionalRnn(nn.Module):
    """`nn.GRU` or `nn.LSTM` in both directions, which steps over padded frames wherever they are.

    g H (D + H + 2) parameters per direction, with g = 3 gates in a GRU and 4 in an LSTM; above the
    first layer D is 2 H.

    Args: those of torch's, after the `cell`: "lstm" or "gru".

    Raises:
        ValueError: for another cell.
    """

    def __init__(
        self, cell: str, d_in: int, hidden_size: int, num_layers: int = 1, dropout: float = 0.0
    ):
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell={cell!r} is none of {', '.join(CELLS)}")
        self.rnn = CELLS[cell](
            d_in,
            hidden_size,
            num_layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if num_layers > 1 else 0.0,  # torch warns: one layer has no between
        )

    def forward(
        self, x: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T HH"]:
        """x (B, T, D) -> (B, T, 2H): the layer on the valid frames only, zeros elsewhere.

        A mask costs a GPU one wait: torch needs the lengths on the CPU.
        """
        if valid is None:
            return self.rnn(x)[0]
        order = valid.int().argsort(dim=1, descending=True, stable=True)[..., None]  # padding last
        x = x.masked_fill(~valid[..., None], 0).take_along_dim(order, dim=1)
        lengths = valid.sum(dim=1).clamp(min=1).cpu()  # torch wants a frame: an empty clip has 0s
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=x.shape[1])
        return y.take_along_dim(order.argsort(dim=1), dim=1)


class GruClassifier(nn.Module):
    """Two convolutions over time, a bidirectional GRU, the mean over time, a linear layer."""

    def __init__(self, config: GruConfig):
        super().__init__()
        self.config = config
        self.narrow = nn.Conv1d(config.num_features, config.channels, 2)
        self.widen = nn.Conv1d(config.channels, config.num_features, 3, padding=1)
        self.gru = BidirectionalRnn(
            "gru", config.num_features, config.hidden_size, config.num_layers, config.dropout
        )
        self.pool = MeanPooling()
        self.classify = nn.Linear(2 * config.hidden_size, config.num_classes)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes)."""
        x, valid = convolve(self.narrow, features.mT, valid)  # (B, 32, T - 1): of 2 frames
        x, valid = convolve(self.widen, F.relu(x), valid)
        x = self.gru(F.relu(x).mT, valid)
        return self.classify(self.pool(x, valid))


class RnnClassifier(nn.Module):
    """A bidirectional LSTM or GRU, the mean over time, a linear layer. ValueError: another cell."""

    def __init__(self, config: RnnConfig):
        super().__init__()
        self.config = config
        self.rnn = BidirectionalRnn(
            config.cell, config.num_features, config.hidden_size, config.num_layers, config.dropout
        )
        self.pool = MeanPooling()
        self.classify = nn.Linear(2 * config.hidden_size, config.num_classes)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes)."""
        return self.classify(self.pool(self.rnn(features, valid), valid))


class Crnn(nn.Module):
    """Convolutions over the spectrogram, a bidirectional GRU over time, pooling, a classifier.

    Raises ValueError if `pools` leave no frequency band, or a name is unknown.
    """

    def __init__(self, config: CrnnConfig):
        super().__init__()
        self.config = config
        self.stem = ConvStem(
            config.channels,
            pools=config.pools,
            activation=config.activation,
            pool_first=config.pool_first,
        )
        d_frame = self.stem.out_channels * self.stem.out_bands(config.num_features)
        d_gru = 2 * config.hidden_size
        self.gru = BidirectionalRnn(
            "gru", d_frame, config.hidden_size, config.num_layers, config.dropout
        )
        self.pool = make_pooling(config.pooling, d_gru)
        self.classify = Classifier(
            d_gru, config.num_classes, d_hidden=config.d_hidden or None, dropout=config.dropout
        )

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes)."""
        maps, valid = self.stem(features, valid)
        x = self.gru(frames_of(maps), valid)
        return self.classify(self.pool(x, valid))

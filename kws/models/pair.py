"""Two CRNNs of different width with the same input, and one linear layer on both embeddings.

Where one of two networks is wrong by the chance of its training, the other is seldom wrong too: the
mean of their logits is right more often than either (Dietterich 2000, "Ensemble methods in machine
learning", https://doi.org/10.1007/3-540-45014-9_1). The mean of two linear layers is one linear
layer on both embeddings side by side. So a pair has one embedding and one last layer, as other
models have. `join` makes a pair from two networks that were trained separately.

Shape letters: B batch   T frames   F features of a frame   H width of one GRU direction
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.classifier import Classifier
from kws.models.recurrent import CRNN_SMALL, Crnn, CrnnConfig
from kws.settings import Finite, Size


@dataclass(frozen=True, kw_only=True)
class CrnnPairConfig:
    """Settings of `CrnnPair`."""

    num_classes: Size = 12  # number of logits
    num_features: Size = 40  # frequency bands of the input
    channels: tuple[Size, ...] = CRNN_SMALL.channels  # of the convolutions of the first
    wide_channels: tuple[Size, ...] = (48, 96, 96)  # and of the second
    # (bands, frames) of the pooling after each convolution
    pools: tuple[tuple[Size, Size], ...] = CRNN_SMALL.pools
    hidden_size: Size = CRNN_SMALL.hidden_size  # width of each direction of the first's GRU
    wide_hidden_size: Size = 104  # and of the second's
    dropout: Finite = CRNN_SMALL.dropout  # in front of the logits

    @property
    def networks(self) -> tuple[CrnnConfig, CrnnConfig]:
        """Settings of the two, each with a classifier of its own."""
        own = {key: x for key, x in vars(self).items() if not key.startswith("wide_")}
        first = replace(CRNN_SMALL, **own)
        wide = {"channels": self.wide_channels, "hidden_size": self.wide_hidden_size}
        return first, replace(first, **wide)


class CrnnPair(nn.Module):
    """Two CRNNs up to their pooling, and one classifier. ValueError: `pools` leave no band."""

    def __init__(self, config: CrnnPairConfig):
        super().__init__()
        self.config = config
        self.first, self.second = (Crnn(each) for each in config.networks)
        for each in (self.first, self.second):
            each.set_submodule("classify", nn.Identity())
        width = 2 * (config.hidden_size + config.wide_hidden_size)
        self.classify = Classifier(width, config.num_classes, dropout=config.dropout)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes)."""
        both = [self.first(features, valid), self.second(features, valid)]
        return self.classify(torch.cat(both, dim=1))


def join(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From the weights of two `Crnn` those of a pair whose logits are the mean of theirs."""
    joined: dict[str, Tensor] = {}
    for part, weights in (("first", first), ("second", second)):
        for name, weight in weights.items():
            if not name.startswith("classify."):
                joined[f"{part}.{name}"] = weight
    weight, bias = "classify.logits.weight", "classify.logits.bias"
    joined[weight] = torch.cat([first[weight], second[weight]], dim=1) / 2
    joined[bias] = (first[bias] + second[bias]) / 2
    return joined

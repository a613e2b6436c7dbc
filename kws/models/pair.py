"""Two CRNNs of different width that hear the same clip, and one linear layer that reads both.

What one of two networks mistakes by the chance of its training, the other seldom does: the mean of
their logits is right more often than either (Dietterich 2000, "Ensemble methods in machine
learning", https://doi.org/10.1007/3-540-45014-9_1). The mean of two linear layers is one linear
layer on both embeddings side by side, so a pair has an embedding and a last layer as every model
has. `join` makes a pair of two networks that were trained apart.

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
    both = {"first": first, "second": second}
    bodies = {f"{part}.{name}": w for part, given in both.items() for name, w in given.items()}
    last = {
        "classify.logits.weight": torch.cat(
            [x["classify.logits.weight"] for x in both.values()], 1
        ),
        "classify.logits.bias": first["classify.logits.bias"] + second["classify.logits.bias"],
    }
    kept = {name: w for name, w in bodies.items() if ".classify." not in name}
    return {**kept, **{name: w / 2 for name, w in last.items()}}

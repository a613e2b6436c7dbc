"""A separate network for silence and unknown, before one that only distinguishes words.

Proposed, not tried, in the report on the Kaggle challenge. Two CRNNs that share nothing have the
same input: the gate distinguishes silence, other words and commands, the second one the commands.
By the rule of products

    ln p(silence) = ln gate(silence)          ln p(word) = ln gate(command) + ln words(word)

so the outputs are logarithms of probabilities, and one cross-entropy over all labels is the sum of
the two networks' own: a clip that is not a command gives the second no gradient. They are
trained in one run (only a clipped gradient is scaled for both at once), and a doubtful gate leaves
the answer open where a gate that decides first would not.

Shape letters: B batch   T frames   F features of a frame   G labels of the gate   W words
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.recurrent import CRNN_SMALL, Crnn, CrnnConfig
from kws.settings import Finite, Size


@dataclass(frozen=True, kw_only=True)
class GatedCrnnConfig:
    """Settings of `GatedCrnn`; the sizes are those of each of the two networks."""

    num_classes: Size = 12  # number of logits, over both networks
    num_features: Size = 40  # frequency bands of the input
    # the gate's labels, the first ones: silence and unknown (not for kaggle-12: there the last)
    num_outside: Size = 2
    channels: tuple[Size, ...] = CRNN_SMALL.channels  # output channels of each convolution
    # (bands, frames) of the pooling after each convolution
    pools: tuple[tuple[Size, Size], ...] = CRNN_SMALL.pools
    hidden_size: Size = CRNN_SMALL.hidden_size  # width of each direction of the GRU
    dropout: Finite = CRNN_SMALL.dropout  # in front of the logits

    def network(self, num_classes: int) -> CrnnConfig:
        """Settings of one of the two, with so many logits."""
        own = {key: value for key, value in vars(self).items() if key != "num_outside"}
        return replace(CRNN_SMALL, **{**own, "num_classes": num_classes})

    @property
    def networks(self) -> tuple[CrnnConfig, CrnnConfig]:
        """The gate, with a logit for "a command", and the word network. ValueError: no words."""
        words = self.num_classes - self.num_outside
        if words < 1:
            raise ValueError(
                f"num_outside={self.num_outside} leaves no word of num_classes={self.num_classes}"
            )
        return self.network(self.num_outside + 1), self.network(words)


class GatedCrnn(nn.Module):
    """Two CRNNs and the rule of products; the logits are logarithms of probabilities.

    Raises ValueError: no label is left for a word, or `pools` leave no frequency band.
    """

    def __init__(self, config: GatedCrnnConfig):
        super().__init__()
        self.config = config
        gate, words = config.networks
        self.gate, self.words = Crnn(gate), Crnn(words)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes), those of the gate's labels first."""
        gate = self.gate(features, valid).log_softmax(dim=1)  # (B, G + 1), the last: a command
        words = self.words(features, valid).log_softmax(dim=1)  # (B, W)
        return torch.cat([gate[:, :-1], gate[:, -1:] + words], dim=1)

"""A CRNN that reads each frame once: causal convolutions, a GRU of one direction, a sliding pool.

Source: Arik et al. 2017, "Convolutional recurrent neural networks for small-footprint keyword
spotting" (https://arxiv.org/abs/1703.05390), whose GRU runs in both directions over a window; the
poolings are those of `crnn-small`, but for the 30 ms of a step. `kws.models.causal` states what a
step is.

Shape letters: B batch   S steps   D frame after the convolutions   H width of the GRU
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.causal import CausalConfig, CausalModel, State, causal_blocks
from kws.models.classifier import AttentionPooling, Classifier
from kws.settings import Size


@dataclass(frozen=True, kw_only=True)
class CausalCrnnConfig(CausalConfig):
    """Settings of `CausalCrnn`."""

    hidden_size: Size = 128  # width of the GRU


class CausalCrnn(CausalModel):
    """Causal convolutions → GRU → attention over the last `window` steps → classifier.

    Raises ValueError if `pools` leave no frequency band, or `channels` are not as many.
    """

    def __init__(self, config: CausalCrnnConfig):
        super().__init__()
        self.config = config
        self.blocks, d_frame = causal_blocks(config)
        self.gru = nn.GRU(d_frame, config.hidden_size, batch_first=True)
        self.pool = AttentionPooling(config.hidden_size)
        self.classify = Classifier(config.hidden_size, config.num_classes, dropout=config.dropout)

    def start_encoder(self, batch: int) -> State:
        """Zeros (B, 1, H)."""
        return (self.pool.score.weight.new_zeros(batch, 1, self.gru.hidden_size),)

    def encode(
        self, x: Float[Tensor, "B S D"], valid: Bool[Tensor, "B S"] | None, state: State
    ) -> tuple[Float[Tensor, "B S H"], State]:
        """The GRU's outputs and its state."""
        y, hidden = self.gru(x, state[0].transpose(0, 1).contiguous())
        if valid is None:
            return y, (hidden.transpose(0, 1),)
        rows = torch.arange(len(y), device=y.device)
        return y, (y[rows, valid.sum(1) - 1, None],)

"""Residual blocks over maps: two convolutions, or a convolution and a convolutional LSTM.

Source: Zhang, Chan and Jaitly 2017, "Very Deep Convolutional Networks for End-to-End Speech
Recognition" (https://arxiv.org/abs/1610.03022). The Speech-Transformer tries four of either, ResCNN
and ResCNN-LSTM, between its convolutions and its encoder. Ours keep the number of channels, and the
LSTM is that of Shi et al. 2015 (https://arxiv.org/abs/1506.04214) without peepholes.

Padding: a padded frame changes no real one, and comes out zero.

Shape letters: B batch   C channels   F frequency bands   T frames
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.batch_norm import MaskedBatchNorm
from kws.models.frontend import zero_padding


class ResCnn(nn.Module):
    """ReLU(x + norm(conv(ReLU(norm(conv(x)))))), convolutions 3 × 3: 18 C² + 6 C parameters."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.first_norm = MaskedBatchNorm(channels)
        self.second: nn.Module = nn.Conv2d(channels, channels, 3, padding=1)
        self.second_norm = MaskedBatchNorm(channels)

    def forward(
        self, x: Float[Tensor, "B C F T"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C F T"]:
        """Maps of the same shape."""
        x = zero_padding(x, valid)
        y = self.first_norm(self.first(x), valid).relu()
        y = self.second_norm(self.second(zero_padding(y, valid)), valid)
        return zero_padding((x + y).relu(), valid)


class ResCnnLstm(ResCnn):
    """The same with a `ConvLstm` as its second convolution: 33 C² + 9 C parameters."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.second = ConvLstm(channels)


class ConvLstm(nn.Module):
    """An LSTM over time whose gates see three neighboring bands: 24 C² + 4 C parameters.

    Its state is a map (C, F). With one band it is `nn.LSTM`, the outer weights left unused.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.of_input = nn.Conv2d(channels, 4 * channels, (3, 1), padding=(1, 0))
        self.of_state = nn.Conv1d(channels, 4 * channels, 3, padding=1, bias=False)

    def forward(self, x: Float[Tensor, "B C F T"]) -> Float[Tensor, "B C F T"]:
        """The state after each frame, independent of later ones."""
        state = cell = torch.zeros_like(x[..., 0])
        states = []
        for gates in self.of_input(x).unbind(-1):
            write, keep, new, show = (gates + self.of_state(state)).chunk(4, dim=1)
            cell = keep.sigmoid() * cell + write.sigmoid() * new.tanh()
            state = show.sigmoid() * cell.tanh()
            states.append(state)
        return torch.stack(states, dim=-1)

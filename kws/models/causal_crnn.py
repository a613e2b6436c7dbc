"""A CRNN that reads each frame once: causal convolutions, a GRU of one direction, a sliding pool.

    logits, state = model.step(features, model.start(batch))     # logits of every 30 ms

Nothing waits for what comes later, and what is needed of the past is the state: two frames in front
of each convolution, the GRU's own, and the last `window` outputs of it, over which attention pools
as over a clip. A step is as many frames as the poolings join, three by default. Whatever pieces a
recording comes in, its logits are those of the whole; those of a clip are the last ones of its
steps.

In a stream the GRU never restarts. In training `carry` of the clips therefore begin in the state
that another clip of the batch has left.

Source: Arik et al. 2017, "Convolutional recurrent neural networks for small-footprint keyword
spotting" (https://arxiv.org/abs/1703.05390), whose GRU runs in both directions over a window; the
poolings are those of `crnn-small`, but for the 30 ms of a step.

Shape letters: B batch   T frames   F features of a frame   S steps   H width of the GRU   C classes
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.classifier import AttentionPooling, Classifier, weighted_pool
from kws.models.frontend import ConvBlock, ConvStem, frames_of, maps_of, max_pool, zero_padding
from kws.settings import Finite, Fraction, Size

PAST = 2  # frames that a convolution of three reads in front of the newest
State = tuple[Tensor, ...]  # frames in front of each block (B, C, F, 2), GRU, outputs, scores


@dataclass(frozen=True, kw_only=True)
class CausalCrnnConfig:
    """Settings of `CausalCrnn`."""

    num_classes: Size = 12  # number of logits
    num_features: Size = 40  # frequency bands of the input
    channels: tuple[Size, ...] = (32, 64, 64)  # output channels of each convolution
    # (bands, frames) of the pooling after each convolution
    pools: tuple[tuple[Size, Size], ...] = ((2, 3), (2, 1), (2, 1))
    hidden_size: Size = 128  # width of the GRU
    window: Size = 33  # steps that are pooled: 990 ms
    dropout: Finite = 0.3  # in front of the logits
    carry: Fraction = 0.5  # share of the clips that begin in another's state, in training


class CausalBlock(ConvBlock):
    """A `ConvBlock` that pools first, whose convolution reads the two frames before."""

    def __init__(self, in_channels: int, out_channels: int, pool: tuple[int, int]):
        super().__init__(in_channels, out_channels, pool=pool, activation="silu", pool_first=True)
        self.conv.padding = (1, 0)

    def forward(
        self,
        x: Float[Tensor, "B C F T"],
        valid: Bool[Tensor, "B T"] | None = None,
        past: Float[Tensor, "B C F 2"] | None = None,
    ) -> tuple[Float[Tensor, "B C2 F2 T2"], Bool[Tensor, "B T2"] | None]:
        """x (B, C, F, T) and the frames before, zeros without -> maps and mask."""
        x = zero_padding(x, valid)
        x = F.pad(x, (PAST, 0)) if past is None else torch.cat([past, x], dim=3)
        maps = self.conv(x.contiguous(memory_format=torch.channels_last))
        maps, valid = max_pool(maps, self.pool, valid)
        return self.activation(self.norm(maps, valid)), valid


class CausalCrnn(nn.Module):
    """Causal convolutions → GRU → attention over the last `window` steps → classifier.

    Raises ValueError if `pools` leave no frequency band, or `channels` are not as many.
    """

    def __init__(self, config: CausalCrnnConfig):
        super().__init__()
        self.config = config
        stem = ConvStem(config.channels, pools=config.pools)  # for its checks and its bands
        ends = zip((1, *config.channels[:-1]), config.channels, config.pools, strict=True)
        self.blocks = nn.ModuleList(CausalBlock(*each) for each in ends)
        d_frame = config.channels[-1] * stem.out_bands(config.num_features)
        self.gru = nn.GRU(d_frame, config.hidden_size, batch_first=True)
        self.pool = AttentionPooling(config.hidden_size)
        self.classify = Classifier(config.hidden_size, config.num_classes, dropout=config.dropout)

    @property
    def step_frames(self) -> int:
        """Frames of a step."""
        return math.prod(frames for _, frames in self.config.pools)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes) after the last step; padding comes last."""
        x = maps_of(features)
        for block in self.blocks:
            x, valid = block(x, valid)
        y = self._recur(frames_of(x), valid)
        place = torch.arange(y.shape[1], device=y.device)
        ends = y.new_full((len(y), 1), y.shape[1]) if valid is None else valid.sum(1, keepdim=True)
        last = (place < ends) & (place >= ends - self.config.window)
        return self.classify(weighted_pool(y, self.pool.scores(y), last))

    def _recur(self, x: Float[Tensor, "B S D"], valid: Tensor | None) -> Float[Tensor, "B S H"]:
        """The GRU's outputs; in training some clips begin where others ended."""
        if valid is not None:
            x = x.masked_fill(~valid[..., None], 0)
        if not self.training or not self.config.carry:
            return self.gru(x)[0]
        with torch.no_grad():
            y = self.gru(x)[0]
            ends = y.shape[1] if valid is None else valid.sum(1)
            rows = torch.arange(len(y), device=y.device)
            carried = torch.rand(len(y), 1, device=y.device) < self.config.carry
            before = y[rows, torch.as_tensor(ends, device=y.device) - 1].roll(1, 0) * carried
        return self.gru(x, before[None].contiguous())[0]

    def start(self, batch: int = 1) -> State:
        """The state in front of the first frame."""
        like, bands, config = self.pool.score.weight, self.config.num_features, self.config
        parts = []
        for channels, (pool, _) in zip((1, *config.channels), config.pools, strict=False):
            parts.append(like.new_zeros(batch, channels, bands, PAST))
            bands //= pool
        held = config.window - 1
        parts.append(like.new_zeros(1, batch, config.hidden_size))
        parts.append(like.new_zeros(batch, held, config.hidden_size))
        return (*parts, like.new_full((batch, held), -math.inf))  # nothing there: weight zero

    def step(
        self, features: Float[Tensor, "B T F"], state: State
    ) -> tuple[Float[Tensor, "B S C"], State]:
        """Whole steps of frames -> logits after each, next state. ValueError: not whole steps."""
        if features.shape[1] % self.step_frames:
            raise ValueError(f"{features.shape[1]} frames are not steps of {self.step_frames}")
        x, after = maps_of(features), []
        for block, past in zip(self.blocks, state, strict=False):
            after.append(torch.cat([past, x], dim=3)[..., -PAST:])
            x, _ = block(x, None, past)
        before, outputs, scores = state[-3:]
        y, hidden = self.gru(frames_of(x), before)
        outputs = torch.cat([outputs, y], dim=1)
        scores = torch.cat([scores, self.pool.scores(y)], dim=1)
        steps = torch.arange(y.shape[1], device=y.device)
        window = steps[:, None] + torch.arange(self.config.window, device=y.device)  # (S, window)
        weights = scores[:, window].softmax(dim=2)
        pooled = torch.einsum("bsw,bswh->bsh", weights, outputs[:, window])
        logits = self.classify(pooled.flatten(0, 1)).unflatten(0, pooled.shape[:2])
        return logits, (*after, hidden, outputs[:, y.shape[1] :], scores[:, y.shape[1] :])

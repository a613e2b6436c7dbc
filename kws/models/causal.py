"""Models that read each frame of a stream once: the steps that they share.

    logits, state = model.step(features, model.start(batch))     # logits of every 30 ms

Nothing waits for what comes later, and what is needed of the past is the state: two frames in front
of each convolution, what `encode` keeps, and the last `window` outputs of it, over which attention
pools as over a clip. A step is as many frames as the poolings join, three by default. Whatever
pieces a recording comes in, its logits are those of the whole; a clip's are those of its last step.

In a stream the state never restarts. In training `carry` of the clips therefore begin in the state
that another clip of the batch has left.

Shape letters: B batch   T frames   F features of a frame   S steps   D frame after the convolutions
H width of the encoder   C classes
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.classifier import AttentionPooling, weighted_pool
from kws.models.frontend import ConvBlock, ConvStem, frames_of, maps_of, max_pool, zero_padding
from kws.settings import Finite, Fraction, Size

PAST = 2  # frames that a convolution of three reads in front of the newest
State = tuple[Tensor, ...]  # frames in front of each block (B, C, F, 2), encoder, outputs, scores


@dataclass(frozen=True, kw_only=True)
class CausalConfig:
    """Settings that every `CausalModel` has."""

    num_classes: Size = 12  # number of logits
    num_features: Size = 40  # frequency bands of the input
    channels: tuple[Size, ...] = (32, 64, 64)  # output channels of each convolution
    # (bands, frames) of the pooling after each convolution
    pools: tuple[tuple[Size, Size], ...] = ((2, 3), (2, 1), (2, 1))
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


def causal_blocks(config: CausalConfig) -> tuple[nn.ModuleList, int]:
    """The convolutions, and the width D of a frame after them.

    Raises ValueError if `pools` leave no frequency band, or `channels` are not as many.
    """
    stem = ConvStem(config.channels, pools=config.pools)  # for its checks and its bands
    ends = zip((1, *config.channels[:-1]), config.channels, config.pools, strict=True)
    width = config.channels[-1] * stem.out_bands(config.num_features)
    return nn.ModuleList(CausalBlock(*each) for each in ends), width


def describe_state(state: State) -> list[dict[str, object]]:
    """Shape of each part in front of the first step, and what fills it: null for −∞, as JSON."""
    return [{"shape": [*x.shape], "fill": None if x.isinf().any() else 0} for x in state]


class CausalModel(nn.Module):
    """Causal convolutions → `encode` → attention over the last `window` steps → classifier."""

    config: CausalConfig
    blocks: nn.ModuleList
    pool: AttentionPooling
    classify: nn.Module

    def start_encoder(self, batch: int) -> State:
        """What `encode` reads in front of the first step, each part (B, …)."""
        raise NotImplementedError

    def encode(
        self, x: Float[Tensor, "B S D"], valid: Bool[Tensor, "B S"] | None, state: State
    ) -> tuple[Float[Tensor, "B S H"], State]:
        """Outputs after each of the next steps, and the state after the last valid one."""
        raise NotImplementedError

    @property
    def step_frames(self) -> int:
        """Frames of a step."""
        return math.prod(frames for _, frames in self.config.pools)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes) after the last step; padding comes last."""
        maps = maps_of(features)
        for block in self.blocks:
            maps, valid = block(maps, valid)
        x = frames_of(zero_padding(maps, valid))
        y, _ = self.encode(x, valid, self._before(x, valid))
        place = torch.arange(y.shape[1], device=y.device)
        ends = y.new_full((len(y), 1), y.shape[1]) if valid is None else valid.sum(1, keepdim=True)
        last = (place < ends) & (place >= ends - self.config.window)
        return self.classify(weighted_pool(y, self.pool.scores(y), last))

    def _before(self, x: Float[Tensor, "B S D"], valid: Tensor | None) -> State:
        """The encoder's state in front of clips: in training of some, what another has left."""
        state = self.start_encoder(len(x))
        if not self.training or not self.config.carry:
            return state
        with torch.no_grad():
            _, left = self.encode(x, valid, state)
        rows = torch.arange(len(x), device=x.device)
        carried = torch.rand(len(x), device=x.device) < self.config.carry
        rows = torch.where(carried, rows.roll(1), rows + len(x))
        return tuple(torch.cat(pair)[rows] for pair in zip(left, state, strict=True))

    def start(self, batch: int = 1) -> State:
        """The state in front of the first frame."""
        like, bands, config = self.pool.score.weight, self.config.num_features, self.config
        parts = []
        for channels, (pool, _) in zip((1, *config.channels), config.pools, strict=False):
            parts.append(like.new_zeros(batch, channels, bands, PAST))
            bands //= pool
        outputs = like.new_zeros(batch, config.window - 1, like.shape[1])
        scores = like.new_full(outputs.shape[:2], -math.inf)  # nothing there: weight zero
        return (*parts, *self.start_encoder(batch), outputs, scores)

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
        *before, outputs, scores = state[len(after) :]
        y, kept = self.encode(frames_of(x), None, tuple(before))
        outputs = torch.cat([outputs, y], dim=1)
        scores = torch.cat([scores, self.pool.scores(y)], dim=1)
        steps = torch.arange(y.shape[1], device=y.device)
        window = steps[:, None] + torch.arange(self.config.window, device=y.device)  # (S, window)
        weights = scores[:, window].softmax(dim=2)
        pooled = torch.einsum("bsw,bswh->bsh", weights, outputs[:, window])
        logits = self.classify(pooled.flatten(0, 1)).unflatten(0, pooled.shape[:2])
        return logits, (*after, *kept, outputs[:, y.shape[1] :], scores[:, y.shape[1] :])

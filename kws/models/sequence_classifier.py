"""One label for a whole utterance: front end → positions → encoder → pooling → classifier.

Source of the convolutional front end: Dong et al. 2018, "Speech-Transformer", section 3.2. Two
convolutions of stride 2 leave a quarter of the frames, so a sixteenth of the attention's work.

Shape letters: B batch   T frames   F features of a frame   D model width
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.frontend import ConvStem, frames_of, zero_padding

STEM_CHANNELS = (32, 64)
STEM_STRIDES = (2, 2)


class LinearFrontEnd(nn.Module):
    """Project every frame by itself: (B, T, F) -> (B, T, D)."""

    def __init__(self, num_features: int, d_model: int):
        super().__init__()
        self.project = nn.Linear(num_features, d_model)

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"] | None]:
        """Project; what the padding holds, even NaN, is dropped here."""
        return self.project(zero_padding(features.mT, valid).mT), valid


class ConvFrontEnd(nn.Module):
    """Two convolutions of stride 2, then a projection: (B, T, F) -> (B, T / 4, D).

    Raises:
        ValueError: if the strides leave no band of `num_features`.
    """

    def __init__(self, num_features: int, d_model: int):
        super().__init__()
        self.stem = ConvStem(STEM_CHANNELS, strides=STEM_STRIDES)
        self.project = nn.Linear(
            self.stem.out_channels * self.stem.out_bands(num_features), d_model
        )

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T4 D"], Bool[Tensor, "B T4"] | None]:
        """Shorten, then project all bands and channels of a frame."""
        maps, valid = self.stem(features, valid)
        return self.project(frames_of(maps)), valid


FRONT_ENDS = {"linear": LinearFrontEnd, "conv": ConvFrontEnd}


class SequenceClassifier(nn.Module):
    """Front end → positions → encoder → pooling over time → classifier, whatever they are.

    Args:
        front_end: (features, valid) -> (x, valid), possibly with fewer frames.
        positions: x -> x, `nn.Identity` for none.
        encoder: (x, valid) -> x.
        pool: (x, valid) -> one vector per utterance.
        classify: vectors -> logits.
    """

    def __init__(
        self,
        front_end: nn.Module,
        positions: nn.Module,
        encoder: nn.Module,
        pool: nn.Module,
        classify: nn.Module,
    ):
        super().__init__()
        self.front_end = front_end
        self.positions = positions
        self.encoder = encoder
        self.pool = pool
        self.classify = classify

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B num_classes"]:
        """features (B, T, F) -> logits (B, num_classes)."""
        x, valid = self.front_end(features, valid)
        x = self.encoder(self.positions(x), valid)
        return self.classify(self.pool(x, valid))

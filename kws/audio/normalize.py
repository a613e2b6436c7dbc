"""Bring features to a common level before the model reads them.

    none        as they are
    utterance   minus their mean over the frames of the utterance: what a microphone adds to every
                frame of a log spectrum goes away with it (cepstral mean subtraction, Atal 1974)
    dataset     minus mean, divided by standard deviation, band by band, over the training data

Shape letters: B batch   T frames   F features
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalizer:
    """Callable on features; `mean` and `std` (F,) are there when `kind` is "dataset"."""

    kind: Literal["none", "utterance", "dataset"] = "utterance"
    mean: Float[Tensor, "F"] | None = None
    std: Float[Tensor, "F"] | None = None

    def __call__(
        self, mel: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T F"]:
        """Normalize `mel`. Padding (`valid` False) is excluded from the mean and set to zero."""
        if self.kind == "utterance":
            mel = mel - mean_over_time(mel, valid)
        elif self.kind == "dataset":
            assert self.mean is not None
            assert self.std is not None
            mel = (mel - self.mean.to(mel)) / self.std.to(mel)
        return mel if valid is None else mel.masked_fill(~valid[..., None], 0.0)

    def to(self, device: torch.device) -> "Normalizer":
        """The same, with its numbers on `device`."""
        mean, std = (None if x is None else x.to(device) for x in (self.mean, self.std))
        return Normalizer(kind=self.kind, mean=mean, std=std)


def mean_over_time(
    mel: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
) -> Float[Tensor, "B 1 F"]:
    """Mean over the valid frames of each utterance; zero for one that has none."""
    if valid is None:
        return mel.mean(dim=1, keepdim=True)
    real = valid[..., None]
    return mel.masked_fill(~real, 0.0).sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp(min=1)


def dataset_normalizer(
    batches: Iterable[tuple[Float[Tensor, "B T F"], Bool[Tensor, "B T"] | None]],
) -> Normalizer:
    """Mean and deviation (at least 1e-3) of every band over all valid frames of `batches`."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for mel, valid in batches:
        frames = (mel.flatten(0, 1) if valid is None else mel[valid]).double()
        count += len(frames)
        total = total + frames.sum(0).cpu()
        squares = squares + frames.square().sum(0).cpu()
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=1e-6).sqrt()
    return Normalizer(kind="dataset", mean=mean.float(), std=std.float())

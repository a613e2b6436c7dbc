"""From a data set and a recipe to batches that a model reads, on the device.

    training     rows → waveforms → augmentation → features → augmentation → TrainingBatch
    evaluation   every example once, in order, without augmentation → Batch

Which examples a step sees and every draw of their augmentation are functions of (seed, step): a
training that is resumed at a step draws what it would have drawn, and nothing has to be stored.

Shape letters: B batch   N samples   T frames   F features   C classes   n examples of the split
"""

import functools
import hashlib
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from kws.audio import augment
from kws.audio.normalize import Normalizer, dataset_normalizer
from kws.audio.recordings import CLIP_SAMPLES, SAMPLE_RATE, to_float
from kws.data.clips import ClipSplit
from kws.data.protocols import get_protocol
from kws.data.speakers import FrameSplit
from kws.training.recipe import ON_WAVEFORMS, Features, Recipe, compute_features

Split = ClipSplit | FrameSplit
EVALUATION_BATCH = 256  # clips
EVALUATION_FRAMES = 25_600  # padded frames in a batch of whole utterances: as many as 256 clips
CACHE_BYTES = 512 << 20  # evaluation features up to this size are kept between epochs


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingBatch:
    """Augmented examples; `targets` rows sum to 1 and are not one-hot after mixup."""

    features: Float[Tensor, "B T F"]
    valid: Bool[Tensor, "B T"] | None
    targets: Float[Tensor, "B C"]

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Examples to evaluate; `index` is their place in the split, `labels` -1 where unknown."""

    features: Float[Tensor, "B T F"]
    valid: Bool[Tensor, "B T"] | None
    labels: Int[Tensor, "B"]
    index: Int[Tensor, "B"]

    def __len__(self) -> int:
        return len(self.features)


def generator_for(seed: int, purpose: str, step: int) -> Generator:
    """The CPU generator of everything that `purpose` draws at `step`, the same on every machine."""
    digest = hashlib.sha256(f"{seed} {purpose} {step}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Batches in a pass over n examples, the last one as full as the others."""
    return -(-n // batch_size)


@functools.lru_cache(maxsize=2)
def _epoch_order(n: int, seed: int, epoch: int) -> Int[Tensor, "n"]:
    return torch.randperm(n, generator=generator_for(seed, "order", epoch))


def training_rows(step: int, *, n: int, batch_size: int, seed: int) -> Int[Tensor, "B"]:
    """Examples of step `step`: each pass visits all n once, in a new order, in equal batches ±1."""
    steps = steps_per_epoch(n, batch_size)
    epoch, i = divmod(step, steps)
    return _epoch_order(n, seed, epoch)[n * i // steps : n * (i + 1) // steps]


def training_batch(
    split: Split,
    recipe: Recipe,
    normalize: Normalizer,
    rows: Int[Tensor, "B"],
    generator: Generator,
    device: torch.device | None = None,
) -> TrainingBatch:
    """Examples `rows`, augmented by the recipe, on `device`, by default the split's."""
    config, device = recipe.augment, device or split.labels.device
    labels = split.labels[rows.to(split.labels.device)].to(device)
    features, valid, labels = _training_features(split, recipe, rows, labels, generator)
    features = augment.warp_frequency(features, config.warp_frequency, generator)
    features = augment.warp_time(features, config.warp_time, generator, valid=valid)
    features = augment.random_tilt(features, config.tilt, generator)
    if config.band_limit:
        features = augment.band_limit(
            features,
            config.min_bands,
            generator,
            probability=config.band_limit,
            floor=recipe.features.floor,
        )
    features = normalize(features, valid)
    features = augment.spec_augment(
        features,
        generator,
        time_masks=config.time_masks,
        max_time=config.max_time,
        freq_masks=config.freq_masks,
        max_freq=config.max_freq,
        valid=valid,
    )
    targets = F.one_hot(labels, len(split.label_names)).to(features.dtype)
    if valid is None:
        features, targets = augment.mixup(features, targets, config.mixup, generator)
        if config.preceded and torch.rand((), generator=generator) < config.preceded:
            features = torch.cat([features.roll(1, dims=0), features], dim=1)
    else:  # a frame is real if it is in either example: let the mask be one more feature
        both = torch.cat([features, valid[..., None].to(features.dtype)], dim=2)
        both, targets = augment.mixup(both, targets, config.mixup, generator)
        features, valid = both[..., :-1], both[..., -1] > 0
    return TrainingBatch(features=features, valid=valid, targets=targets)


def _training_features(
    split: Split, recipe: Recipe, rows: Tensor, labels: Tensor, generator: Generator
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Log-mels or MFCC of augmented clips, or crops of utterances; their mask and labels."""
    device = labels.device
    if isinstance(split, FrameSplit):
        frames = recipe.data.crop_frames
        features, valid = (_move(x, device) for x in split.crops(rows, generator, frames=frames))
        # no padding, no mask: layers are faster without (free: the lengths are on the CPU)
        return features, None if (split.lengths[rows] >= frames).all() else valid, labels
    config = recipe.augment
    if not any(getattr(config, key) for key in ON_WAVEFORMS) and _may_keep(split, recipe.features):
        kept = _kept_features(split, recipe.features)
        return _move(kept[rows.to(kept.device)], device), None, labels
    samples = _move(split.samples(rows), device)
    samples = augment.time_shift(samples, round(config.time_shift * SAMPLE_RATE), generator)
    waveform = augment.change_speed(to_float(samples), config.speed, generator)
    if config.garbled:
        waveform, labels = _garble(split, waveform, labels, config.garbled, generator)
    waveform = augment.add_room(waveform, generator, probability=config.rooms)
    waveform = augment.add_noise(
        waveform,
        split.noise.to(device) if config.noise_volume or config.noise_ratio else split.noise,
        generator,
        probability=config.noise_probability,
        max_volume=config.noise_volume,
        ratio_db=config.noise_ratio,
    )
    waveform = augment.random_gain(waveform, config.gain, generator)
    return compute_features(recipe.features, waveform), None, labels


def _garble(
    split: ClipSplit, waveform: Tensor, labels: Tensor, probability: float, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Replace some words with pseudo-words, labeled as other words; silence is unchanged."""
    protocol = get_protocol(split.protocol)
    silence, unknown = (
        split.label_names.index(label) if label else -1
        for label in (protocol.silence_label, protocol.unknown_label)
    )
    made, chosen = augment.garble(waveform, labels, generator, probability=probability)
    chosen = chosen & (labels != silence)
    return made.where(chosen[:, None], waveform), labels.where(~chosen, unknown)


def place_split(split: Split, device: torch.device) -> Split:
    """The split copied to a CUDA device, if it fits; a larger one stays where it is."""
    if device.type != "cuda":
        return split
    if isinstance(split, ClipSplit):
        size = 2 * CLIP_SAMPLES * len(split)
    else:
        size = 2 * split.num_features * int(split.lengths.sum())
    free, _ = torch.cuda.mem_get_info(device)
    return split.to(device) if fits_beside_training(size, free) else split


def fits_beside_training(size: int, free: int) -> bool:
    """Whether data of `size` bytes leave a GPU with `free` bytes half of them for the training."""
    return 2 * size <= free


def _move(x: Tensor, device: torch.device) -> Tensor:
    if x.device.type == device.type:
        return x
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


def _may_keep(split: ClipSplit, config: Features) -> bool:
    frames = 1 + CLIP_SAMPLES // config.hop
    size = len(split) * frames * config.num_features * 4
    return config.kind != "waveform" and size <= CACHE_BYTES


_KEPT: weakref.WeakKeyDictionary[ClipSplit, dict[Features, Tensor]] = weakref.WeakKeyDictionary()


def _kept_features(split: ClipSplit, config: Features) -> Float[Tensor, "n T F"]:
    """Features of every clip without augmentation, computed once."""
    kept = _KEPT.setdefault(split, {})
    if config not in kept:
        chunks = torch.arange(len(split)).split(EVALUATION_BATCH)
        kept[config] = torch.cat([compute_features(config, split.waveforms(i)) for i in chunks])
    return kept[config]


def evaluation_batches(
    split: Split,
    recipe: Recipe,
    normalize: Normalizer,
    *,
    crops: bool = False,
    rank: int = 0,
    world: int = 1,
    device: torch.device | None = None,
) -> Iterator[Batch]:
    """Every example once, without augmentation: batches `rank`, `rank + world`, … on `device`.

    Speaker data are whole utterances, bucketed by length (`index` has their order), or with
    `crops=True` the middle crop of each.
    """
    if isinstance(split, ClipSplit):
        for chunk in torch.arange(len(split)).split(EVALUATION_BATCH)[rank::world]:
            index = chunk.to(split.labels.device)
            samples = _move(split.samples(index), device or index.device)
            features = normalize(compute_features(recipe.features, to_float(samples)))
            labels, index = (x.to(features.device) for x in (split.labels[index], index))
            yield Batch(features=features, valid=None, labels=labels, index=index)
        return
    if crops:
        batches = split.crop_batches(EVALUATION_BATCH, frames=recipe.data.crop_frames)
    else:
        batches = split.full_batches(EVALUATION_FRAMES)
    for batch in islice(batches, rank, None, world):
        features, valid, labels, index = (_move(x, device or x.device) for x in batch)
        yield Batch(features=normalize(features, valid), valid=valid, labels=labels, index=index)


class Cached:
    """Batches made when first requested, and kept if small enough.

    Args:
        make: begins a new pass over the same batches.
        limit: bytes of features up to which they are kept.
    """

    def __init__(self, make: Callable[[], Iterator[Batch]], limit: int = CACHE_BYTES):
        self.make = make
        self.limit = limit
        self.kept: list[Batch] | None = None

    def __iter__(self) -> Iterator[Batch]:
        if self.kept is not None:
            yield from self.kept
            return
        kept, size = [], 0
        for batch in self.make():
            size += batch.features.numel() * batch.features.element_size()
            kept = [*kept, batch] if size <= self.limit else []
            yield batch
        if size <= self.limit:
            self.kept = kept


def fit_normalizer(split: Split, recipe: Recipe) -> Normalizer:
    """The recipe's normalization; "dataset" is measured on `split`, without augmentation."""
    kind = recipe.features.normalize
    if kind != "dataset":
        return Normalizer(kind=kind)
    plain = evaluation_batches(split, recipe, Normalizer(kind="none"))
    return dataset_normalizer((batch.features, batch.valid) for batch in plain)

"""One split of a speaker data set: utterances of different lengths, drawn as crops or whole.

The homework trains on crops and tests on whole utterances; the accuracies differ by several points,
so a result names which it is. A batch is index arithmetic and one gather, from the memory-mapped
pack or, after `.to(device)`, from a copy on that device.

Shape letters: n utterances of the split   B batch   T frames (10 ms each)   F features
    R frames of all utterances of the split, and one of padding
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Float16, Int
from torch import Generator, Tensor

from kws.data.packed import PADDING, PackedFrames

CROP_FRAMES = 128  # 1.28 s
LENGTH_JITTER = 0.1  # shuffled batches: lengths are sorted after a change of up to 10 %
FrameBatch = tuple[Tensor, Tensor, Tensor, Tensor]  # mel, valid, labels, places in the split
MOVE_BLOCK = 1 << 18  # frames moved to a device at a time: 21 MB of 40 features


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameSplit:
    """Utterances, labels and the ways to draw them.

    Utterance `i` is `lengths[i]` frames of the pack from `begins[i]` on (both on the CPU, because
    they decide shapes). `labels` index `label_names`, the speakers, and are -1 where unknown.
    """

    packed: PackedFrames
    begins: Int[Tensor, "n"]
    lengths: Int[Tensor, "n"]
    labels: Int[Tensor, "n"]
    names: list[str]
    label_names: tuple[str, ...]
    split: str
    own: Float16[Tensor, "R F"] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_features(self) -> int:
        """F, the mel bands of a frame."""
        return self.packed.frames.shape[1]

    def describe(self) -> str:
        return f"speakers {self.split}: {len(self):,} utterances"

    def crops(
        self,
        index: Int[Tensor, "B"],
        generator: Generator | None = None,
        *,
        frames: int = CROP_FRAMES,
    ) -> tuple[Float[Tensor, "B T F"], Bool[Tensor, "B T"]]:
        """`frames` consecutive frames of each utterance, and which of them are real.

        The CPU generator draws the first frame; without one the crop is in the middle. Shorter
        utterances are whole, followed by padding.
        """
        if frames < 1:
            raise ValueError(f"frames={frames} must be at least 1")
        index = index.cpu()
        lengths = self.lengths[index]
        room = (lengths - frames).clamp(min=0)
        if generator is None:
            skipped = room // 2
        else:
            drawn = torch.rand(len(index), generator=generator, dtype=torch.float64)
            skipped = (drawn * (room + 1)).long()
        return self._gather(self.begins[index] + skipped, lengths.clamp(max=frames), frames)

    def whole(self, index: Int[Tensor, "B"]) -> tuple[Float[Tensor, "B T F"], Bool[Tensor, "B T"]]:
        """Whole utterances, padded to the longest of them, and which frames are real."""
        index = index.cpu()
        lengths = self.lengths[index]
        return self._gather(self.begins[index], lengths, int(lengths.max()))

    def _gather(
        self, begins: Int[Tensor, "B"], lengths: Int[Tensor, "B"], frames: int
    ) -> tuple[Float[Tensor, "B T F"], Bool[Tensor, "B T"]]:
        source = self._source()
        begins, lengths = begins.to(source.device), lengths.to(source.device)
        step = torch.arange(frames, device=source.device)
        valid = step < lengths[:, None]
        row = (begins[:, None] + step).where(valid, len(source) - 1)  # the last row is padding
        mel = source.index_select(0, row.flatten()).view(*row.shape, self.num_features).float()
        return mel, valid

    def _source(self) -> Float16[Tensor, "R F"]:
        return torch.from_numpy(self.packed.frames) if self.own is None else self.own

    def full_batches(
        self, max_frames_per_batch: int, *, generator: Generator | None = None
    ) -> Iterator[FrameBatch]:
        """Every utterance once, whole, in batches of similar length: mel, valid, labels, index.

        A batch has at most `max_frames_per_batch` frames including padding, or one longer
        utterance. Without a generator the longest come first; a CPU generator draws their order.
        """
        for index in self.buckets(max_frames_per_batch, generator=generator):
            own_index = index.to(self.labels.device)
            yield *self.whole(index), self.labels[own_index], own_index

    def buckets(
        self, max_frames_per_batch: int, *, generator: Generator | None = None
    ) -> list[Int[Tensor, "_"]]:
        if not len(self):
            return []
        key = self.lengths.double()
        if generator is not None:
            key *= 1 + LENGTH_JITTER * torch.rand(len(self), generator=generator).double()
        order = key.argsort(descending=True, stable=True)
        sizes, size, longest = [], 0, 0
        for length in self.lengths[order].tolist():
            longest = max(longest, length)
            if size and (size + 1) * longest > max_frames_per_batch:
                sizes.append(size)
                size, longest = 0, length
            size += 1
        batches = list(order.split([*sizes, size]))
        if generator is None:
            return batches
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]

    def crop_batches(
        self, batch_size: int, generator: Generator | None = None, *, frames: int = CROP_FRAMES
    ) -> Iterator[FrameBatch]:
        """Every utterance once, as a crop: mel, valid, labels, index; the last batch may be small.

        A CPU generator draws their order and the crops.
        """
        order = torch.arange(len(self))
        if generator is not None:
            order = torch.randperm(len(self), generator=generator)
        for index in order.split(batch_size):
            if not len(index):  # what an empty split is divided into
                return
            own_index = index.to(self.labels.device)
            crops = self.crops(index, generator, frames=frames)
            yield *crops, self.labels[own_index], own_index

    def to(self, device: torch.device | str) -> "FrameSplit":
        """The same split with its own frames, and no others, copied to `device`."""
        if self.own is not None:
            return replace(self, own=self.own.to(device), labels=self.labels.to(device))
        ends = self.lengths.cumsum(0)
        total = int(ends[-1])
        begins = ends - self.lengths
        shape = (total + 1, self.num_features)
        own = torch.full(shape, PADDING, dtype=torch.float16, device=device)
        source, shift = self._source(), self.begins - begins
        for low in range(0, total, MOVE_BLOCK):
            row = torch.arange(low, min(low + MOVE_BLOCK, total))
            utterance = torch.searchsorted(ends, row, right=True)
            own[low : low + len(row)] = source[row + shift[utterance]].to(device)
        return replace(self, own=own, begins=begins, labels=self.labels.to(device))

"""One split of a keyword data set, ready to be drawn from in batches.

A batch is one gather of 16-bit samples and one multiplication, from the memory-mapped pack or,
after `.to(device)`, from a copy of this split on that device. No Python runs per clip.

Shape letters: n clips of the split   B batch   N samples of a clip   M samples of noise
"""

from collections import Counter
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int, Int16
from torch import Tensor

from kws.audio.recordings import CLIP_SAMPLES, FULL_SCALE, to_float
from kws.data.packed import PackedClips

MOVE_BLOCK = 1024  # clips moved to a device at a time: 32 MB


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipSplit:
    """Clips, labels and silence of one split.

    `rows[i]` is the row of `clips` of example i; -1 is synthetic silence: the second of `noise`
    from sample `silence_start` on, times `silence_gain`, or zeros where the start is -1. `labels`
    index `label_names`, and are -1 in unlabeled data. `silence` is the convention: "noise" (crops
    of background recordings), "zeros", "clips" (an archive's `_silence_` folder) or "none". With
    `all_unknown` every clip of another word is included. `notes` are messages for the user.
    """

    clips: PackedClips
    rows: Int[Tensor, "n"]
    labels: Int[Tensor, "n"]
    names: list[str]
    label_names: tuple[str, ...]
    noise: Float[Tensor, "M"]
    silence_start: Int[Tensor, "n"]
    silence_gain: Float[Tensor, "n"]
    protocol: str
    split: str
    silence: str
    all_unknown: bool = False
    notes: tuple[str, ...] = ()
    audio: Int16[Tensor, "n N"] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def waveforms(self, index: Int[Tensor, "B"]) -> Float[Tensor, "B N"]:
        """Examples `index` as float32 in [-1, 1), on the device of this split."""
        return to_float(self.samples(index))

    def samples(self, index: Int[Tensor, "B"]) -> Int16[Tensor, "B N"]:
        """Examples `index` as they are stored, in 16 bits."""
        index = index.to(self.labels.device)
        if self.audio is not None:
            return self.audio.index_select(0, index)
        rows = self.rows[index]
        samples = torch.from_numpy(self.clips.audio).index_select(0, rows.clamp(min=0))
        made = (rows < 0).nonzero()[:, 0]
        if len(made):
            samples[made] = self._made_silence(index[made])
        return samples

    def _made_silence(self, index: Int[Tensor, "B"]) -> Int16[Tensor, "B N"]:
        start, gain = self.silence_start[index], self.silence_gain[index]
        if not len(self.noise):
            return torch.zeros(len(index), CLIP_SAMPLES, dtype=torch.int16)
        crops = self.noise.unfold(0, CLIP_SAMPLES, 1)[start.clamp(min=0)]
        gain = gain.where(start >= 0, 0)[:, None] * FULL_SCALE
        return (crops * gain).round().clamp(-FULL_SCALE, FULL_SCALE - 1).to(torch.int16)

    def to(self, device: torch.device | str) -> "ClipSplit":
        """The same split with its own samples copied to `device`: 32 kB a clip."""
        audio = self.audio
        if audio is None:
            audio = torch.empty(len(self), CLIP_SAMPLES, dtype=torch.int16, device=device)
            for block in torch.arange(len(self)).split(MOVE_BLOCK):
                audio[block[0] : block[-1] + 1] = self.samples(block).to(device)
        return replace(
            self,
            audio=audio.to(device),
            rows=self.rows.to(device),
            labels=self.labels.to(device),
            noise=self.noise.to(device),
            silence_start=self.silence_start.to(device),
            silence_gain=self.silence_gain.to(device),
        )

    def counts(self) -> dict[str, int]:
        found = Counter(self.labels.tolist())
        return {name: found[index] for index, name in enumerate(self.label_names)}

    def describe(self) -> str:
        """Protocol, split, clips, what silence and unknown are: to print beside an accuracy."""
        unknown = ", unknown: all other words" if self.all_unknown else ""
        return (
            f"{self.protocol} {self.split}: {len(self):,} clips, silence: {self.silence}{unknown}"
        )

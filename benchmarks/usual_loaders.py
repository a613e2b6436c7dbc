"""The data pipelines that `benchmarks/data.py` measures ours against, as they are usually written.

    Words        torchaudio's Speech Commands dataset; each clip is read, shifted, given noise,
                 turned into log-mels and masked in a DataLoader's worker processes
    Utterances   the speaker homework's dataset: one torch.load and one random crop per utterance

Reading goes through soundfile, because torchaudio's own loader needs TorchCodec and FFmpeg. One
habit is left out that would have made them slower: nothing is resampled.
"""

import json
import random
from pathlib import Path

import soundfile
import torch
import torchaudio
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

CLIP = 16_000
CROP = 128  # frames
PADDING = -20.0


class Words(torchaudio.datasets.SPEECHCOMMANDS):
    """(mel (101, 40), label) of an augmented training clip in the Speech Commands folder."""

    def __init__(self, folder: Path, labels: tuple[str, ...], scratch: Path) -> None:
        here = scratch / "SpeechCommands/speech_commands_v0.02"  # where torchaudio looks
        here.parent.mkdir(parents=True)
        here.symlink_to(folder.resolve())
        super().__init__(scratch, subset="training")
        self.labels = {word: index for index, word in enumerate(labels)}
        recordings = sorted((folder / "_background_noise_").glob("*.wav"))
        self.noise = [read(path) for path in recordings]
        self.mel = torchaudio.transforms.MelSpectrogram(
            16_000, n_fft=400, hop_length=160, n_mels=40, f_min=20.0
        )
        self.time_mask = torchaudio.transforms.TimeMasking(25)
        self.freq_mask = torchaudio.transforms.FrequencyMasking(7)

    def features(self, waveform: Tensor) -> Tensor:
        """(1, N) to (1, 40, T)."""
        return (self.mel(waveform) + 1e-6).log()

    def __getitem__(self, n: int) -> tuple[Tensor, int]:  # pyright: ignore[reportIncompatibleMethodOverride]
        path, _, word, _, _ = self.get_metadata(n)
        waveform = read(Path(self._archive) / path)
        waveform = torch.nn.functional.pad(waveform, (0, CLIP - waveform.shape[1]))
        shift = random.randint(-1_600, 1_600)
        waveform = torch.roll(waveform, shift, dims=1)
        if shift > 0:
            waveform[:, :shift] = 0
        elif shift < 0:
            waveform[:, shift:] = 0
        if self.noise and random.random() < 0.8:
            noise = random.choice(self.noise)
            start = random.randint(0, noise.shape[1] - CLIP)
            waveform = waveform + random.uniform(0, 0.1) * noise[:, start : start + CLIP]
        mel = self.features(waveform)
        for _ in range(2):
            mel = self.freq_mask(self.time_mask(mel))
        return mel[0].T, self.labels[word]


class Utterances(Dataset):
    """(crop (at most 128, 40), speaker) of one utterance in the homework's layout."""

    def __init__(self, folder: Path, masks: bool = False) -> None:
        self.folder, self.masks = folder, masks
        speakers = json.loads((folder / "mapping.json").read_text())["speaker2id"]
        metadata = json.loads((folder / "metadata.json").read_text())["speakers"]
        self.data = [
            (utterance["feature_path"], speakers[speaker])
            for speaker, utterances in metadata.items()
            for utterance in utterances
        ]
        self.time_mask = torchaudio.transforms.TimeMasking(25)
        self.freq_mask = torchaudio.transforms.FrequencyMasking(7)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, n: int) -> tuple[Tensor, int]:
        path, speaker = self.data[n]
        mel = torch.load(self.folder / path)
        if len(mel) > CROP:
            start = random.randint(0, len(mel) - CROP)
            mel = mel[start : start + CROP]
        if self.masks:
            for _ in range(2):
                mel = self.freq_mask(self.time_mask(mel.T)).T
        return mel, speaker


def read(path: Path) -> Tensor:
    """(1, N) float32."""
    samples, _ = soundfile.read(path, dtype="float32")
    return torch.from_numpy(samples)[None]


def pad_crops(batch: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """The homework's collate function: (B, 128, 40) and (B,)."""
    mels, speakers = zip(*batch, strict=True)
    return pad_sequence(list(mels), batch_first=True, padding_value=PADDING), torch.tensor(speakers)


def loader(dataset: Dataset, batch_size: int) -> DataLoader:
    """Two workers, which stay from one epoch to the next."""
    return DataLoader(
        dataset,
        batch_size,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        collate_fn=pad_crops if isinstance(dataset, Utterances) else None,
    )

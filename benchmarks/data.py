"""Clips a second through reading, augmentation and features: ours against the usual loaders.

    Speech Commands   torchaudio's dataset, a DataLoader with two workers | packed, two threads
    speakers          one torch.load per utterance, likewise              | packed, two threads

Both sides end in batches of the same shape, with labels, in the same order of work: shift, noise,
log-mel, two masks over time and two over frequency; crops of 128 frames for speakers. They take
turns on the same two cores after one turn to warm up, and the best turn of each counts. Packing,
done once for a data set, is listed by itself. "floor" is log-mel alone, of the same waveforms again
and again: no pipeline with these features can be faster. Memory is the largest seen, "own" without
the pages of files that Linux can drop at any time.

    python benchmarks/data.py [--words FOLDER] [--speakers FOLDER] [--turns 3] [--pack-clips 8400]

Without folders the embedded corpus is made, and speaker features of random values, as long as the
homework's. `--pack-clips 105829` packs as many clips as Speech Commands has (needs 3.4 GB of disk).
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from packing import measure_packing
from processes import cpu_seconds_of, peak_memory
from report import finish, print_table
from torch import Generator, Tensor
from torch.utils.data import DataLoader
from usual_loaders import Utterances, Words, loader

from kws.audio.augment import add_noise, spec_augment, time_shift
from kws.audio.features import log_mel
from kws.audio.recordings import to_float
from kws.data.clips import ClipSplit
from kws.data.embedded.corpus import make_corpus
from kws.data.frames import FrameSplit
from kws.data.speakers import load_speakers
from kws.data.speech_commands import load_speech_commands
from kws.training.memory import keep_freed_memory

BATCH = 64
THREADS = 2
SECONDS = 0.5  # that a turn lasts at least
MIB = 1 << 20
PROTOCOL = "embedded-35"
Examples = tuple[Tensor, Tensor]  # mel (B, T, F), labels (B,)


@dataclass
class Pipeline:
    """One way to go through a data set once; `workers` are the processes beside this one."""

    name: str
    epoch: Callable[[int], Iterable[Examples]]
    workers: Callable[[], list[int]] = list
    wall: list[float] = field(default_factory=list)  # seconds per example, one for each turn
    cpu: list[float] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)

    def processes(self) -> list[int]:
        return [os.getpid(), *self.workers()]

    def warm_up(self) -> torch.Size:
        """The first epoch, its memory watched. Returns the shape of a batch."""
        with peak_memory(self.processes) as self.memory:
            shapes = [mel.shape for mel, _ in self.epoch(0)]
        return shapes[0]

    def turn(self, number: int) -> None:
        """As many epochs as last `SECONDS`, timed."""
        cpu, start, count = self.cpu_seconds(), time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS:
            count += sum(len(labels) for _, labels in self.epoch(number))
        self.wall.append((time.perf_counter() - start) / count)
        self.cpu.append((self.cpu_seconds() - cpu) / count)

    def cpu_seconds(self) -> float:
        """Used so far by this process and the workers."""
        return time.process_time() + cpu_seconds_of(self.workers())

    @property
    def rate(self) -> float:
        """Examples a second, in the best turn."""
        return 1 / min(self.wall)

    def row(self, usual: "Pipeline") -> list[str | float | None]:
        ratios = [self.rate / usual.rate, min(usual.cpu) / min(self.cpu)]
        return [self.name, self.rate, min(self.cpu) * 1e6, *ratios, *self.mebibytes()]

    def mebibytes(self) -> list[float]:
        return [self.memory[name] / MIB for name in ("anon", "all")]


def usual(data: DataLoader) -> Pipeline:
    """A DataLoader, and its worker processes once it has begun."""
    running: list[Iterator] = []

    def epoch(_: int) -> Iterable[Examples]:
        running[:] = [iter(data)]
        return running[0]

    def workers() -> list[int]:
        return [worker.pid for worker in running[0]._workers] if running else []  # type: ignore

    return Pipeline(f"DataLoader, {data.num_workers} workers", epoch, workers)


def ours(name: str, size: int, batch: Callable[[Tensor, Generator], Examples]) -> Pipeline:
    """`THREADS` threads, each of which makes whole batches: torch lets them run side by side."""

    def epoch(number: int) -> Iterable[Examples]:
        rows = torch.randperm(size, generator=Generator().manual_seed(number)).split(BATCH)
        seeds = [Generator().manual_seed(number * len(rows) + i) for i in range(len(rows))]
        with ThreadPoolExecutor(THREADS) as pool:
            yield from pool.map(batch, rows, seeds)

    return Pipeline(name, epoch)


def word_batch(split: ClipSplit, rows: Tensor, generator: Generator) -> Examples:
    """The work of `usual_loaders.Words`, for a batch."""
    samples = time_shift(split.samples(rows), 1_600, generator)
    waveform = add_noise(to_float(samples), split.noise, generator)
    return spec_augment(log_mel(waveform), generator), split.labels[rows]


def speaker_batch(
    split: FrameSplit, rows: Tensor, generator: Generator, masks: bool = False
) -> Examples:
    """The work of `usual_loaders.Utterances`, for a batch."""
    mel, valid = split.crops(rows, generator)
    if masks:
        mel = spec_augment(mel, generator, valid=valid)
    return mel, split.labels[rows]


def race(pipelines: list[Pipeline], turns: int) -> None:
    """Warm all of them up, then let them take turns."""
    shapes = {pipeline.warm_up() for pipeline in pipelines}
    assert len(shapes) == 1, f"batches of different shapes: {shapes}"
    keep_freed_memory()  # a call of ours; the DataLoader's workers have begun without it
    for number in range(1, turns + 1):
        for pipeline in pipelines:
            pipeline.turn(number)


def same_features(words: Words, split: ClipSplit) -> None:
    """Without augmentation both sides must give the same numbers for the same clip."""
    path = Path(words.get_metadata(0)[0])
    row = split.clips.names.index(path.relative_to(path.parts[0]).as_posix())
    waveform = to_float(torch.from_numpy(split.clips.audio[row]))
    torch.testing.assert_close(
        words.features(waveform[None])[0].T, log_mel(waveform[None])[0], atol=1e-3, rtol=0
    )


def random_speakers(folder: Path, speakers: int = 40, utterances: int = 40) -> Path:
    """Features of random values in the homework's layout, as long as the homework's are."""
    generator = Generator().manual_seed(0)
    metadata = {}
    for s in range(speakers):
        # median 540 frames, mean 657: the homework's
        length = (540 * (0.63 * torch.randn(utterances, generator=generator)).exp()).int()
        metadata[f"id{s:05d}"] = []
        for u, frames in enumerate(length.clamp(91, 7193).tolist()):
            name = f"uttr-{s:016x}{u:016x}.pt"
            torch.save(torch.randn(frames, 40, generator=generator), folder / name)
            metadata[f"id{s:05d}"].append({"feature_path": name, "mel_len": frames})
    mapping = {
        "speaker2id": {name: i for i, name in enumerate(metadata)},
        "id2speaker": {str(i): name for i, name in enumerate(metadata)},
    }
    (folder / "mapping.json").write_text(json.dumps(mapping))
    (folder / "metadata.json").write_text(json.dumps({"n_mels": 40, "speakers": metadata}))
    return folder


HEADERS = ["", "per second", "CPU µs", "times as fast", "by CPU", "own MiB", "with files MiB"]


def measure_words(folder: Path, scratch: Path, turns: int) -> dict[str, float]:
    """Print the table of Speech Commands; returns what goes into the JSON."""
    split = load_speech_commands(folder, PROTOCOL, "training")
    words = Words(folder, split.label_names, scratch)
    same_features(words, split)
    size = min(len(words), len(split))
    memory = split.waveforms(torch.arange(BATCH))
    contenders = [
        usual(loader(words, BATCH)),
        ours("packed, 2 threads", size, lambda rows, seed: word_batch(split, rows, seed)),
        ours("floor: log-mel alone", size, lambda rows, _: (log_mel(memory[: len(rows)]), rows)),
    ]
    race(contenders, turns)
    theirs, packed, floor = contenders
    print(f"\nSpeech Commands, {size:,} clips of {folder.name} into batches of {BATCH}")
    print_table(HEADERS, [pipeline.row(theirs) for pipeline in contenders])
    print(
        f"ours runs at {packed.rate / floor.rate:.0%} of the floor, which log-mel sets: "
        f"with all else free it would be {floor.rate / theirs.rate:.1f} times as fast"
    )
    return {
        "speech_commands_speedup": packed.rate / theirs.rate,
        "speech_commands_cpu_ratio": min(theirs.cpu) / min(packed.cpu),
        "speech_commands_clips_per_second": packed.rate,
        "speech_commands_floor_speedup": floor.rate / theirs.rate,
    }


def measure_speakers(folder: Path, turns: int) -> dict[str, float]:
    """Print the table of speakers; returns what goes into the JSON."""
    split = load_speakers(folder, validation=0.0).train
    size = len(split)
    result = {}
    for masks in (False, True):
        contenders = [
            usual(loader(Utterances(folder, masks), BATCH)),
            ours(
                "packed, 2 threads",
                size,
                lambda rows, seed, masks=masks: speaker_batch(split, rows, seed, masks),
            ),
        ]
        race(contenders, turns)
        theirs, packed = contenders
        extra = ", masked" if masks else ", as in the homework"
        print(f"\nSpeakers, crops of 128 frames of {size:,} utterances{extra}")
        print_table(HEADERS, [pipeline.row(theirs) for pipeline in contenders])
        key = "speakers_masked_speedup" if masks else "speakers_speedup"
        result[key] = packed.rate / theirs.rate
    return result


def measure_packs(folder: Path, count: int, scratch: Path) -> dict[str, float]:
    """Print what packing takes; returns what goes into the JSON."""
    found = measure_packing(sorted(folder.glob("[a-z]*/*.wav")), count, scratch)
    own = found["anon"] - found["before"]
    print(f"\nPacking {count:,} clips, once, in a process of its own")
    print_table(
        ["clips a second", "seconds", "pack MiB", "own MiB", "of it for packing", "with files MiB"],
        [
            [
                found["clips"] / found["seconds"],
                found["seconds"],
                *(value / MIB for value in (found["file"], found["anon"], own, found["all"])),
            ]
        ],
    )
    return {
        "pack_clips": count,
        "pack_clips_per_second": found["clips"] / found["seconds"],
        "pack_own_memory_mib": found["anon"] / MIB,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Data pipelines, side by side.")
    parser.add_argument("--words", type=Path, help="a folder in the layout of Speech Commands")
    parser.add_argument("--speakers", type=Path, help="a folder in the layout of the homework")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--pack-clips", type=int, default=8_400)
    options = parser.parse_args()
    torch.set_num_threads(1)  # in each thread, and in each worker
    with tempfile.TemporaryDirectory(prefix="kws-bench-") as name:
        scratch = Path(name)
        os.environ["KWS_CACHE"] = str(scratch / "cache")
        words = options.words or make_corpus(scratch / "words", progress=False)
        result = measure_words(words, scratch / "torchaudio", options.turns)
        if options.speakers is None:
            (scratch / "speakers").mkdir()
            options.speakers = random_speakers(scratch / "speakers")
        result |= measure_speakers(options.speakers, options.turns)
        result |= measure_packs(words, options.pack_clips, scratch)
    finish(result)


if __name__ == "__main__":
    main()

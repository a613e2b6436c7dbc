"""Labels and scores for unlabeled recordings.

A keyword model reads windows of one second. A shorter recording is padded at its end; a longer one
is read in windows that begin every half second, so that a word cut by one window is whole in the
next. A speaker model reads a recording whole, or its features from a `.pt` file.

Shape letters: N samples   W windows   B batch   T frames   F features   C classes
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from kws.audio import CLIP_SAMPLES, SAMPLE_RATE
from kws.audio.audio_reading import read_samples
from kws.data.listing import AUDIO_SUFFIXES
from kws.data.speaker_layout import TESTDATA, read_test_names
from kws.errors import UsageError

WINDOW_HOP = CLIP_SAMPLES // 2  # samples, 0.5 s
FEATURE_SUFFIX = ".pt"
BATCH = {"keywords": 128 * CLIP_SAMPLES, "speakers": 25_600}  # samples, frames read at once


@runtime_checkable
class Predictor(Protocol):
    """A model that labels recordings: `kws.training.checkpoint.Trained`, or an `OnnxStream`."""

    @property
    def task(self) -> str: ...

    @property
    def labels(self) -> tuple[str, ...]: ...

    def probabilities(self, values: Sequence[np.ndarray], /) -> Float[np.ndarray, "B C"]:
        """Softmax of the logits of clips (N,), or of the frames (T, F) of speakers."""
        ...


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The model's labels for `start` … `end` (seconds) of a file, best first.

    `scores` are (label, probability) pairs, by the softmax of the logits. Times are None for
    features.
    """

    path: Path
    start: float | None
    end: float | None
    scores: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The most likely one."""
        return self.scores[0][0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """Part of a recording as a model reads it: samples (N,) of a keyword clip, or frames (T, F)."""

    path: Path
    start: float | None
    end: float | None
    values: np.ndarray


def find_recordings(paths: Iterable[str | Path], task: str) -> list[Path]:
    """Files as they are named, and those in folders: all levels, sorted, hidden ones left out.

    In a folder of the speaker homework these are the utterances of its testdata.json. Raises
    UsageError: a path that is not there, or a folder without recordings.
    """
    suffixes = AUDIO_SUFFIXES if task == "keywords" else (*AUDIO_SUFFIXES, FEATURE_SUFFIX)
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside, listed = list[Path](), path / TESTDATA
        if task == "speakers" and listed.is_file():  # of the speaker homework
            inside = [path / name for name in read_test_names(listed)]
        inside = inside or sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in suffixes and not file.name.startswith(".")
        )
        if not inside:
            raise UsageError(
                f"{path}: no recordings ({', '.join(suffixes)}) in this folder: check the path"
            )
        found += inside
    return found


def predict(
    model: Predictor,
    files: Iterable[Path],
    *,
    resample: bool = False,
    skipped: Callable[[UsageError], None] | None = None,
) -> Iterator[Prediction]:
    """Predictions for `files`, in their order, a batch at a time.

    Args:
        model: a keyword or a speaker model.
        files: recordings; for a speaker model feature files as well.
        resample: convert recordings that are not 16 kHz mono.
        skipped: called with the reason for each file that cannot be used, instead of raising it.

    Raises:
        UsageError: a file cannot be used, and `skipped` is None.
    """
    segments = _segments(model, files, resample, skipped)
    for batch in _batches(segments, BATCH[model.task]):
        probabilities = model.probabilities([segment.values for segment in batch])
        for segment, row in zip(batch, probabilities, strict=True):
            order = np.argsort(-row, kind="stable").tolist()
            scores = tuple((model.labels[i], float(row[i])) for i in order)
            yield Prediction(path=segment.path, start=segment.start, end=segment.end, scores=scores)


def _segments(
    model: Predictor,
    files: Iterable[Path],
    resample: bool,
    skipped: Callable[[UsageError], None] | None,
) -> Iterator[Segment]:
    for path in files:
        try:
            segments = read_segments(model, path, resample=resample)
        except UsageError as error:
            if skipped is None:
                raise
            skipped(error)
            continue
        yield from segments


def read_segments(model: Any, path: Path, *, resample: bool = False) -> list[Segment]:
    """A file as windows of a second, or speaker features. UsageError: it cannot be used."""
    if model.task != "keywords":
        return [_read_speaker(path, resample, model.recipe.features.num_features)]
    if path.suffix == FEATURE_SUFFIX:
        raise UsageError(f"{path}: a keyword model reads recordings: name a wav or flac file")
    waveform = read_samples(path, resample=resample)
    seconds = len(waveform) / SAMPLE_RATE
    return [
        Segment(path=path, start=start, end=min(start + 1.0, seconds), values=window)
        for start, window in windows(waveform)
    ]


def _batches(segments: Iterable[Segment], limit: int) -> Iterator[list[Segment]]:
    """Neighbors, as many as have at most `limit` samples or frames with their padding."""
    batch: list[Segment] = []
    longest = 0
    for segment in segments:
        longest = max(longest, len(segment.values))
        if batch and (len(batch) + 1) * longest > limit:
            yield batch
            batch, longest = [], len(segment.values)
        batch.append(segment)
    if batch:
        yield batch


def _read_speaker(path: Path, resample: bool, num_features: int) -> Segment:
    from kws.audio.features import speaker_log_mel
    from kws.audio.recordings import read_audio
    from kws.data.features_file import read_features

    if path.suffix == FEATURE_SUFFIX:
        frames = read_features(path, num_features).astype(np.float32)
        return Segment(path=path, start=None, end=None, values=frames)
    waveform = read_audio(path, resample=resample)
    try:
        frames = speaker_log_mel(waveform).numpy()
    except ValueError as error:
        raise UsageError(f"{path}: {error}: record it again, louder or longer") from error
    if frames.shape[1] != num_features:
        raise UsageError(
            f"{path}: the model was trained on features of width {num_features}, a recording is "
            f"turned into {frames.shape[1]}: give it features as {FEATURE_SUFFIX} files"
        )
    return Segment(path=path, start=0.0, end=len(waveform) / SAMPLE_RATE, values=frames)


def windows(waveform: Float[np.ndarray, "N"]) -> list[tuple[float, Float[np.ndarray, "W"]]]:
    """Windows of one second that cover every sample: their start in seconds, their samples.

    >>> [start for start, _ in windows(np.zeros(2 * SAMPLE_RATE + 1))]
    [0.0, 0.5, 1.0, 1.5]
    >>> [(start, len(window)) for start, window in windows(np.zeros(7))]
    [(0.0, 16000)]
    """
    hops = -(-max(0, len(waveform) - CLIP_SAMPLES) // WINDOW_HOP)
    padded = np.pad(waveform, (0, CLIP_SAMPLES + hops * WINDOW_HOP - len(waveform)))
    starts = range(0, (hops + 1) * WINDOW_HOP, WINDOW_HOP)
    return [(start / SAMPLE_RATE, padded[start : start + CLIP_SAMPLES]) for start in starts]

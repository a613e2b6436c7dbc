"""Misses and false alarms of a model that listens to long recordings, over all thresholds.

An event counts for a word of the truth when it has its label and comes between the word's start and
`tolerance_ms` after its end: TensorFlow's test_streaming_accuracy has 750 ms before and after the
start of a second-long clip. Each event is for the earliest such word that none was counted for yet.
A word without an event is a miss. An event without a word is a false alarm, whatever it comes from:
noise, another word, or the same word twice.

False alarms are counted by the hour of audio. Where none was seen in h hours, the rate is below
ln 20 / h with 95 % confidence (of a Poisson count, exp(-rate · h) = 0.05); else the interval is the
exact one of a Poisson count (Garwood 1936).

Shape letters: H hops   C classes
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from kws.data.audio_blocks import file_blocks
from kws.data.streams import Spoken, read_truth
from kws.errors import UsageError
from kws.files import write_text
from kws.inference.detector import Detector, Event, Trigger, words_of
from kws.inference.streaming import ListeningTime, StreamModel, posteriors
from kws.metrics import Proportion
from kws.training.checkpoint import Trained

TOLERANCE_MS = 750
THRESHOLDS = (*(i / 20 for i in range(6, 18)), *(0.86 + i / 50 for i in range(7)), 0.99, 0.995)


@dataclass(frozen=True, kw_only=True)
class AlarmRate:
    """`count` false alarms in `hours` of audio, with its 95 % interval `low` … `high` an hour."""

    count: int
    hours: float

    @property
    def value(self) -> float:
        return self.count / self.hours if self.hours else math.nan

    @property
    def low(self) -> float:
        if not self.count or not self.hours:
            return 0.0
        # the smallest mean of which so many or more are seen with probability 2.5 %
        return _mean_where(lambda mean: 1 - _poisson_cdf(self.count - 1, mean), 0.025) / self.hours

    @property
    def high(self) -> float:
        """ln 20 / hours where none was seen: one end of an interval that begins at zero."""
        if not self.hours:
            return math.inf
        if not self.count:
            return math.log(20) / self.hours
        return _mean_where(lambda mean: -_poisson_cdf(self.count, mean), -0.025) / self.hours

    def __str__(self) -> str:
        """
        >>> str(AlarmRate(count=0, hours=3.0)), str(AlarmRate(count=4, hours=2.0))
        ('0 in 3.00 h: below 1.00 an hour', '4 in 2.00 h: 2.00 an hour, 95 % interval 0.54–5.12')
        """
        if not self.count:
            return f"0 in {self.hours:.2f} h: below {self.high:.2f} an hour"
        return (
            f"{self.count} in {self.hours:.2f} h: {self.value:.2f} an hour, 95 % interval "
            f"{self.low:.2f}–{self.high:.2f}"
        )

    def as_dict(self) -> dict[str, float | int | None]:
        rate = self.value if self.hours else None
        high = self.high if self.hours else None
        return {
            "count": self.count,
            "hours": self.hours,
            "an_hour": rate,
            "low": self.low,
            "high": high,
        }


def _poisson_cdf(count: int, mean: float) -> float:
    terms = (i * math.log(mean) - mean - math.lgamma(i + 1) for i in range(count + 1))
    return math.fsum(math.exp(term) for term in terms)


def _mean_where(rising: Callable[[float], float], level: float) -> float:
    """The mean above 0 where a function that rises with it passes `level`, by halving."""
    low, high = 1e-12, 1.0
    while rising(high) < level:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < level else (low, middle)
    return high


@dataclass(frozen=True, kw_only=True)
class WordScore:
    """One word, or all: misses and false alarms."""

    word: str
    missed: Proportion  # `correct` counts the misses
    alarms: AlarmRate


@dataclass(frozen=True, kw_only=True)
class Point:
    """What one threshold comes to: `scores` of each word, `total` of all."""

    threshold: float
    total: WordScore
    scores: tuple[WordScore, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """A recording and the model's output: `times` (H,), `posteriors` (H, C), and its truth."""

    file: str
    times: list[float]
    posteriors: Float[np.ndarray, "H C"]
    truth: tuple[Spoken, ...]
    seconds: float


def score_recordings(
    model: StreamModel,
    folder: str | Path,
    trigger: Trigger,
    *,
    resample: bool = False,
    spent: ListeningTime | None = None,
) -> Iterator[Scored]:
    """The recordings of `folder` (see `kws.data.streams`); an hour has 36,000 · C posteriors."""
    truth = read_truth(folder)
    known = words_of(model.labels)
    if not any(each.word in known for spoken in truth.values() for each in spoken):
        raise UsageError(
            f"{folder}: its truth has none of the model's words ({', '.join(known)}): make it with "
            "those words, or choose another model"
        )
    spent = spent or ListeningTime()
    for name, spoken in truth.items():
        before = spent.seconds
        times, rows = [], []
        for seconds, row in posteriors(
            model,
            file_blocks(Path(folder) / name, resample=resample),
            hop_ms=trigger.hop_ms,
            then_silence=True,
            spent=spent,
        ):
            times.append(seconds)
            rows.append(row)
        yield Scored(
            file=name,
            times=times,
            posteriors=np.stack(rows),
            truth=tuple(each for each in spoken if each.word in known),
            seconds=spent.seconds - before,
        )


def events_of(scored: Scored, labels: Sequence[str], trigger: Trigger) -> list[Event]:
    """The events of one recording."""
    detector = Detector(labels, trigger)
    found = map(detector.push, scored.times, scored.posteriors.tolist())
    return [event for event in found if event is not None]


def match(
    events: Sequence[Event], truth: Sequence[Spoken], tolerance_ms: int = TOLERANCE_MS
) -> tuple[list[Spoken], list[Event]]:
    """(missed words, false alarms) of one recording; both in order of time."""
    missed, alarms = list(truth), []
    for event in events:
        for spoken in missed:
            in_time = spoken.start <= event.time <= spoken.end + tolerance_ms / 1000 + 1e-9
            if spoken.word == event.word and in_time:
                missed.remove(spoken)
                break
        else:
            alarms.append(event)
    return missed, alarms


def score(
    recordings: Sequence[Scored],
    labels: Sequence[str],
    trigger: Trigger,
    tolerance_ms: int = TOLERANCE_MS,
) -> Point:
    """Misses and false alarms of all recordings at the trigger's threshold."""
    words = list(words_of(labels))
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])  # said, missed, false alarms
    for scored in recordings:
        missed, alarms = match(events_of(scored, labels, trigger), scored.truth, tolerance_ms)
        for place, found in enumerate((scored.truth, missed, alarms)):
            for each in found:
                counts[each.word][place] += 1
    hours = sum(scored.seconds for scored in recordings) / 3600
    sums = [sum(counts[word][place] for word in words) for place in range(3)]

    def scored_as(word: str, count: int, missed: int, alarms: int) -> WordScore:
        return WordScore(
            word=word,
            missed=Proportion(correct=missed, n=count),
            alarms=AlarmRate(count=alarms, hours=hours),
        )

    return Point(
        threshold=trigger.threshold,
        total=scored_as("all", *sums),
        scores=tuple(scored_as(word, *counts[word]) for word in words),
    )


def det_curve(
    recordings: Sequence[Scored],
    labels: Sequence[str],
    trigger: Trigger,
    tolerance_ms: int = TOLERANCE_MS,
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[Point]:
    """`score` at every threshold, ascending: detection error tradeoff (Martin et al. 1997)."""
    return [
        score(recordings, labels, replace(trigger, threshold=threshold), tolerance_ms)
        for threshold in sorted({*thresholds, trigger.threshold})
    ]


def as_table(points: Sequence[Point], chosen: Point) -> list[str]:
    """Lines for the terminal: each word at the chosen threshold, all words at each threshold."""
    width = max(len("threshold"), *(len(each.word) for each in chosen.scores))
    lines = [
        f"{'word':{width}}  {'missed %':>8}  {'95 % interval':>13}  {'n':>6}  "
        f"{'false alarms':>12}  {'an hour':>8}  {'95 % interval':>13}"
    ]
    rows = [(each.word, each) for each in (*chosen.scores, chosen.total)]
    rows += [("threshold", None), *((f"{each.threshold:g}", each.total) for each in points)]
    for name, each in rows:
        if each is None:
            lines.append("")
            lines.append(f"{name:{width}}  (all words)")
            continue
        missed, alarms = each.missed, each.alarms
        interval = f"{100 * missed.low:.1f}–{100 * missed.high:.1f}"
        share = f"{100 * missed.value:.1f}" if missed.n else "–"
        low_high = f"{alarms.low:.2f}–{alarms.high:.2f}"
        lines.append(
            f"{name:{width}}  {share:>8}  {interval:>13}  {missed.n:>6,}  "
            f"{alarms.count:>12,}  {alarms.value:>8.2f}  {low_high:>13}"
        )
    return lines


def write_stream_evaluation(
    run: str | Path,
    trained: Trained,
    data: str | Path,
    trigger: Trigger,
    tolerance_ms: int,
    points: Sequence[Point],
    chosen: Point,
    spent: ListeningTime,
) -> list[Path]:
    """Write `evaluation-stream.json` and the DET curve `det.png` into the folder `run`."""
    from kws import plots

    def plain(each: WordScore) -> dict[str, Any]:
        missed = each.missed.as_dict()
        return {
            "word": each.word,
            "missed": {"share": missed.pop("accuracy"), **missed},
            "false_alarms": each.alarms.as_dict(),
        }

    result = {
        "model": trained.recipe.model.name,
        "step": trained.step,
        "data": str(data),
        "trigger": asdict(trigger),
        "tolerance_ms": tolerance_ms,
        "times_real_time": spent.speed,
        "all": plain(chosen.total),
        "words": [plain(each) for each in chosen.scores],
        "det": [{"threshold": each.threshold, **plain(each.total)} for each in points],
    }
    out = Path(run) / "evaluation-stream.json"
    write_text(out, json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    curve = plots.det(
        [(each.total.alarms.value, each.total.missed.value) for each in points],
        (chosen.total.alarms.value, chosen.total.missed.value),
        title=f"{trained.recipe.model.name}, {chosen.total.missed.n:,} words in "
        f"{chosen.total.alarms.hours:.2f} h\n{data}",
    )
    return [out, plots.save(curve, Path(run) / "det.png")]

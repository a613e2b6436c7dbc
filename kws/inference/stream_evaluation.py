"""Misses and false alarms of a model that listens to long recordings, over all thresholds.

An event counts for a word of the truth when it has its label and comes between the word's start and
`tolerance_ms` after its end: TensorFlow's test_streaming_accuracy has 750 ms before and after the
start of a second-long clip. Each event is for the earliest such word that none was counted for yet.
A word without an event is a miss. An event without a word is a false alarm, whatever it comes from:
noise, another word, or the same word twice.

False alarms are counted by the hour of audio, and of continuous speech where there is a folder of
it. Of the other words that were spoken those count that were taken for a word. A clip that comes
again is not new evidence: to choose a threshold by, false alarms count once for each clip.

Shape letters: H hops   C classes
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from kws.data.audio_blocks import file_blocks
from kws.data.streams import Spoken, read_truth
from kws.errors import UsageError
from kws.files import write_text
from kws.inference.detector import Detector, Event, Trigger, words_of
from kws.inference.predict import find_recordings
from kws.inference.streaming import ListeningTime, StreamModel, posteriors
from kws.metrics import AlarmRate, Proportion
from kws.training.checkpoint import Trained

TOLERANCE_MS = 750
RATIOS = (-math.inf, 8.0, 14.0, 20.0, 26.0, 32.0, math.inf)  # dB: borders of the table of noise
THRESHOLDS = (*(i / 20 for i in range(6, 18)), *(0.86 + i / 50 for i in range(7)), 0.99, 0.995)


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
    others: Proportion  # other words; `correct` counts those that were taken for a word
    different: Proportion  # the same of different clips of other words
    once: AlarmRate  # false alarms, the ones of a clip counted once
    speech: AlarmRate | None = None  # events in continuous speech


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """A recording and the model's output: `times` (H,), `posteriors` (H, C), and its truth."""

    file: str
    times: list[float]
    posteriors: Float[np.ndarray, "H C"]
    truth: tuple[Spoken, ...]
    seconds: float
    others: tuple[Spoken, ...] = ()  # what the model has no word for


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
    for name, spoken in truth.items():
        blocks = file_blocks(Path(folder) / name, resample=resample)
        yield replace(
            score_blocks(model, blocks, trigger, spent),
            file=name,
            truth=tuple(each for each in spoken if each.word in known),
            others=tuple(each for each in spoken if each.word not in known),
        )


def score_blocks(
    model: StreamModel,
    blocks: Iterable[np.ndarray],
    trigger: Trigger,
    spent: ListeningTime | None = None,
) -> Scored:
    """A stream in which no word is expected, such as continuous speech."""
    spent = spent or ListeningTime()
    before = spent.seconds
    options = {"hop_ms": trigger.hop_ms, "then_silence": True, "spent": spent}
    times, rows = zip(*posteriors(model, blocks, **options), strict=True)
    seconds = spent.seconds - before
    return Scored(file="", times=[*times], posteriors=np.stack(rows), truth=(), seconds=seconds)


def speech_blocks(folder: str | Path, *, resample: bool = False) -> Iterator[np.ndarray]:
    """The recordings of a folder, one after another. UsageError: there are none."""
    for path in find_recordings([folder], "keywords"):
        yield from file_blocks(path, resample=resample)


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
    speech: Scored | None = None,
) -> Point:
    """Misses and false alarms of all recordings at the trigger's threshold."""
    words = list(words_of(labels))
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])  # said, missed, false alarms
    others = [each for scored in recordings for each in scored.others]
    causes: set[object] = set()  # of false alarms: what was said, or the event where nothing was
    for scored in recordings:
        missed, alarms = match(events_of(scored, labels, trigger), scored.truth, tolerance_ms)
        for place, found in enumerate((scored.truth, missed, alarms)):
            for each in found:
                counts[each.word][place] += 1
        uttered = (*scored.others, *scored.truth)
        causes |= {cause_of(each, uttered, tolerance_ms) for each in alarms}
    hours = sum(scored.seconds for scored in recordings) / 3600
    sums = [sum(counts[word][place] for word in words) for place in range(3)]
    taken = [each for each in others if each in causes]

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
        others=Proportion(correct=len(taken), n=len(others)),
        different=Proportion(correct=len(clips_of(taken)), n=len(clips_of(others))),
        once=AlarmRate(count=len(clips_of(causes)), hours=hours),
        speech=speech
        and AlarmRate(count=len(events_of(speech, labels, trigger)), hours=speech.seconds / 3600),
    )


def cause_of(event: Event, uttered: Iterable[Spoken], tolerance_ms: int) -> Spoken | Event:
    """What was said when a false alarm came: the last that had begun; else the event itself."""
    late = tolerance_ms / 1000 + 1e-9
    near = [each for each in uttered if each.start <= event.time <= each.end + late]
    return max(near, key=lambda each: each.start, default=event)


def clips_of(uttered: Iterable[object]) -> set[object]:
    """The different clips among words; what has no clip is different from all others."""
    return {each.clip if isinstance(each, Spoken) and each.clip else each for each in uttered}


def misses_by_noise(
    recordings: Sequence[Scored],
    labels: Sequence[str],
    trigger: Trigger,
    tolerance_ms: int = TOLERANCE_MS,
) -> list[tuple[str, Proportion]]:
    """Misses of the words by their power over the noise's, from little to much, then silence."""
    found: dict[float, list[bool]] = defaultdict(list)
    for scored in recordings:
        missed, _ = match(events_of(scored, labels, trigger), scored.truth, tolerance_ms)
        for word in scored.truth:
            over = math.inf if word.ratio is None else word.ratio
            found[max(each for each in RATIOS if each <= over)].append(word in missed)
    names = {low: f"{low:g} to {high:g} dB" for low, high in pairwise(RATIOS)}
    names |= {RATIOS[0]: f"below {RATIOS[1]:g} dB", RATIOS[-2]: f"{RATIOS[-2]:g} dB and more"}
    names[math.inf] = "no noise"
    return [(names[low], Proportion(correct=sum(x), n=len(x))) for low, x in sorted(found.items())]


def det_curve(
    recordings: Sequence[Scored],
    labels: Sequence[str],
    trigger: Trigger,
    tolerance_ms: int = TOLERANCE_MS,
    thresholds: Sequence[float] = THRESHOLDS,
    speech: Scored | None = None,
) -> list[Point]:
    """`score` at every threshold, ascending: detection error tradeoff (Martin et al. 1997)."""
    return [
        score(recordings, labels, replace(trigger, threshold=threshold), tolerance_ms, speech)
        for threshold in sorted({*thresholds, trigger.threshold})
    ]


def as_table(points: Sequence[Point], chosen: Point) -> list[str]:
    """Lines for the terminal: each word at the chosen threshold, all words at each threshold."""
    head = ("missed %", "95 % interval", "n", "false alarms", "an hour", "95 % interval")
    spoken = ("hour of speech", "95 % interval") if chosen.speech else ()
    rows = [("word", *head), *(_cells(x.word, x) for x in (*chosen.scores, chosen.total))]
    rows += [("",), ("threshold", *head, *spoken)]
    rows += [_cells(f"{x.threshold:g}", x.total, x.speech) for x in points]
    return ["".join((f"{name:11}", *(f"{cell:>15}" for cell in cells))) for name, *cells in rows]


def _cells(name: str, each: WordScore, speech: AlarmRate | None = None) -> tuple[str, ...]:
    missed = each.missed
    share = f"{100 * missed.value:.1f}" if missed.n else "–"
    interval = f"{100 * missed.low:.1f}–{100 * missed.high:.1f}"
    cells = [name, share, interval, f"{missed.n:,}", f"{each.alarms.count:,}"]
    for rate in (each.alarms, *([speech] if speech else [])):
        cells += [f"{rate.value:.2f}", f"{rate.low:.2f}–{rate.high:.2f}"]
    return tuple(cells)


def describe(point: Point) -> list[str]:
    """Sentences about one threshold, each figure with its interval."""
    others, different = point.others, point.different
    lines = [f"missed {point.total.missed}", f"false alarms {point.total.alarms}"]
    if others.n:
        low, high = 1000 * others.low, 1000 * others.high
        lines.append(
            f"taken for a word: {others.correct} of {others.n:,} other words, "
            f"{1000 * others.value:.1f} per 1,000, 95 % interval {low:.1f}–{high:.1f}; of "
            f"different clips {different}"
        )
    if point.speech:
        lines.append(f"continuous speech: {point.speech}")
    return lines


def write_stream_evaluation(
    run: str | Path,
    trained: Trained,
    data: str | Path,
    trigger: Trigger,
    tolerance_ms: int,
    points: Sequence[Point],
    by_noise: Sequence[tuple[str, Proportion]],
    spent: ListeningTime,
) -> list[Path]:
    """Write `evaluation-stream.json` and its pictures into the folder `run`: det.png, noise.png."""
    from kws import plots

    def plain(share: Proportion) -> dict[str, Any]:
        table = share.as_dict()
        return {"share": table.pop("accuracy"), **table}

    def scored(each: WordScore) -> dict[str, Any]:
        rates = {"missed": plain(each.missed), "false_alarms": each.alarms.as_dict()}
        return {"word": each.word, **rates}

    def at(point: Point) -> dict[str, Any]:
        return {
            **scored(point.total),
            "other_words": plain(point.others),
            "different_other_words": plain(point.different),
            "false_alarms_once_a_clip": point.once.as_dict(),
            "continuous_speech": point.speech and point.speech.as_dict(),
        }

    chosen = next(point for point in points if point.threshold == trigger.threshold)
    total = chosen.total
    result = {
        "model": trained.recipe.model.name,
        "step": trained.step,
        "data": str(data),
        "trigger": asdict(trigger),
        "tolerance_ms": tolerance_ms,
        "times_real_time": spent.speed,
        "all": at(chosen),
        "words": [scored(each) for each in chosen.scores],
        "det": [{"threshold": each.threshold, **at(each)} for each in points],
        "noise": [{"word_over_noise": name, **plain(share)} for name, share in by_noise],
    }
    out = Path(run) / "evaluation-stream.json"
    write_text(out, json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    title = f"{trained.recipe.model.name}, {total.missed.n:,} words in {total.alarms.hours:.2f} h"
    curve = plots.det(
        [(each.total.alarms.value, each.total.missed.value) for each in points],
        (total.alarms.value, total.missed.value),
        title=f"{title}\n{data}",
    )
    noise = plots.shares(
        by_noise,
        total.missed,
        name="missed words",
        of=("words so much above the noise", "all words"),
        title=f"{title}\n{trigger}",
    )
    return [
        out,
        plots.save(curve, Path(run) / "det.png"),
        plots.save(noise, Path(run) / "noise.png"),
    ]

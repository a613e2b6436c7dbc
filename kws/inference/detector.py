"""From posteriors to events: smooth, threshold, require several in a row, then pause.

For every hop, with the posteriors p (C,) of the last second of audio:

    1  s = the mean of p over the last `smooth_ms`, of as many hops as there were in them
    2  the candidate is the word with the largest s; silence and unknown are not words
    3  where its s reaches `threshold`, and did not, or of another word, the hop before, a time
       begins
    4  where s has reached the threshold for as long as `in_a_row` hops take, and the last event is
       `refractory_ms` old, there is an event: (time, word, s), and 3 begins again

Times count, not hops: where a slow device leaves hops out the rule is the same.

Sources: Chen, Parada and Heigold 2014, "Small-footprint keyword spotting using deep neural
networks", section 2.3 (https://doi.org/10.1109/ICASSP.2014.6854370), for the smoothing;
TensorFlow's speech_commands/recognize_commands and test_streaming_accuracy.cc, whose values are
the defaults: average over 500 ms, threshold 0.7, 1,500 ms without another event, events counted
within 750 ms of the word. Deviations: TensorFlow hops 30 ms, here it is 100 ms; it asks for 4
windows in the average, here 4 averages in a row must reach the threshold.

Shape letters: C classes   H hops
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from kws.audio import CLIP_SAMPLES, HOP, SAMPLE_RATE
from kws.errors import UsageError, did_you_mean

FRAME_MS = 1000 * HOP // SAMPLE_RATE  # 10
WINDOW_MS = 1000 * CLIP_SAMPLES // SAMPLE_RATE  # 1,000: what the model reads at a time
NOT_WORDS = ("_silence_", "_unknown_", "silence", "unknown")


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """What makes an event of posteriors; see the module. Times in milliseconds."""

    threshold: float = 0.7
    hop_ms: int = 100
    smooth_ms: int = 500
    in_a_row: int = 4
    refractory_ms: int = 1500

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise UsageError(f"threshold={self.threshold:g} must be above 0 and at most 1")
        if not FRAME_MS <= self.hop_ms <= WINDOW_MS or self.hop_ms % FRAME_MS:
            raise UsageError(
                f"hop_ms={self.hop_ms} must be a multiple of {FRAME_MS}, a frame, and at most "
                f"{WINDOW_MS}, a window, or else some audio is skipped"
            )
        if self.smooth_ms < self.hop_ms:
            raise UsageError(f"smooth_ms={self.smooth_ms} must be at least hop_ms={self.hop_ms}")
        if self.in_a_row < 1 or self.refractory_ms < 0:
            raise UsageError(
                f"in_a_row={self.in_a_row} must be at least 1 and "
                f"refractory_ms={self.refractory_ms} at least 0"
            )

    def __str__(self) -> str:
        """
        >>> str(Trigger())
        'threshold=0.7,hop_ms=100,smooth_ms=500,in_a_row=4,refractory_ms=1500'
        """
        return ",".join(f"{key}={value:g}" for key, value in asdict(self).items())


def parse_trigger(text: str) -> Trigger:
    """What the command line is given: some of the settings, the others by default.

    >>> parse_trigger("threshold=0.8,in_a_row=2").in_a_row
    2

    Raises:
        UsageError: another form, another name, no number, or one out of range.
    """
    known = asdict(Trigger())
    values: dict[str, float | int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in known:
            raise UsageError(
                f"--trigger {text!r}: {name!r}{did_you_mean(name, known)}: choose from "
                f"{', '.join(known)}"
            )
        try:
            values[name] = type(known[name])(number)
        except ValueError:
            raise UsageError(
                f"--trigger {text!r}: {number!r} is not a number that fits: write {Trigger()}"
            ) from None
    return Trigger(**values)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Event:
    """A detected word; `time` is the seconds of audio read by then."""

    time: float
    word: str
    score: float


def words_of(labels: Sequence[str]) -> dict[str, int]:
    """The labels that are words, and the index of each among the logits."""
    return {label: index for index, label in enumerate(labels) if label not in NOT_WORDS}


class Detector:
    """Posteriors in, hop by hop, events out; keeps the last `smooth_ms`."""

    def __init__(self, labels: Sequence[str], trigger: Trigger):
        self.words = words_of(labels)
        if not self.words:
            raise UsageError(f"no words among the labels {', '.join(labels)}: choose another model")
        self.trigger = trigger
        self.recent: deque[tuple[int, Sequence[float]]] = deque()  # milliseconds, posteriors
        self.word = ""
        self.since = math.inf  # milliseconds: from when on the word has been at the threshold
        self.last = -math.inf
        self.highest: Event | None = None  # average so far, whether reported or not

    def push(self, time: float, posteriors: Sequence[float]) -> Event | None:
        """The event that the posteriors (C,) of the window that ends at `time` (seconds) make."""
        trigger, now = self.trigger, round(1000 * time)
        self.recent.append((now, posteriors))
        while now - self.recent[0][0] >= trigger.smooth_ms // trigger.hop_ms * trigger.hop_ms:
            self.recent.popleft()
        hops = len(self.recent)
        scores = {
            word: sum(row[index] for _, row in self.recent) / hops
            for word, index in self.words.items()
        }
        word = max(scores, key=scores.__getitem__)  # of equals the first
        if self.highest is None or scores[word] > self.highest.score:
            self.highest = Event(time=time, word=word, score=scores[word])
        reached = scores[word] >= trigger.threshold
        if not reached or word != self.word or self.since == math.inf:
            self.since = now if reached else math.inf
        self.word = word
        rested = now - self.last >= trigger.refractory_ms
        if now - self.since < (trigger.in_a_row - 1) * trigger.hop_ms or not rested:
            return None
        self.since, self.last = math.inf, now
        return Event(time=time, word=word, score=scores[word])

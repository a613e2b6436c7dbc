"""Misses against false alarms of a model at every threshold, on streams to choose on and to test.

    python benchmarks/operating_points.py RECORDINGS [MODEL …] [--trigger hop_ms=30,…] [--test-only]

MODEL is `keywords`, or a run; of several the mean of the posteriors counts. To choose on: two hours
of streams of the validation speakers of speech_commands_people (seed 1), and 24 embedded voices
that read the prose of README and docs. To test on: two hours of streams of the official test clips
(seed 0, as in benchmarks/shipped.py), and continuous_speech. Then the lowest threshold of each
stream with at most 5 false alarms an hour, found on that stream itself. Latency is that of the
detected words of the test, from the end of the clip, of a second, to the event, at the threshold
of --trigger. Half an hour of one core.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from report import hardware
from shipped import interval, reading, sentences_of, whole
from shipped_training import gather

from kws.data.embedded.corpus import draw_cast
from kws.data.streams import make_streams
from kws.inference.detector import Trigger, parse_trigger, words_of
from kws.inference.stream_evaluation import (
    AlarmRate,
    Scored,
    det_curve,
    events_of,
    match,
    score,
    score_blocks,
    score_recordings,
    speech_blocks,
)
from kws.inference.torch_stream import TorchStream
from kws.training.checkpoint import load_model

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97)
PAGES = ("README.md", *(f"docs/{name}.md" for name in ("guide", "results", "teaching")))
PAGES += ("docs/experiments.md", "docs/live.md")
VOICES = 24
ROOT = Path(__file__).parents[1]


def prose() -> list[str]:
    """Sentences of the documentation."""
    found = []
    for page in PAGES:
        text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.S)
        text = re.sub(r"^[|#].*$", "", text, flags=re.M)
        found += sentences_of(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text))
    return found


def mean(parts: Sequence[Scored]) -> Scored:
    """One recording as several models have it: the mean of their posteriors."""
    return replace(parts[0], posteriors=np.mean([each.posteriors for each in parts], axis=0))


def lowest_threshold(
    streams: Sequence[Scored], labels: Sequence[str], trigger: Trigger, *, alarms: float
) -> str:
    """The lowest threshold with at most so many false alarms an hour, and what is missed there."""
    curve = det_curve(streams, labels, trigger, thresholds=[i / 100 for i in range(40, 100)])
    for point in curve:
        total = point.total
        if total.alarms.value <= alarms:
            missed, count = interval(total.missed, 100), interval(total.alarms)
            where = f"at {count} an hour, threshold {point.threshold}"
            return f"{missed} % of {total.missed.n} missed {where}"
    return f"no threshold has at most {alarms:g} false alarms an hour"


def main() -> None:
    """Print a row a threshold, the latency, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("models", nargs="*", default=["keywords"], metavar="MODEL")
    parser.add_argument("--trigger", default="")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--sentences", type=int, help="read only so many; 0: none")
    parser.add_argument("--test-only", action="store_true", help="nothing to choose on")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    models = [load_model(each) for each in chosen.models]
    labels, trigger = models[0].labels, parse_trigger(chosen.trigger)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        scratch, streams = Path(folder), {}
        excerpt = whole(chosen.recordings / "speech_commands_excerpt", scratch / "excerpt")
        places = [(excerpt, "testing", 0)]
        if not chosen.test_only:
            people = gather(chosen.recordings, scratch / "people")
            places.insert(0, (people, "validation", 1))
        for data, split, seed in places:
            made = make_streams(
                scratch / split,
                data,
                words=list(words_of(labels)),
                split=split,
                minutes=chosen.minutes,
                files=2,
                seed=seed,
                partial=True,
            )
            each = [[*score_recordings(TorchStream(model), made, trigger)] for model in models]
            streams[split] = [mean(parts) for parts in zip(*each, strict=True)]
        spoken = {"people": [*speech_blocks(chosen.recordings / "continuous_speech")]}
        if not chosen.test_only and chosen.sentences != 0:
            voices = [voice for voice, _ in draw_cast(VOICES, "reading").values()]
            spoken["reading"] = [*reading(voices, prose()[: chosen.sentences], scratch)]
    speech = {
        name: mean([score_blocks(TorchStream(model), iter(each), trigger) for model in models])
        for name, each in spoken.items()
    }
    for name, each in speech.items():
        print(f"{name}: {each.seconds / 60:.1f} minutes")
    rows = []
    for threshold in sorted({*THRESHOLDS, trigger.threshold}):
        at, texts = replace(trigger, threshold=threshold), []
        for split, scored in streams.items():
            total = score(scored, labels, at).total
            texts.append(f"{split} {interval(total.missed, 100)} % of {total.missed.n} missed")
            texts.append(f"{interval(total.alarms)} an hour")
        for name, each in speech.items():
            count = len(events_of(each, labels, at))
            rate = AlarmRate(count=count, hours=each.seconds / 3600)
            texts.append(f"{name} {interval(rate)} an hour")
        print(f"{threshold:g}: {', '.join(texts)}", flush=True)
        rows.append({"threshold": threshold, "figures": texts})
    for split, scored in streams.items():
        found = lowest_threshold(scored, labels, trigger, alarms=5)
        print(f"{split}: {found}", flush=True)
        rows.append({"at most 5 alarms an hour": split, "figures": [found]})
    late = []
    for scored in streams["testing"]:
        events = events_of(scored, labels, trigger)
        _, alarms = match(events, scored.truth)
        for event in events:
            if event in alarms:
                continue
            own = [each for each in scored.truth if each.word == event.word]
            ends = [each.end for each in own if each.start <= event.time <= each.end + 0.751]
            late.append(1000 * (event.time - ends[0]))
    print(
        f"latency after the clip's end, {len(late)} words: median {np.median(late):.0f} ms, 90 % "
        f"below {np.percentile(late, 90):.0f} ms"
    )
    print(f"{time.process_time() - began:.0f} CPU s, {hardware()}")
    print(json.dumps({"benchmark": "operating_points", "trigger": str(trigger), "rows": rows}))


if __name__ == "__main__":
    main()

"""How well a model detects words in hours of audio: misses and false alarms on unseen voices.

    python benchmarks/streams.py                    # trains `keywords` on 200 embedded voices first
    python benchmarks/streams.py RUN --data FOLDER  # a run, on streams of FOLDER's clips

The threshold is the one with the fewest misses, at no more than --alarms an hour, on a stream of
the validation voices, where a clip that comes again counts once: one bad clip does not set it. The
figures are those of this threshold on a stream of the testing voices, and on the testing part of
the background recordings alone, for as long. Half of the clips are other words. The rest of the
trigger is as in `kws listen`.
"""

import argparse
import json
import random
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from kws.audio.recordings import SAMPLE_RATE
from kws.data.embedded.corpus import make_corpus
from kws.data.listing import read_listing
from kws.data.speech_commands import read_noise
from kws.data.streams import make_streams, passages
from kws.inference.detector import Trigger, words_of
from kws.inference.stream_evaluation import (
    AlarmRate,
    Scored,
    as_table,
    det_curve,
    score,
    score_recordings,
)
from kws.inference.streaming import ListeningTime, listen
from kws.inference.torch_stream import TorchStream
from kws.metrics import percent
from kws.training.checkpoint import Trained, load_model
from kws.training.loop import fit
from kws.training.recipe import load_recipe
from kws.training.splits import load_splits

THRESHOLDS = tuple(i / 100 for i in range(50, 100))


def trained_here(data: Path, out: Path, seed: int) -> Path:
    """A run of `keywords` in which every clip of another word is unknown."""
    recipe = load_recipe(
        "keywords",
        [
            'data.protocol="embedded-12"',
            'data.unknown="all"',
            "train.epochs=8",
            f"train.seed={seed}",
        ],
    )
    training, validation = load_splits(recipe, data)
    fit(recipe, train=training, validation=validation, out=out)
    return out


def main() -> None:
    """Print the chosen threshold, the table of the test, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--data", type=Path, help="clips, instead of the embedded corpus")
    parser.add_argument("--hours", type=float, default=2.0, help="of each of the two streams")
    parser.add_argument("--alarms", type=float, default=1.0, help="an hour, at most, in validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resample", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = arguments.data or make_corpus(folder / "corpus", size="standard")
        trained = load_model(arguments.run or trained_here(data, folder / "run", arguments.seed))
        model = TorchStream(trained)
        spent = ListeningTime()
        made = [
            make_streams(
                folder / split,
                data,
                words=list(words_of(trained.labels)),
                split=split,
                minutes=60 * arguments.hours,
                seed=arguments.seed,
                resample=arguments.resample,
                partial=True,
            )
            for split in ("validation", "testing")
        ]
        began = time.process_time()
        validation, tested = (
            list(score_recordings(model, each, Trigger(), spent=spent)) for each in made
        )
        cpu = time.process_time() - began
        trigger = replace(
            Trigger(), threshold=chosen_threshold(validation, trained, arguments.alarms)
        )
        listing = read_listing(data, partial=True)
        noise, lengths = read_noise(listing.root, "testing", resample=arguments.resample)
        noises = passages(random.Random(arguments.seed), noise, lengths)
        backdrop = (each.numpy() for each in noises)
        seconds = round(3600 * arguments.hours)
        alone = AlarmRate(
            count=sum(1 for _ in listen(model, islice(backdrop, seconds), trigger)),
            hours=seconds / 3600,
        )
    found = score(tested, trained.labels, trigger)
    print(*as_table(det_curve(tested, trained.labels, trigger), found), sep="\n")
    total = found.total
    clips = [
        name.partition("/")[0] in words_of(trained.labels)
        for name, split in zip(listing.names, listing.splits, strict=True)
        if split == "testing"
    ]
    print(
        f"threshold {trigger.threshold:g} (from validation): {percent(total.missed.value)} % "
        f"missed (n={total.missed.n} of {sum(clips)} clips, and {len(clips) - sum(clips)} of other "
        f"words), false alarms {total.alarms}\n"
        f"background alone, {len(noise) / SAMPLE_RATE:.0f} s of recordings at changing levels: "
        f"false alarms {alone}\n"
        f"{spent.seconds / cpu:.0f} times real time by CPU seconds, decoding included; {spent}"
    )
    print(
        json.dumps(
            {
                "benchmark": "streams",
                "model": trained.recipe.model.name,
                "seed": arguments.seed,
                "threshold": trigger.threshold,
                "missed": total.missed.as_dict(),
                "alarms": total.alarms.as_dict(),
                "background_alone": alone.as_dict(),
                "clips": sum(clips),
                "other_clips": len(clips) - sum(clips),
                "times_real_time": spent.speed,
                "times_real_time_by_cpu_seconds": spent.seconds / cpu,
            }
        )
    )


def chosen_threshold(validation: list[Scored], trained: Trained, alarms: float) -> float:
    """The one with the fewest misses among those with few enough false alarms; else the last."""
    curve = det_curve(validation, trained.labels, Trigger(), thresholds=THRESHOLDS)
    allowed = [point for point in curve if point.once.value <= alarms] or curve[-1:]
    return min(allowed, key=lambda point: point.total.missed.value).threshold


if __name__ == "__main__":
    main()

"""How well a model hears words in hours of audio: misses and false alarms on unseen voices.

    python benchmarks/streams.py                    # trains `keywords` on 200 embedded voices first
    python benchmarks/streams.py RUN --data FOLDER  # a run, on streams of FOLDER's clips

The threshold is the one with the fewest misses, at no more than --alarms an hour, on a stream of
the validation voices; the figures are those of this threshold on a stream of the testing voices.
Half of the clips are other words. The rest of the trigger is as in `kws listen`.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from kws.data.embedded.corpus import make_corpus
from kws.data.streams import make_streams
from kws.inference.detector import Trigger, words_of
from kws.inference.stream_evaluation import Scored, as_table, det_curve, hear, score
from kws.inference.streaming import Heard
from kws.inference.trained import Trained, load_model
from kws.metrics import percent
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
        heard = Heard()

        def recordings(split: str) -> list[Scored]:
            made = make_streams(
                folder / split,
                data,
                words=list(words_of(trained.labels)),
                split=split,
                minutes=60 * arguments.hours,
                seed=arguments.seed,
                resample=arguments.resample,
                partial=True,
            )
            return list(hear(trained, made, Trigger(), heard=heard))

        threshold = chosen_threshold(recordings("validation"), trained, arguments.alarms)
        trigger = replace(Trigger(), threshold=threshold)
        tested = recordings("testing")
    found = score(tested, trained.labels, trigger)
    print(*as_table(det_curve(tested, trained.labels, trigger), found), sep="\n")
    total = found.total
    print(
        f"threshold {threshold:g} (from validation): {percent(total.missed.value)} % missed "
        f"(n={total.missed.n}), false alarms {total.alarms}; {heard}"
    )
    print(
        json.dumps(
            {
                "benchmark": "streams",
                "model": trained.recipe.model.name,
                "seed": arguments.seed,
                "threshold": threshold,
                "missed": total.missed.as_dict(),
                "alarms": total.alarms.as_dict(),
                "times_real_time": heard.speed,
            }
        )
    )


def chosen_threshold(validation: list[Scored], trained: Trained, alarms: float) -> float:
    """The one with the fewest misses among those with few enough false alarms; else the last."""
    curve = det_curve(validation, trained.labels, Trigger(), thresholds=THRESHOLDS)
    allowed = [point for point in curve if point.total.alarms.value <= alarms] or curve[-1:]
    return min(allowed, key=lambda point: point.total.missed.value).threshold


if __name__ == "__main__":
    main()

"""What each ingredient of keywords-stream brings to streams of people: it is left out, three seeds.

    python benchmarks/ingredients.py RECORDINGS [--seeds 3] [--steps 300] [--minutes 30]

For each seed, twice STEPS steps without any ingredient (noise by volume, small shifts, no other
words but those of people, mixup and smoothing, as in `keywords`) are where all variants begin. Each
then trains for STEPS more: without any, with all, with talk as well (`keywords-sentences`), and
with all but one. Tested on two streams of MINUTES of official test clips (`benchmarks/shipped.py`,
seed 0), and on continuous_speech. Weights are the averaged ones of the end. An hour of CPU.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from report import cpu_seconds, finish, mean_and_deviation, print_table
from shipped import whole
from shipped_training import gather

from kws.cli import run
from kws.data.streams import make_streams
from kws.inference.detector import Trigger, words_of
from kws.inference.stream_evaluation import (
    det_curve,
    score_blocks,
    score_recordings,
    speech_blocks,
)
from kws.inference.torch_stream import TorchStream
from kws.training.checkpoint import load_model

VOLUME = ["augment.noise_ratio=[]", "augment.noise_volume=0.1"]
INGREDIENTS = {
    "noise by ratio": VOLUME,
    "embedded other words": ["data.spare_words=0"],
    "halved, reversed, joined words": ["augment.garbled=0"],
    "shifts of 250 ms": ["augment.time_shift=0.1"],
    "rooms and gain": ["augment.rooms=0", "augment.gain=0"],
    "no mixup, no smoothing": ["augment.mixup=0.2", "train.label_smoothing=0.05"],
}
NONE = [setting for settings in INGREDIENTS.values() for setting in settings]


def train(data: Path, out: Path, seed: int, steps: int, settings: list[str], *more: str) -> Path:
    """The end of a run of so many steps."""
    settings = [
        f"train.seed={seed}",
        f"train.total_steps={steps}",
        f"train.validate_every={steps}",
        "train.ema=0.98",
        *settings,
    ]
    words = ["train", "keywords-stream", "--data", str(data), "--device", "cpu", *more]
    for setting in settings:
        words += ["--set", setting]
    assert run([*words, "--out", str(out)]) == 0
    return out / "last.pt"


def figures(model: TorchStream, streams: Path, speech: Path, trigger: Trigger) -> list[float]:
    """Missed per cent and alarms an hour at the trigger, missed at <= 5 an hour, speech events."""
    scored = list(score_recordings(model, streams, trigger))
    spoken = score_blocks(model, speech_blocks(speech), trigger)
    thresholds = [i / 50 for i in range(15, 50)]
    curve = det_curve(scored, model.labels, trigger, thresholds=thresholds, speech=spoken)
    # with hindsight, the same for all: no variant is chosen by this
    best = min(each.total.missed.value for each in curve if each.total.alarms.value <= 5)
    (at,) = (each for each in curve if each.threshold == trigger.threshold)
    assert at.speech is not None
    missed, alarms = at.total.missed.value, at.total.alarms.value
    return [100 * missed, alarms, 100 * best, at.speech.value]


def main() -> None:
    """Print a row a variant and a line a run; last one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=30)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    variants = {"none": NONE, "all": []}
    variants["all and talk"] = ["data.spare_talk=1000"]
    variants |= {f"all but {name}": settings for name, settings in INGREDIENTS.items()}
    results: dict[str, list[list[float]]] = {name: [] for name in variants}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        data = gather(chosen.recordings, scratch / "people")
        excerpt = whole(chosen.recordings / "speech_commands_excerpt", scratch / "excerpt")
        words = list(words_of(load_model("keywords").labels))
        streams = make_streams(
            scratch / "streams", excerpt, words=words, minutes=chosen.minutes, files=2, partial=True
        )
        speech = chosen.recordings / "continuous_speech"
        for seed in range(chosen.seeds):
            begin = train(data, scratch / f"begin-{seed}", seed, 2 * chosen.steps, NONE)
            for place, (name, settings) in enumerate(variants.items()):
                out = scratch / f"{seed}-{place}"
                more = ["train.lr=7e-4", "train.warmup_steps=30", *settings]
                end = train(data, out, seed, chosen.steps, more, "--init", str(begin))
                found = figures(TorchStream(load_model(end)), streams, speech, Trigger())
                results[name].append(found)
                print(f"seed {seed}, {name}: {found}", flush=True)
    rows = []
    for name, found in results.items():
        columns = zip(*found, strict=True)
        rows.append([name, *(mean_and_deviation(each) for each in columns)])
    print_table(["variant", "missed %", "alarms/h", "missed % at 5/h", "speech/h"], rows)
    finish({"benchmark": "ingredients", "cpu_s": cpu_seconds(), "results": results})


if __name__ == "__main__":
    main()

"""DS-CNN for a microcontroller, distilled from larger models: accuracy and bytes in 8 bits.

    python benchmarks/distilled.py RECORDINGS [TEACHER …] --out RUN [--set train.epochs=120]

TEACHER is a run of `benchmarks/official.py`, such as runs/official/crnn-attention-0. The recipe is
official/ds-cnn, its data those of `benchmarks/official.py`. Each augmented clip is also read by the
teachers, and the target is SHARE of the mean of their probabilities and 1 - SHARE of the label
(Hinton et al. 2015, https://arxiv.org/abs/1503.02531, at temperature 1); without a teacher, the
label alone. The run continues where it was interrupted, and one that has ended is only measured. In
8 bits as `kws export --quantize`, calibrated on training clips, and measured on all clips of
speech_commands_excerpt, part of the official test of Speech Commands.
"""

import argparse
from pathlib import Path

import torch
from distillation import distill
from report import finish, hardware
from shipped import whole
from shipped_training import gather

from kws.data.clips import ClipSplit
from kws.inference.evaluate import load_split
from kws.inference.quantize import export_quantized
from kws.training.checkpoint import load_model
from kws.training.recipe import load_recipe
from kws.training.splits import load_splits

SHARE = 0.7  # of a target that the teachers give


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="DS-CNN, distilled: accuracy and bytes.")
    parser.add_argument("recordings", type=Path, metavar="RECORDINGS")
    parser.add_argument("teachers", type=Path, nargs="*", metavar="TEACHER")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    return parser.parse_args()


def train(options: argparse.Namespace) -> ClipSplit:
    """Train into the run folder, and return the training part."""
    people, out = options.out.with_name(f"{options.out.name}-people"), options.out
    gather(options.recordings, people)
    recipe = load_recipe("official/ds-cnn", [f"train.seed={options.seed}", *options.set])
    training, validation = load_splits(recipe, people)
    teachers = [load_model(each) for each in options.teachers]
    distill(recipe, (training, validation), teachers, out, share=SHARE)
    assert isinstance(training, ClipSplit)
    return training


def main() -> None:
    """Train, quantize, measure."""
    options = parse()
    torch.set_num_threads(1)
    training, out = train(options), options.out
    excerpt = whole(options.recordings / "speech_commands_excerpt", out.with_name("excerpt"))
    trained = load_model(out)
    testing = load_split(trained, excerpt)
    assert isinstance(testing, ClipSplit)
    small = export_quantized(trained, out / "int8.onnx", training, testing)
    print(hardware(), *small.lines(), sep="\n")
    after = {"int8": small.after.as_dict(), "bytes": small.bytes_after}
    finish({"seed": options.seed, "float": small.before.as_dict(), **after})


if __name__ == "__main__":
    main()

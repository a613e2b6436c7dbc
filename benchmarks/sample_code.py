"""The four flaws of the speaker homework's sample code, which 48.34 % was measured with.

    python benchmarks/sample_code.py --data FOLDER --out runs/flaws

    1. Validation utterances are drawn from all, whoever speaks.                     `load_speakers`
    2. Padding counts as audio: no mask.                                          `SampleCodeSplit`
    3. Validation is one random crop of each utterance, an incomplete batch dropped. The same
    4. The best weights are kept without being cloned, so they go on changing.                `fit`

Source: HW4 of the machine learning course of National Taiwan University, 2021-2023. The recipe is
that of the homework, speaker-homework/baseline; nothing in `kws` has these flaws.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from kws.data import speakers
from kws.data.frames import CROP_FRAMES, FrameBatch, FrameSplit
from kws.device import Device
from kws.training.batches import generator_for
from kws.training.checkpoint import read_checkpoint, save_checkpoint
from kws.training.classification import classification_objective
from kws.training.distributed import team_of_processes
from kws.training.history import History
from kws.training.loop import begin, finish
from kws.training.recipe import Recipe, load_recipe

RECIPE = "speaker-homework/baseline"


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleCodeSplit(FrameSplit):
    """Utterances as the sample code draws them: without a mask, and validated on random crops."""

    batch_size: int
    seed: int

    @classmethod
    def of(cls, frames: FrameSplit, recipe: Recipe, **changes: Any) -> "SampleCodeSplit":
        """`frames` with the flaws; `changes` of its fields, such as the rows that it keeps."""
        kept = {field.name: getattr(frames, field.name) for field in fields(FrameSplit)}
        return cls(**kept | changes, batch_size=recipe.train.batch_size, seed=recipe.data.seed)

    def _gather(self, begins: Tensor, lengths: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        mel, valid = super()._gather(begins, lengths, frames)
        return mel, torch.ones_like(valid)

    def crop_batches(
        self, batch_size: int, generator: Generator | None = None, *, frames: int = CROP_FRAMES
    ) -> Iterator[FrameBatch]:
        """The same random crops each time, in batches as they are trained on, all of them full."""
        generator = generator_for(self.seed, "evaluation crops", 0)
        for batch in super().crop_batches(self.batch_size, generator, frames=frames):
            if len(batch[0]) == self.batch_size:
                yield batch


def load_speakers(recipe: Recipe, folder: str | Path) -> speakers.SpeakerData:
    """The data in `folder`, divided as `torch.utils.data.random_split` draws them."""
    data = speakers.load_speakers(folder, validation=0.0)  # all labeled utterances are in `train`
    train, validation = random_division(len(data.train), recipe.data.validation, recipe.data.seed)

    def part(rows: Tensor, name: str) -> SampleCodeSplit:
        return SampleCodeSplit.of(
            data.train,
            recipe,
            begins=data.train.begins[rows],
            lengths=data.train.lengths[rows],
            labels=data.train.labels[rows],
            names=[data.train.names[row] for row in rows.tolist()],
            split=name,
        )

    return speakers.SpeakerData(
        train=part(train, "training"),
        validation=part(validation, "validation"),
        test=None if data.test is None else SampleCodeSplit.of(data.test, recipe),
        speakers=data.speakers,
    )


def random_division(n: int, validation: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows for training and for validation, `validation` a share of all."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    count = int((1 - validation) * n)
    return order[:count], order[count:]


def fit(
    recipe: Recipe,
    *,
    train: SampleCodeSplit,
    validation: SampleCodeSplit,
    out: str | Path,
    device: Device = "auto",
    progress: bool = True,
) -> History:
    """`kws.training.loop.fit`, measured on crops alone, and with the last weights as the best."""
    with team_of_processes(device) as team:
        objective = classification_objective(recipe, train, validation, team)
        del objective.measures["validation"]
        run = begin(objective, out, team=team)
        finish(run, progress=progress)
        if team.is_main:
            state = read_checkpoint(run.out / "last.pt")
            state["weights"] = state.pop("training")["averaged"] or state["weights"]
            save_checkpoint(run.out / "best.pt", state)
        return run.history


def main() -> None:
    """Train as the sample code does, and print what it would have reported."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the homework's data")
    parser.add_argument("--out", type=Path, required=True, help="run folder to make")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    options = parser.parse_args()
    recipe = load_recipe(RECIPE, options.overrides)
    data = load_speakers(recipe, options.data)
    assert isinstance(data.train, SampleCodeSplit)
    assert isinstance(data.validation, SampleCodeSplit)
    history = fit(recipe, train=data.train, validation=data.validation, out=options.out)
    print(f"crop accuracy {100 * history.best['crop_accuracy']:.2f} %, n={history.best['crop_n']}")


if __name__ == "__main__":
    main()

"""The sample code's four flaws, each by itself."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from kws.audio.normalize import Normalizer
from kws.data.speakers import load_speakers
from kws.training import classification
from kws.training.batches import evaluation_batches
from kws.training.checkpoint import read_checkpoint
from kws.training.recipe import Recipe, parse_recipe

PATH = Path(__file__).parents[2] / "benchmarks" / "sample_code.py"
spec = importlib.util.spec_from_file_location("benchmark_sample_code", PATH)
assert spec is not None
assert spec.loader is not None
sample_code = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = sample_code  # where its dataclasses look themselves up
spec.loader.exec_module(sample_code)
SampleCodeSplit, random_division = sample_code.SampleCodeSplit, sample_code.random_division

pytestmark = pytest.mark.no_shapes

SMALL = (
    "data.task=speakers",
    "data.crop_frames=41",
    "model.name=gru",
    "model.channels=3",
    "model.hidden_size=5",
    "features.n_mels=13",
    "train.batch_size=5",
)


def recipe(*overrides: str) -> Recipe:
    return parse_recipe("", overrides=[*SMALL, *overrides])


def test_utterances_are_divided_as_random_split_does(tiny_speakers):
    everyone = load_speakers(tiny_speakers, validation=0.0).train.names
    assert len(everyone) == 36
    data = sample_code.load_speakers(recipe("data.seed=87", "features.n_mels=40"), tiny_speakers)
    generator = torch.Generator().manual_seed(87)
    train, validation = torch.utils.data.random_split(range(36), [32, 4], generator)  # pyright: ignore
    assert data.train.names == [everyone[i] for i in train.indices]
    assert data.validation.names == [everyone[i] for i in validation.indices]
    assert data.test is not None
    train, validation = random_division(56_666, 0.1, 87)
    assert (len(train), len(validation), len(validation) // 32 * 32) == (50_999, 5_667, 5_664)


def test_padding_counts_as_audio(voices):
    split = voices(13)
    shortest = split.lengths.argmin()[None]
    assert not split.crops(shortest, frames=64)[1].all()
    flawed = SampleCodeSplit.of(split, recipe()).to("cpu")  # with a row of padding
    mel, valid = flawed.crops(shortest, frames=64)
    assert valid.all()
    assert (mel == -20).any()


def test_validation_is_one_random_crop_in_full_batches(voices):
    split, plain = voices(13), Normalizer(kind="none")
    flawed = SampleCodeSplit.of(split, recipe()).to("cpu")

    def crops(of):
        return list(evaluation_batches(of, recipe(), plain, crops=True))

    assert [len(batch) for batch in crops(flawed)] == [5, 5]
    assert sum(map(len, crops(split))) == 13
    once, again = (torch.cat([batch.features for batch in crops(flawed)]) for _ in range(2))
    assert torch.equal(once, again)
    middle = torch.cat([batch.features for batch in crops(split)])
    assert not torch.equal(once[0], middle[int(crops(flawed)[0].index[0])])


@pytest.fixture
def trained_with_flaws(voices, tmp_path, monkeypatch):
    """A run whose first validation is its best."""
    seen = []

    def totals(model, batches, kind="cross-entropy"):
        seen.append(sum(map(len, batches)))
        return torch.tensor([len(seen), 28 - len(seen), seen[-1]], dtype=torch.float64)

    monkeypatch.setattr(classification, "score", totals)
    chosen = recipe("train.epochs=3")
    train, validation = (SampleCodeSplit.of(voices(n), chosen) for n in (43, 29))
    return sample_code.fit(
        chosen, train=train, validation=validation, out=tmp_path, device="cpu", progress=False
    )


def test_the_last_weights_are_called_best_and_crops_in_full_batches_measured(
    trained_with_flaws, tmp_path
):
    best, last = (read_checkpoint(tmp_path / f"{name}.pt") for name in ("best", "last"))
    assert trained_with_flaws.best["step"] < last["step"] == best["step"]
    assert all(torch.equal(best["weights"][name], w) for name, w in last["weights"].items())
    assert "training" not in best
    assert trained_with_flaws.best["crop_n"] == 25
    assert "validation_accuracy" not in trained_with_flaws.best

"""Killed with SIGKILL at any moment, a run that is resumed ends exactly as one that was not."""

import itertools
import os
import random
import signal
import sys
from pathlib import Path

import pytest
import torch

import kws.cli.train
from kws.training.checkpoint import read_checkpoint
from tests.conftest import forked

pytestmark = pytest.mark.no_shapes

SETTINGS = [
    "data.protocol=embedded-12",
    "model.channels=[2,3,3]",
    "model.hidden_size=5",
    "features.normalize=dataset",
    "train.epochs=2",
    "train.batch_size=32",
    "train.save_every=2",
    "train.ema=0.9",
]


def die_in_step(step: int, number: int) -> None:
    """Patch the training: no return from the backward pass of that step of this process."""
    real, calls = torch.nn.utils.clip_grad_norm_, itertools.count(1)

    def clip(*arguments, **options):
        if next(calls) == step:
            os.kill(os.getpid(), number)
        return real(*arguments, **options)

    torch.nn.utils.clip_grad_norm_ = clip


def die_in_save(number: int) -> None:
    """Patch the writing: of the n-th checkpoint of this process, half gets to the disk."""
    real, calls = Path.write_bytes, itertools.count(1)

    def write_bytes(path: Path, data) -> int:
        if ".pt." in path.name and next(calls) == number:
            real(path, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(path, data)

    Path.write_bytes = write_bytes


class Trainings:
    """`kws train` on the tiny corpus, each time in a process of its own."""

    def __init__(self, corpus: Path, log: Path):
        self.corpus, self.log = corpus, log

    def run(self, out: Path, *options: str, **deaths: int) -> int:
        """Its exit code, or minus the signal that ended it."""
        settings = [word for setting in SETTINGS for word in ("--set", setting)]
        argv = ["train", "keywords", "--data", self.corpus, "--out", out, *settings, *options]
        process = forked(self._train, [*map(str, argv)], **deaths)
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    def _train(self, argv: list[str], step: int = 0, save: int = 0, by: int = signal.SIGKILL):
        """Send itself a signal in the middle of optimizer step `step`, or of checkpoint `save`."""
        with self.log.open("a") as sys.stdout:
            sys.stderr = sys.stdout
            kws.cli.train.conclude = lambda *_: None  # no plot: it is drawn from the history
            signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest has its own
            if step:
                die_in_step(step, by)
            if save:
                die_in_save(save)
            sys.exit(kws.cli.run(argv))


@pytest.fixture(scope="module")
def trainings(tiny_corpus, tmp_path_factory):
    return Trainings(tiny_corpus, tmp_path_factory.mktemp("log") / "stderr.txt")


@pytest.fixture(scope="module")
def whole(trainings, tmp_path_factory) -> Path:
    """The run that nobody interrupts: two passes of 6 steps."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert trainings.run(out) == 0
    return out


def flat(state, prefix: str = "") -> dict:
    """Nested dictionaries and lists as one dictionary from path to value."""
    found = {}
    for key, value in state.items() if isinstance(state, dict) else enumerate(state):
        if isinstance(value, (dict, list)):
            found |= flat(value, f"{prefix}{key}/")
        else:
            found[f"{prefix}{key}"] = value
    return found


def assert_same(run: Path, whole: Path) -> None:
    """The same files; histories byte for byte; weights, optimizer and averages bit for bit."""
    assert {path.name for path in run.iterdir()} == {path.name for path in whole.iterdir()}
    for name in ("history.jsonl", "recipe.toml"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    for name in ("best.pt", "last.pt"):
        one, two = flat(read_checkpoint(run / name)), flat(read_checkpoint(whole / name))
        assert one.keys() == two.keys()
        for key, value in one.items():
            same = torch.equal(value, two[key]) if torch.is_tensor(value) else value == two[key]
            assert same, f"{name}: {key}"


def test_killed_in_a_random_step_and_again_in_another(trainings, whole, tmp_path):
    total = read_checkpoint(whole / "last.pt")["step"]
    first, second = random.randint(1, total), random.randint(1, 9)
    assert trainings.run(tmp_path / "run", step=first) == -signal.SIGKILL
    assert read_checkpoint(tmp_path / "run" / "last.pt")["step"] == (first - 1) // 2 * 2
    trainings.run(tmp_path / "run", "--resume", step=second)
    assert trainings.run(tmp_path / "run", "--resume") == 0
    assert_same(tmp_path / "run", whole)


@pytest.mark.parametrize("number", [1, 4, 5])
def test_killed_while_a_checkpoint_is_written(trainings, whole, tmp_path, number):
    """The first; a best.pt; the last.pt that goes with it."""
    out = tmp_path / "run"
    assert trainings.run(out, save=number) == -signal.SIGKILL
    assert len(list(out.glob(".*.tmp"))) == 1, "half a checkpoint is left behind"
    assert trainings.run(out, "--resume") == 0
    assert_same(out, whole)


def test_a_finished_run_resumed_stays_as_it_is(trainings, whole):
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert trainings.run(whole, "--resume") == 0
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


def test_stopped_by_a_signal_it_saves_the_step_and_goes_on(trainings, whole, tmp_path):
    out, already = tmp_path / "run", 0
    for options, step, number in (((), 5, signal.SIGINT), (("--resume",), 8, signal.SIGTERM)):
        assert trainings.run(out, *options, step=step - already, by=number) == 128 + number
        already = read_checkpoint(out / "last.pt")["step"]
        assert already == step
        sentence = trainings.log.read_text().splitlines()[-1]
        assert f"{out / 'last.pt'} is saved, continue with: kws train" in sentence
        assert "--device cpu" in sentence
        assert "--set 'model.channels=[2,3,3]'" in sentence
        assert sentence.endswith("--resume")
    assert trainings.run(out, "--resume") == 0
    assert_same(out, whole)

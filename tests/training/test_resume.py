"""Killed with SIGKILL at any moment, a run that is resumed ends exactly as one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from kws.training.checkpoint import read_checkpoint

pytestmark = pytest.mark.no_shapes

SETTINGS = [
    "data.protocol=embedded-12",
    "model.channels=[2,3,3]",
    "model.hidden_size=5",
    "features.normalize=dataset",
    "train.epochs=2",
    "train.batch_size=16",
    "train.save_every=2",
    "train.ema=0.9",
]


class Trainings:
    """`kws train` on the tiny corpus, each time in a process of its own (see killable.py)."""

    def __init__(self, corpus: Path, log: Path):
        self.corpus, self.log = corpus, log
        with log.open("w") as errors:
            self.server = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("killable.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                text=True,
            )

    def start(
        self,
        out: Path,
        *options: str,
        die_in_step: int = 0,
        die_in_save: int = 0,
        by: signal.Signals = signal.SIGKILL,
    ) -> int:
        """Begin a training; returns its process id."""
        settings = [word for setting in SETTINGS for word in ("--set", setting)]
        argv = ["train", "keywords", "--data", self.corpus, "--out", out, *settings, *options]
        job = {"argv": [*map(str, argv)], "die_in_step": die_in_step, "die_in_save": die_in_save}
        job["by"] = int(by)
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(job) + "\n")
        self.server.stdin.flush()
        return int(self._answer())

    def end(self) -> int:
        """Wait for the training; returns its exit code, or minus the signal that ended it."""
        return int(self._answer())

    def run(self, out: Path, *options: str, **deaths: Any) -> int:
        """Begin, and wait."""
        self.start(out, *options, **deaths)
        return self.end()

    def _answer(self) -> str:
        assert self.server.stdout is not None
        return self.server.stdout.readline()


@pytest.fixture(scope="module")
def trainings(tiny_corpus, tmp_path_factory):
    trainings = Trainings(tiny_corpus, tmp_path_factory.mktemp("log") / "stderr.txt")
    yield trainings
    trainings.server.communicate()


@pytest.fixture(scope="module")
def whole(trainings, tmp_path_factory) -> Path:
    """The run that nobody interrupts: two passes of 12 steps."""
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
    assert trainings.run(tmp_path / "run", die_in_step=first) == -signal.SIGKILL
    assert read_checkpoint(tmp_path / "run" / "last.pt")["step"] == (first - 1) // 2 * 2
    trainings.run(tmp_path / "run", "--resume", die_in_step=second)
    assert trainings.run(tmp_path / "run", "--resume") == 0
    assert_same(tmp_path / "run", whole)


@pytest.mark.parametrize("number", [1, 7, 8])
def test_killed_while_a_checkpoint_is_written(trainings, whole, tmp_path, number):
    """The first; a best.pt; the last.pt that goes with it."""
    out = tmp_path / "run"
    assert trainings.run(out, die_in_save=number) == -signal.SIGKILL
    assert len(list(out.glob(".*.tmp"))) == 1, "half a checkpoint is left behind"
    assert trainings.run(out, "--resume") == 0
    assert_same(out, whole)


def test_a_finished_run_resumed_stays_as_it_is(trainings, whole):
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert trainings.run(whole, "--resume") == 0
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal_it_saves_the_step_and_goes_on(
    trainings, whole, tmp_path, number, code
):
    out = tmp_path / "run"
    for options, step in (((), 5), (("--resume",), 8)):
        already = read_checkpoint(out / "last.pt")["step"] if options else 0
        assert trainings.run(out, *options, die_in_step=step - already, by=number) == code
        assert read_checkpoint(out / "last.pt")["step"] == step
        sentence = trainings.log.read_text().splitlines()[-1]
        assert f"{out / 'last.pt'} is saved, continue with: kws train" in sentence
        assert "--device cpu" in sentence
    assert trainings.run(out, "--resume") == 0
    assert_same(out, whole)

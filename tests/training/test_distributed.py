"""Several processes: which device, who goes first, and the same training as in one process."""

import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from kws.cli import run as kws
from kws.decoding.transcribe import transcribe
from kws.errors import UsageError
from kws.training.checkpoint import read_checkpoint
from kws.training.classification import classification_objective
from kws.training.distributed import Team, main_first, team_of_processes
from kws.training.history import read_history
from kws.training.loop import TrainingRun, begin, finish
from kws.training.recipe import parse_recipe
from tests.conftest import PATIENCE, forked
from tests.training.small_objectives import SMALL, small_objective

SETTINGS = [
    "data.protocol=embedded-12",
    "features.normalize=dataset",
    "model.channels=[2,3,3]",
    "model.hidden_size=5",
    "model.dropout=0",
    "train.batch_size=14",
    "train.accumulate=2",
    "train.total_steps=4",
    "train.validate_every=2",
    "train.ema=0.9",
    "train.optimizer=sgd",
    "train.lr=0.05",
]


def exit_codes_of_two(work: Callable[..., object], *arguments: object) -> list[int | None]:
    """Of two processes, as torchrun starts them: `.ci/run` calls torchrun itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}

    def begin(rank: int) -> None:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", **meet}
        work(*arguments)

    processes = [forked(begin, rank) for rank in range(2)]
    for process in processes:
        process.join(PATIENCE)
    return [process.exitcode for process in processes]


def train_by_command(text: Path, arguments: list[str]) -> None:
    with text.open("a") as sys.stdout:
        sys.stderr = sys.stdout
        sys.exit(kws(arguments))


def test_two_processes_train_as_one(tiny_corpus, tmp_path):
    """Same batches, augmentation, batch statistics, gradients; 192 clips in steps of 27 or 28."""
    arguments = ["train", "keywords", "--data", str(tiny_corpus), "--device", "cpu"]
    arguments += [word for setting in SETTINGS for word in ("--set", setting)]
    text = tmp_path / "output.txt"
    codes = exit_codes_of_two(train_by_command, text, [*arguments, "--out", str(tmp_path / "two")])
    output = text.read_text()
    assert codes == [0, 0], output
    assert "Grad strides" not in output
    assert output.count("best validation accuracy") == 1, "only one process talks"
    assert kws([*arguments, "--out", str(tmp_path / "one")]) == 0

    for name in ("best.pt", "last.pt"):
        one, two = (read_checkpoint(tmp_path / folder / name) for folder in ("one", "two"))
        assert one["step"] == two["step"]
        for key, w in one["weights"].items():
            assert (w - two["weights"][key]).abs().max() <= 1e-6, key
    ones, twos = (read_history(tmp_path / folder).rows for folder in ("one", "two"))
    assert len(ones) == 2
    for one, two in zip(ones, twos, strict=True):
        # float32 gradients, averaged in another order
        assert one == pytest.approx(two, rel=1e-5)
        assert one["validation_accuracy"] == two["validation_accuracy"]


OBJECTIVES = [
    "train.batch_size=4",
    "train.optimizer=sgd",
    "train.lr=0.05",
    "train.ema=0.9",
    "train.log_every=3",
]


def trained(folder: Path) -> dict[str, TrainingRun]:
    """A run of each objective without dropout: by the processes that there are."""
    runs = {}
    with team_of_processes("cpu") as team:  # once: a second one could meet the end of the first
        for name in SMALL:
            dropout = [] if name == "codec" else ["model.dropout=0"]
            objective = small_objective(name, *OBJECTIVES, *dropout)
            runs[name] = run = begin(objective, folder / name, team=team)
            finish(run, progress=False)
    return runs


def test_two_processes_train_every_objective_as_one(tmp_path, monkeypatch):
    short = partial(transcribe, longest=7)  # an untrained recognizer does not stop by itself
    monkeypatch.setattr("kws.training.recognizer_run.transcribe", short)
    ones = trained(tmp_path / "one")
    assert exit_codes_of_two(trained, tmp_path / "two") == [0, 0]
    for name, one in ones.items():
        state = read_checkpoint(tmp_path / "two" / name / "last.pt")
        for key, w in one.objective.model.state_dict().items():
            assert (w.double() - state["weights"][key].double()).abs().max() <= 2e-6, (name, key)
        rows = read_history(tmp_path / "two" / name).rows
        for row, other in zip(one.history, rows, strict=True):
            assert row == pytest.approx(other, rel=1e-4), name


def test_one_process_is_a_team_and_a_batch_must_suffice_for_all(tones, tmp_path):
    with team_of_processes("cpu") as team:
        assert (team.rank, team.world, team.is_main) == (0, 1, True)
        assert team.device == torch.device("cpu")
        model = torch.nn.Linear(2, 3)
        assert team.wrap_ddp(model) is model
        x = torch.ones(3)
        assert team.sum(x) is x
        with main_first(team):
            team.wait()
    recipe = parse_recipe("", overrides=["train.batch_size=4"])
    split = tones(7)
    team = Team(rank=1, world=4, device=torch.device("cpu"))
    objective = classification_objective(recipe, split, split, team)
    with pytest.raises(UsageError, match="3 examples in a step cannot be divided into 4 parts"):
        begin(objective, tmp_path, team=team)

"""The command line as a test sees it: arguments in; exit code, stdout and stderr out.

And what its commands work on, all of it small and right: a folder of words, one of speakers, and a
model trained on each for one step.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from kws.audio.recordings import write_audio
from kws.cli import run
from kws.data.protocols import COMMANDS
from tests.conftest import PATIENCE
from tests.data.speaker_folder import write_speakers

CURE = re.compile(  # what would be right, or an imperative that opens a part of the sentence
    r"did you mean|expects |must be|at least|one of |<=|"
    r"(?:[:;,(] |or |and )(?:ask|change|check|choose|convert|copy|correct|delete|download|empty|"
    r"export|free|give|go on|install|leave|lower|make|name|predict|raise|record|remove|rename|"
    r"restore|resume|run|save|set|train|try|unpack|use|wait|write)\b"
)


@dataclass(frozen=True)
class Outcome:
    """What one command left behind."""

    code: int
    out: str
    err: str

    def sentence(self, *names: object) -> str:
        """The one line on stderr, without the command's name.

        Fails unless the exit code is 2, the line is one sentence, it names `names` and a cure.
        """
        assert self.code == 2, (self.code, self.out, self.err)
        assert self.err.endswith("\n"), self.err
        assert self.err.count("\n") == 1, f"more than one line:\n{self.err}"
        command, _, sentence = self.err.rstrip("\n").partition(": ")
        assert command.split()[0] == "kws", self.err
        assert not re.search(r"[a-z]\. [A-Z]", sentence), f"more than one sentence: {sentence}"
        assert "Error" not in sentence, sentence
        for name in names:
            assert str(name) in sentence, f"{str(name)!r} is not named: {sentence}"
        assert CURE.search(sentence), f"no cure: {sentence}"
        return sentence


@pytest.fixture
def kws(capsys, monkeypatch) -> Callable[..., Outcome]:
    """`kws("data", "check", folder)` runs the command in this process."""
    monkeypatch.delenv("COLUMNS", raising=False)  # parallel test workers have one: narrow tables

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture
def kws_process() -> Callable[..., Outcome]:
    """`kws_process("data", "check", folder)` runs the command in a process of its own."""

    def command(*arguments: object, **options) -> Outcome:
        environment = {**os.environ, **options.pop("env", {})}
        done = subprocess.run(
            [sys.executable, "-m", "kws.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment,
            **options,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return command


@pytest.fixture(scope="session")
def good_words(tmp_path_factory) -> Path:
    """The ten commands and one other word, said once by each of four speakers, and a noise."""
    folder = tmp_path_factory.mktemp("good") / "words"
    generator = torch.Generator().manual_seed(0)
    listed = {"validation": [], "testing": []}
    for word in (*COMMANDS, "bed"):
        for speaker, split in enumerate(("training", "training", "validation", "testing")):
            name = f"{word}/0{speaker}_nohash_0.wav"
            write_audio(folder / name, torch.rand(2000, generator=generator) - 0.5)
            if split in listed:
                listed[split].append(name)
    for split, names in listed.items():
        (folder / f"{split}_list.txt").write_text("\n".join(names) + "\n")
    noise = torch.rand(20_000, generator=generator) - 0.5
    write_audio(folder / "_background_noise_" / "hum.wav", noise)
    return folder


@pytest.fixture(scope="session")
def good_speakers(tmp_path_factory) -> Path:
    """Three speakers with four utterances each, and three to test, with answers."""
    speakers = [f"id{number:05d}" for number in range(3)]

    def noise(number: int) -> torch.Tensor:
        return torch.rand(131 + number, 40, generator=torch.Generator().manual_seed(number))

    folder = tmp_path_factory.mktemp("good") / "speakers"
    return write_speakers(folder, dict.fromkeys(speakers, 4), 3, noise, answers=speakers)


def quick_run(recipe: str, data: Path, out: Path) -> Path:
    """A run folder after one step of training."""
    from kws.training.loop import fit
    from kws.training.recipe import load_recipe
    from kws.training.splits import load_splits

    chosen = load_recipe(recipe, ["train.total_steps=1", "train.batch_size=8"])
    train, validation = load_splits(chosen, data)
    fit(chosen, train=train, validation=validation, out=out, device="cpu", progress=False)
    return out


@pytest.fixture(scope="session")
def keyword_run(tmp_path_factory, good_words) -> Path:
    """A keyword model, hardly trained."""
    return quick_run("keywords", good_words, tmp_path_factory.mktemp("runs") / "keywords")


@pytest.fixture(scope="session")
def speaker_run(tmp_path_factory, good_speakers) -> Path:
    """A speaker model, hardly trained."""
    return quick_run("speakers", good_speakers, tmp_path_factory.mktemp("runs") / "speakers")


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    """Packs of this test go here."""
    monkeypatch.setenv("KWS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def words(tmp_path, good_words, own_cache) -> Path:
    """A copy of the words, to be spoilt."""
    return Path(shutil.copytree(good_words, tmp_path / "words"))


@pytest.fixture
def speakers(tmp_path, good_speakers, own_cache) -> Path:
    """A copy of the speakers, to be spoilt."""
    return Path(shutil.copytree(good_speakers, tmp_path / "speakers"))


@pytest.fixture
def run_of(tmp_path, keyword_run, speaker_run) -> Callable[[str], Path]:
    """`run_of("keywords")`: a copy of a run folder."""
    runs = {"keywords": keyword_run, "speakers": speaker_run}
    return lambda task: Path(shutil.copytree(runs[task], tmp_path / f"{task}-run"))


def tree(folder: Path) -> set[str]:
    """Everything below the folder that is neither a finished pack nor the cache's own folder."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix not in (".clips", ".frames") and path.name != "cache"
    }


@pytest.fixture
def nothing_written(tmp_path) -> Iterator[Callable[[], None]]:
    """Call it once all inputs are there: the folder must look the same at the end of the test."""
    before: list[set[str]] = []
    yield lambda: before.append(tree(tmp_path))
    assert before, "the test never said when its inputs were ready"
    assert tree(tmp_path) == before[0]

"""Every bad run, checkpoint, recipe and disk, through the real command line.

Each gets exit code 2 and one sentence that names the file or argument and the cure, and nothing is
half-written: neither a result nor a temporary file. Bad data: test_bad_data.py.
"""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.test_bad_data import FEW, LFS, VICTIM, a_folder, cut


def with_run(command: str, run: Path, words: Path, tmp_path: Path) -> list[object]:
    """Arguments of a command that reads a trained model."""
    return {
        "evaluate": ["evaluate", run, "--data", words, "--device", "cpu"],
        "predict": ["predict", words / VICTIM, "--model", run, "--device", "cpu"],
        "export": ["export", run, tmp_path / "model.safetensors"],
        "plot": ["plot", run],
        "init": train(words, tmp_path / "new", "--init", run),
    }[command]


BAD_RUNS = {  # every damage of a checkpoint: tests/training/test_checkpoint.py, tests/test_fuzz.py
    "missing": shutil.rmtree,
    "without a checkpoint": lambda run: (run / "best.pt").unlink(),
    "cut": lambda run: cut(run / "best.pt"),
    "LFS": lambda run: (run / "best.pt").write_text(LFS),
    "a folder": lambda run: a_folder(run / "best.pt"),
}
READERS = ("evaluate", "predict", "plot", "init")  # beside export: they share its reader


@pytest.mark.parametrize(
    ("fault", "command"),
    [
        *((fault, "export") for fault in BAD_RUNS),
        *((fault, command) for command in READERS for fault in ("cut", "missing")),
    ],
)
def test_a_bad_run(kws, words, run_of, tmp_path, nothing_written, command, fault):
    run = run_of("keywords")
    BAD_RUNS[fault](run)
    nothing_written()
    kws(*with_run(command, run, words, tmp_path)).sentence(run)


def train(words: Path, out: Path, *more: object) -> list[object]:
    return ["train", "keywords", "--data", words, "--out", out, *FEW, *more]


def test_a_wrong_recipe_or_argument(kws, words, tmp_path, nothing_written):
    recipe = tmp_path / "mine.toml"
    recipe.write_text(LFS)
    nothing_written()
    kws("train", recipe, "--data", words, "--out", tmp_path / "new").sentence(recipe, "TOML")
    kws("data", "corpus", tmp_path / "new", "--size", "minni").sentence("minni", "mini")
    kws("predict", "a.wav", "--model", "m", "--device", "gpu").sentence("gpu", "cuda")
    for override, near in (
        ("train.lrr=1e-3", "lr"),
        ("data.protocol=v2_12", "v2-12"),
        ("model.name=crnn-smal", "crnn-small"),
        ("model.hidden_sise=3", "hidden_size"),
    ):
        wrong = train(words, tmp_path / "new", "--set", override)
        kws(*wrong).sentence(f"did you mean '{near}'")


def test_a_run_of_another_kind_or_damaged_and_a_file_in_the_way(
    kws, words, speakers, run_of, tmp_path, nothing_written
):
    keywords, others = run_of("keywords"), run_of("speakers")
    cut(keywords / "last.pt")
    (tmp_path / "new").write_text("mine")
    nothing_written()
    kws(*train(words, tmp_path / "new")).sentence(tmp_path / "new")
    kws(*train(words, keywords, "--resume")).sentence(keywords / "last.pt")
    kws("evaluate", others, "--data", words, "--device", "cpu").sentence(words)
    kws("evaluate", keywords, "--data", speakers, "--device", "cpu").sentence(speakers)


def writers(words: Path, run: Path, out: Path) -> dict[str, list[object]]:
    """Commands that write below `out`."""
    return {
        "train": train(words, out / "run"),
        "kaggle": ["kaggle", words / VICTIM.partition("/")[0], "--run", run, "--out", out / "p"],
        "export": ["export", run, out / "model.safetensors"],
        "evaluate": ["evaluate", out / "copied-run", "--data", words, "--device", "cpu"],
        "plot": ["plot", out / "copied-run"],
        "corpus": ["data", "corpus", out / "corpus", "--size", "tiny"],
        "speaker-corpus": f"data speaker-corpus {out}/corpus --speakers 2 --utterances 4".split(),
        "pack": ["data", "pack", words],
    }


WRITERS = tuple(writers(Path(), Path(), Path()))


def mount(folder: Path, options: str) -> None:
    """A file system of its own at `folder`, or the test is skipped."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")


@pytest.fixture
def tiny_disk(tmp_path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "size=64k")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> None:
    """Write until not a byte is left."""
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.fixture
def read_only(tmp_path, keyword_run) -> Iterator[Path]:
    """A folder that nobody may write to, with a finished run in it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid():
        shutil.copytree(keyword_run, folder / "copied-run")
        folders = [folder / "copied-run", folder]
        for path in folders:
            path.chmod(0o500)
        yield folder
        for path in folders:
            path.chmod(0o700)
        return
    mount(folder, "size=16m")  # permissions do not bind root
    shutil.copytree(keyword_run, folder / "copied-run")
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("command", [name for name in WRITERS if name not in ("plot", "evaluate")])
def test_a_full_disk(kws, words, keyword_run, tiny_disk, monkeypatch, command):
    monkeypatch.setenv("KWS_CACHE", str(tiny_disk / "cache" if command == "pack" else words / ".c"))
    if command == "kaggle":  # one row needs but a block
        fill(tiny_disk)
    outcome = kws(*writers(words, keyword_run, tiny_disk)[command])
    outcome.sentence(tiny_disk, "disk is full")
    left = {path.name for path in tiny_disk.rglob("*") if path.is_file()}
    assert left <= {"recipe.toml", "filler"}, "the first is whole, the second is ours"


@pytest.mark.parametrize("command", ["evaluate", "plot"])
def test_a_disk_that_fills_up_later(kws, words, keyword_run, tiny_disk, command):
    """The run is there, linked into a disk with no room for results."""
    run = tiny_disk / "copied-run"
    run.mkdir()
    for path in keyword_run.iterdir():
        (run / path.name).symlink_to(path)
    fill(tiny_disk)
    before = sorted(run.iterdir())
    kws(*writers(words, keyword_run, tiny_disk)[command]).sentence(run, "disk is full")
    assert sorted(run.iterdir()) == before


@pytest.mark.parametrize("command", WRITERS)
def test_a_read_only_folder(kws, words, keyword_run, read_only, monkeypatch, command):
    monkeypatch.setenv("KWS_CACHE", str(read_only / "cache" if command == "pack" else words / ".c"))
    outcome = kws(*writers(words, keyword_run, read_only)[command])
    outcome.sentence(read_only)


def test_a_limit_on_file_sizes(kws, words, tmp_path, nothing_written):
    """The disk refuses in the middle of the first checkpoint."""
    out = tmp_path / "new"
    assert kws("data", "pack", words).code == 0
    out.mkdir()
    nothing_written()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        outcome = kws(*train(words, out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (out / "recipe.toml").unlink()  # it fits, and is whole
    outcome.sentence(out / "last.pt")


def test_a_real_process_says_the_same(kws, kws_process, tmp_path, nothing_written):
    nothing_written()
    outcome = kws_process("data", "download", "v3", tmp_path / "new")
    outcome.sentence("'v3'")
    assert outcome == kws("data", "download", "v3", tmp_path / "new")

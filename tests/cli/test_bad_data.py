"""Every bad recording, feature file and folder, through the real command line.

Each gets exit code 2 and one sentence that names the file and the cure, and nothing is left
half-written: neither a result nor a temporary file. A few faults of each kind: tests/data and
tests/test_audio.py show every fault to the readers that all commands share.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 32044\n"
VICTIM = "yes/00_nohash_0.wav"
FEATURES = f"uttr-{0:032x}.pt"
FEW = ("--set", "train.total_steps=1", "--set", "train.batch_size=8", "--device", "cpu")


def command_on(command: str, data: Path, run_of) -> list[object]:
    """Arguments of a command that reads the data set `data`."""
    task = "speakers" if (data / "metadata.json").exists() else "keywords"
    if command == "train":
        return ["train", task, "--data", data, "--out", data.parent / "new", *FEW]
    if command == "evaluate":
        return ["evaluate", run_of(task), "--data", data, "--device", "cpu"]
    return ["data", command, data]


DATA_COMMANDS = ("check", "pack", "train", "evaluate")


@pytest.mark.parametrize("command", DATA_COMMANDS)
@pytest.mark.parametrize("kind", ["words", "speakers"])
def test_good_data_pass(kws, request, run_of, command, kind):
    """A test of bad input means something only where good input passes."""
    folder = request.getfixturevalue(kind)
    outcome = kws(*command_on(command, folder, run_of))
    assert (outcome.code, outcome.err) == (0, "")


def missing(folder: Path) -> Path:
    shutil.rmtree(folder)
    return folder


def empty(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.mkdir()
    return folder


def a_file(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.write_bytes(b"PK")
    return folder


def overwrite(content: bytes | Callable[[Path], None], name: str = VICTIM):
    """A fault of one file."""

    def fault(folder: Path) -> Path:
        if callable(content):
            content(folder / name)
        else:
            (folder / name).write_bytes(content)
        return folder / name

    return fault


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


BAD_WAVS = {"a git-LFS pointer": LFS.encode(), "cut short": cut, "a folder": a_folder}
WORD_FAULTS = {
    "missing": missing,
    "empty": empty,
    "a file": a_file,
    **{name: overwrite(fault) for name, fault in BAD_WAVS.items()},
    "list names a missing clip": overwrite(b"yes/nobody_nohash_0.wav\n", "validation_list.txt"),
    "a git-LFS pointer as noise": overwrite(LFS.encode(), "_background_noise_/hum.wav"),
}


def an_unknown_speaker(folder: Path) -> Path:
    path = folder / "metadata.json"
    path.write_text(path.read_text().replace("id00000", "id99999"))
    return path


SPEAKER_FAULTS = {
    "missing": missing,
    "LFS features": overwrite(LFS.encode(), FEATURES),
    "cut features": overwrite(cut, FEATURES),
    "not JSON": overwrite(b'{"n_mels": 40, "speakers": ', "metadata.json"),
    "an unknown speaker": an_unknown_speaker,
    "an answer of nobody": overwrite(b"Id,Category\na,b\n", "test_labels.csv"),
}


FAULTS = [
    (kind, fault, DATA_COMMANDS[number % len(DATA_COMMANDS)])  # they share their readers
    for kind, faults in (("words", WORD_FAULTS), ("speakers", SPEAKER_FAULTS))
    for number, fault in enumerate(faults)
]


@pytest.mark.parametrize(("kind", "fault", "command"), FAULTS)
def test_a_bad_folder(kws, request, run_of, nothing_written, kind, fault, command):
    folder = request.getfixturevalue(kind)
    arguments = command_on(command, folder, run_of)
    named = {"words": WORD_FAULTS, "speakers": SPEAKER_FAULTS}[kind][fault](folder)
    nothing_written()
    kws(*arguments).sentence(named)


@pytest.mark.parametrize(
    ("fault", "task"),
    [("a git-LFS pointer", "keywords"), ("a folder", "keywords"), ("cut short", "speakers")],
)
def test_a_bad_recording_to_predict(kws, words, run_of, tmp_path, nothing_written, fault, task):
    run, path = run_of(task), overwrite(BAD_WAVS[fault])(words)
    nothing_written()
    outcome = kws("predict", words / "no/00_nohash_0.wav", path, "--model", run, "--device", "cpu")
    named = [] if fault == "a folder" else [path]
    outcome.sentence(*named)
    assert outcome.out == "", "predictions before the refusal"
    nobody = tmp_path / "nobody.wav"
    kws("predict", nobody, "--model", run, "--device", "cpu").sentence(nobody)


def test_bad_features_to_predict(kws, speakers, run_of, nothing_written):
    run, path = run_of("speakers"), SPEAKER_FAULTS["cut features"](speakers)
    nothing_written()
    kws("predict", path, "--model", run, "--device", "cpu").sentence(path)

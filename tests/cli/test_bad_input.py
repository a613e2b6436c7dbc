"""Every bad input that we thought of, through the real command line.

Each gets exit code 2 and one sentence that names the file or argument and the cure, and nothing is
half-written: neither a result nor a temporary file.
"""

import csv
import json
import os
import pickle
import resource
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 32044\n"
VICTIM = "yes/00_nohash_0.wav"
FEATURES = f"uttr-{0:032x}.pt"
FEW = ("--set", "train.total_steps=1", "--set", "train.batch_size=8", "--device", "cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> Path:
    """Packs of this test go here."""
    monkeypatch.setenv("KWS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def words(tmp_path, good_words) -> Path:
    return Path(shutil.copytree(good_words, tmp_path / "words"))


@pytest.fixture
def speakers(tmp_path, good_speakers) -> Path:
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


def command_on(command: str, data: Path, run_of) -> list[object]:
    """Arguments of a command that reads the data set `data`."""
    task = "speakers" if (data / "metadata.json").exists() else "keywords"
    if command == "train":
        return ["train", task, "--data", data, "--out", data.parent / "new", *FEW]
    if command == "evaluate":
        return ["evaluate", run_of(task), "--data", data, "--device", "cpu"]
    return ["data", command, data]


DATA_COMMANDS = ("check", "pack", "train", "evaluate")


# The good ones first: a test of bad input means something only where good input passes


@pytest.mark.parametrize("command", DATA_COMMANDS)
@pytest.mark.parametrize("kind", ["words", "speakers"])
def test_good_data_pass(kws, request, run_of, command, kind):
    folder = request.getfixturevalue(kind)
    outcome = kws(*command_on(command, folder, run_of))
    assert (outcome.code, outcome.err) == (0, "")


# Folders of words


def missing(folder: Path) -> Path:
    shutil.rmtree(folder)
    return folder


def empty(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.mkdir()
    return folder


def only_empty_words(folder: Path) -> Path:
    empty(folder)
    (folder / "yes").mkdir()
    return folder


def a_file(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.write_bytes(b"PK")
    return folder


def below_a_file(folder: Path) -> Path:
    a_file(folder)
    return folder / "inner"


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


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def stereo(path: Path) -> None:
    soundfile.write(path, np.zeros((4410, 2)), 44_100)


def no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 16_000)


def nan_samples(path: Path) -> None:
    samples = np.zeros(1000, np.float32)
    samples[500] = np.nan
    soundfile.write(path, samples, 16_000, subtype="FLOAT")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.wav")


BAD_WAVS = {
    "a git-LFS pointer": LFS.encode(),
    "cut short": cut,
    "cut in the header": cut_in_the_header,
    "44.1 kHz stereo": stereo,
    "zero bytes": b"",
    "no samples": no_samples,
    "NaN samples": nan_samples,
    "text": b"this is not audio at all, whatever its name may say\n" * 9,
    "random bytes": bytes(range(256)) * 9,
    "only a RIFF header": b"RIFF" + struct.pack("<I", 36) + b"WAVE",
    "a folder": a_folder,
    "a dangling link": a_dangling_link,
}
WORD_FAULTS = {
    "missing": missing,
    "empty": empty,
    "empty words": only_empty_words,
    "a file": a_file,
    "below a file": below_a_file,
    **{name: overwrite(fault) for name, fault in BAD_WAVS.items()},
    "list names a missing clip": overwrite(b"yes/nobody_nohash_0.wav\n", "validation_list.txt"),
    "list names an unknown word": overwrite(b"yess/02_nohash_0.wav\n", "validation_list.txt"),
    "one list without the other": lambda folder: (
        (folder / "testing_list.txt").unlink() or (folder / "testing_list.txt")
    ),
}


@pytest.mark.parametrize("command", DATA_COMMANDS)
@pytest.mark.parametrize("fault", WORD_FAULTS)
def test_a_bad_folder_of_words(kws, words, run_of, nothing_written, command, fault):
    arguments = command_on(command, words, run_of)
    named = WORD_FAULTS[fault](words)
    if fault == "below a file":
        arguments = [named if argument == words else argument for argument in arguments]
    nothing_written()
    kws(*arguments).sentence(named)


@pytest.mark.parametrize("command", ["check", "train", "evaluate"])
def test_a_folder_without_a_wanted_word(kws, words, run_of, nothing_written, command):
    arguments = command_on(command, words, run_of)
    (words / "yes").rename(words / "yess")
    for name in ("validation_list.txt", "testing_list.txt"):
        (words / name).write_text((words / name).read_text().replace("yes/", "yess/"))
    nothing_written()
    kws(*arguments).sentence(words, "yes")


@pytest.mark.parametrize("command", ["train", "evaluate", "check"])
def test_a_bad_background_recording(kws, words, run_of, nothing_written, command):
    arguments = command_on(command, words, run_of)
    noise = words / "_background_noise_" / "hum.wav"
    noise.write_text(LFS)
    nothing_written()
    kws(*arguments).sentence(noise)


def test_stereo_passes_when_resampling_is_asked_for(kws, words):
    stereo(words / VICTIM)
    sentence = kws("data", "check", words).sentence(words / VICTIM, "44100", "2 channels")
    assert "resampl" in sentence
    assert kws("data", "check", words, "--resample").code == 0


# Folders of speakers


def metadata(change: Callable[[dict], object], name: str = "metadata.json"):
    """A fault of one of the JSON files."""

    def fault(folder: Path) -> Path:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))
        return folder / name

    return fault


def tensor(change: Callable[[torch.Tensor], object]):
    """A fault of one file of features: `change` returns what is saved in its place."""

    def fault(folder: Path) -> Path:
        path = folder / FEATURES
        torch.save(change(torch.load(path)), path)
        return path

    return fault


def with_value(value: float):
    def change(features: torch.Tensor) -> torch.Tensor:
        features[7, 3] = value
        return features

    return change


def another_width(folder: Path) -> Path:
    metadata(lambda content: content.update(n_mels=39))(folder)
    metadata(lambda content: content.update(n_mels=39), "testdata.json")(folder)
    return folder / FEATURES


def unlink(name: str):
    def fault(folder: Path) -> Path:
        (folder / name).unlink()
        return folder / name

    return fault


class Harm:
    """What a hostile pickle would do on loading."""

    def __reduce__(self):
        return (os.system, ("touch harmed",))


SPEAKER_FAULTS = {
    "missing": missing,
    "empty": empty,
    "a file": a_file,
    "LFS features": overwrite(LFS.encode(), FEATURES),
    "cut features": overwrite(cut, FEATURES),
    "zero bytes": overwrite(b"", FEATURES),
    "text": overwrite(b"hello\n" * 99, FEATURES),
    "a hostile pickle": overwrite(pickle.dumps(Harm()), FEATURES),
    "not a tensor": tensor(lambda features: {"features": features}),
    "integers": tensor(lambda features: features.long()),
    "no frames": tensor(lambda features: features[:0]),
    "one dimension": tensor(lambda features: features[:, 0]),
    "NaN": tensor(with_value(float("nan"))),
    "infinite": tensor(with_value(float("inf"))),
    "another width": tensor(lambda features: features[:, :39]),
    "another length": tensor(lambda features: features[:-1]),
    "n_mels": another_width,
    "n_mels is text": metadata(lambda content: content.update(n_mels="40")),
    "no n_mels": metadata(lambda content: content.pop("n_mels")),
    "testdata n_mels": metadata(lambda content: content.update(n_mels=41), "testdata.json"),
    "missing features": unlink(FEATURES),
    "missing mapping": unlink("mapping.json"),
    "LFS metadata": overwrite(LFS.encode(), "metadata.json"),
    "not JSON": overwrite(b'{"n_mels": 40, "speakers": ', "metadata.json"),
    "zero-byte JSON": overwrite(b"", "mapping.json"),
    "not UTF-8": overwrite(b'{"n_mels": "\xff\xfe"}', "metadata.json"),
    "a list": overwrite(b"[]", "metadata.json"),
    "no utterances": metadata(lambda content: content.update(speakers={})),
    "an unknown speaker": metadata(
        lambda content: content["speakers"].update(id99999=content["speakers"].pop("id00000"))
    ),
    "a path outside": metadata(
        lambda content: content["speakers"]["id00000"][0].update(feature_path="../x.pt")
    ),
    "a gap in the numbers": metadata(
        lambda content: content["speaker2id"].update(id00000=7), "mapping.json"
    ),
    "an answer of nobody": overwrite(b"Id,Category\na,b\n", "test_labels.csv"),
    "answers without a header": overwrite(b"a,b\n", "test_labels.csv"),
}


@pytest.mark.parametrize("command", DATA_COMMANDS)
@pytest.mark.parametrize("fault", SPEAKER_FAULTS)
def test_a_bad_folder_of_speakers(
    kws, speakers, run_of, nothing_written, command, fault, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)  # where the hostile pickle would leave its mark
    arguments = command_on(command, speakers, run_of)
    named = SPEAKER_FAULTS[fault](speakers)
    nothing_written()
    kws(*arguments).sentence(named)


def test_a_metadata_file_that_names_a_missing_file_is_named_too(kws, speakers):
    (speakers / FEATURES).unlink()
    kws("data", "check", speakers).sentence(speakers / FEATURES, "metadata.json")


# Recordings to predict


@pytest.mark.parametrize("fault", BAD_WAVS)
@pytest.mark.parametrize("task", ["keywords", "speakers"])
def test_a_bad_recording_to_predict(kws, words, run_of, nothing_written, fault, task):
    run, path = run_of(task), overwrite(BAD_WAVS[fault])(words)
    nothing_written()
    outcome = kws("predict", words / "no/00_nohash_0.wav", path, "--model", run, "--device", "cpu")
    named = [] if fault == "a folder" else [path]
    outcome.sentence(*named)
    assert outcome.out == "", "predictions before the refusal"


@pytest.mark.parametrize(
    "fault", ["LFS features", "cut features", "zero bytes", "NaN", "another width", "not a tensor"]
)
def test_bad_features_to_predict(kws, speakers, run_of, nothing_written, fault):
    run, path = run_of("speakers"), SPEAKER_FAULTS[fault](speakers)
    nothing_written()
    kws("predict", path, "--model", run, "--device", "cpu").sentence(path)


def test_nothing_there_to_predict(kws, tmp_path, run_of, nothing_written):
    run = run_of("keywords")
    (tmp_path / "nothing").mkdir()
    nothing_written()
    for path in (tmp_path / "nobody.wav", tmp_path / "nothing"):
        kws("predict", path, "--model", run, "--device", "cpu").sentence(path)


# Runs and checkpoints


def with_run(command: str, run: Path, words: Path, tmp_path: Path) -> list[object]:
    """Arguments of a command that reads a trained model."""
    return {
        "evaluate": ["evaluate", run, "--data", words, "--device", "cpu"],
        "predict": ["predict", words / VICTIM, "--model", run, "--device", "cpu"],
        "export": ["export", run, tmp_path / "model.safetensors"],
        "plot": ["plot", run],
        "init": train(words, tmp_path / "new", "--init", run),
    }[command]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


def another_format(path: Path) -> None:
    state = torch.load(path)
    torch.save({**state, "format": "somebody else's"}, path)


def without_weights(path: Path) -> None:
    state = torch.load(path)
    torch.save({**state, "weights": {}}, path)


def only_weights(path: Path) -> None:
    torch.save(torch.load(path)["weights"], path)


BAD_CHECKPOINTS = {
    "gone": Path.unlink,
    "zero bytes": lambda path: path.write_bytes(b""),
    "LFS": lambda path: path.write_text(LFS),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "a flipped byte": flip,
    "text": lambda path: path.write_text("hello\n" * 99),
    "a hostile pickle": lambda path: torch.save(Harm(), path),
    "another format": another_format,
    "only weights": only_weights,
    "without weights": without_weights,
    "a folder": a_folder,
}


@pytest.mark.parametrize("command", ["evaluate", "predict", "export", "plot", "init"])
@pytest.mark.parametrize("fault", BAD_CHECKPOINTS)
def test_a_bad_checkpoint(
    kws, words, run_of, tmp_path, nothing_written, command, fault, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run = run_of("keywords")
    BAD_CHECKPOINTS[fault](run / "best.pt")
    nothing_written()
    kws(*with_run(command, run, words, tmp_path)).sentence(run)


@pytest.mark.parametrize("command", ["evaluate", "predict", "export", "plot", "init"])
@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_a_run_that_is_not_there(kws, words, tmp_path, nothing_written, command, kind):
    run = tmp_path / "run"
    if kind == "empty":
        run.mkdir()
    nothing_written()
    kws(*with_run(command, run, words, tmp_path)).sentence(run)


def test_a_checkpoint_of_another_protocol(kws, words, run_of, nothing_written):
    run = run_of("keywords")
    nothing_written()
    outcome = kws("evaluate", run, "--data", words, "--protocol", "kaggle-12", "--device", "cpu")
    outcome.sentence(run, "kaggle-12", "_silence_")


def test_a_checkpoint_of_speakers_on_words(kws, words, speakers, run_of, nothing_written):
    keywords, others = run_of("keywords"), run_of("speakers")
    nothing_written()
    kws("evaluate", others, "--data", words, "--device", "cpu").sentence(words)
    kws("evaluate", keywords, "--data", speakers, "--device", "cpu").sentence(speakers)


def test_a_checkpoint_of_other_speakers(kws, speakers, run_of, nothing_written):
    run = run_of("speakers")
    for name in ("mapping.json", "metadata.json", "test_labels.csv"):
        text = (speakers / name).read_text()
        (speakers / name).write_text(text.replace("id00002", "id00009"))
    nothing_written()
    kws("evaluate", run, "--data", speakers, "--device", "cpu").sentence(run, speakers)


def test_a_test_split_without_answers(kws, speakers, run_of, nothing_written):
    run = run_of("speakers")
    (speakers / "test_labels.csv").unlink()
    nothing_written()
    kws("evaluate", run, "--data", speakers, "--device", "cpu").sentence(
        speakers, "test_labels.csv"
    )


# Training


def train(words: Path, out: Path, *more: object) -> list[object]:
    return ["train", "keywords", "--data", words, "--out", out, *FEW, *more]


def test_a_run_is_never_overwritten(kws, words, run_of, nothing_written):
    run = run_of("keywords")
    nothing_written()
    kws(*train(words, run)).sentence(run, "--resume")


@pytest.mark.parametrize("fault", set(BAD_CHECKPOINTS) - {"gone", "without weights"})
def test_a_damaged_run_is_not_resumed(kws, words, run_of, tmp_path, nothing_written, fault):
    run = run_of("keywords")
    BAD_CHECKPOINTS[fault](run / "last.pt")
    nothing_written()
    kws(*train(words, run, "--resume")).sentence(run / "last.pt")


def test_a_run_is_not_resumed_with_another_recipe(kws, words, run_of, nothing_written):
    run = run_of("keywords")
    nothing_written()
    kws(*train(words, run, "--resume", "--set", "train.lr=0.5")).sentence(run, "train.lr", "0.5")


def test_a_run_is_not_resumed_on_other_data(kws, words, run_of, nothing_written):
    run = run_of("keywords")
    (words / VICTIM).rename(words / "yes/09_nohash_0.wav")
    nothing_written()
    kws(*train(words, run, "--resume")).sentence(run)


@pytest.mark.parametrize(
    ("override", "names"),
    [
        ("train.lrr=1e-3", ["train.lrr", "'lr'"]),
        ("train.warm_up=0.1", ["train.warm_up", "'warmup'"]),
        ("lr=1e-3", ["lr", "section.key=value"]),
        ("train.lr", ["train.lr"]),
        ("train.lr=fast", ["train.lr", "fast"]),
        ("train.lr=-1", ["train.lr", "-1"]),
        ("train.lr=nan", ["train.lr"]),
        ("train.epochs=2.5", ["train.epochs", "2.5"]),
        ("train.batch_size=0", ["train.batch_size", "0"]),
        ("train.optimiser=adamm", ["train.optimiser", "'adam'"]),
        ("trian.lr=1", ["trian", "'train'"]),
        ("data.protocol=v2_12", ["v2_12", "'v2-12'"]),
        ("data.task=words", ["data.task", "words"]),
        ("data.test_silence=zero", ["data.test_silence", "'zeros'"]),
        ("features.n_mels=0", ["n_mels", "0"]),
        ("features.f_min=9000.0", ["f_min", "9000"]),
        ("model.name=crnn-smal", ["crnn-smal", "'crnn-small'"]),
        ("model.hidden_sise=3", ["hidden_sise", "'hidden_size'"]),
        ("model.hidden_size=wide", ["hidden_size"]),
        ("augment.mixup=-1", ["augment.mixup", "-1"]),
    ],
)
def test_a_wrong_recipe_key_or_value(kws, words, tmp_path, nothing_written, override, names):
    nothing_written()
    kws(*train(words, tmp_path / "new", "--set", override)).sentence(*names)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[train]\nlrr = 1\n", ["train.lrr", "'lr'"]),
        ("[train\n", ["TOML"]),
        ("[train]\nlr = 1\nlr = 2\n", ["TOML"]),
        ("train = 3\n", ["train"]),
        ("\x00\x01", ["TOML"]),
        (LFS, ["TOML"]),
    ],
)
def test_a_wrong_recipe_file(kws, words, tmp_path, nothing_written, text, names):
    recipe = tmp_path / "mine.toml"
    recipe.write_text(text)
    nothing_written()
    outcome = kws("train", recipe, "--data", words, "--out", tmp_path / "new")
    outcome.sentence(recipe, *names)


def test_an_unknown_recipe(kws, words, tmp_path, nothing_written):
    nothing_written()
    outcome = kws("train", "keyword", "--data", words, "--out", tmp_path / "new")
    outcome.sentence("keyword", "'keywords'")


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_asked_for_and_absent(kws, words, run_of, tmp_path, nothing_written, command):
    arguments = {
        "train": ["train", "keywords", "--data", words, "--out", tmp_path / "new"],
        "evaluate": ["evaluate", run_of("keywords"), "--data", words],
        "predict": ["predict", words / VICTIM, "--model", run_of("speakers")],
    }[command]
    nothing_written()
    kws(*arguments, "--device", "cuda").sentence("cuda", "cpu")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["data", "check", ".", "--protocol", "v2_12"], ["v2_12", "'v2-12'"]),
        (["data", "check", ".", "--test-silence", "zero"], ["zero"]),
        (["data", "corpus", "out", "--size", "minni"], ["minni", "mini"]),
        (["params", "kwt1"], ["kwt1", "'kwt-1'"]),
        (["params", "kwt-1", "d_modle=3"], ["d_modle", "'d_model'"]),
        (["predict", "a.wav", "--model", "m", "--device", "gpu"], ["gpu", "cuda"]),
    ],
)
def test_a_wrong_argument(kws, words, tmp_path, monkeypatch, nothing_written, arguments, names):
    monkeypatch.chdir(words)
    nothing_written()
    kws(*arguments).sentence(*names)


# Disks


def writers(words: Path, run: Path, out: Path) -> dict[str, list[object]]:
    """Commands that write below `out`."""
    return {
        "train": train(words, out / "run"),
        "predict": ["predict", words / VICTIM, "--model", run, "--csv", out / "p.csv"],
        "export": ["export", run, out / "model.safetensors"],
        "evaluate": ["evaluate", out / "copied-run", "--data", words, "--device", "cpu"],
        "plot": ["plot", out / "copied-run"],
        "corpus": ["data", "corpus", out / "corpus", "--size", "tiny"],
        "speaker-corpus": [
            *("data", "speaker-corpus", out / "corpus"),
            *("--speakers", "2", "--utterances", "4"),
        ],
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
    if command == "predict":  # one row needs but a block
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
    before = tree(tiny_disk)
    kws(*writers(words, keyword_run, tiny_disk)[command]).sentence(run, "disk is full")
    left = tree(tiny_disk) - before
    assert not {name for name in left if name.endswith((".tmp", ".png"))}


@pytest.mark.parametrize("command", WRITERS)
def test_a_read_only_folder(kws, words, keyword_run, read_only, monkeypatch, command):
    monkeypatch.setenv("KWS_CACHE", str(read_only / "cache" if command == "pack" else words / ".c"))
    outcome = kws(*writers(words, keyword_run, read_only)[command])
    outcome.sentence(read_only)


def test_a_file_where_the_run_folder_should_be(kws, words, tmp_path, nothing_written):
    (tmp_path / "new").write_text("mine")
    nothing_written()
    kws(*train(words, tmp_path / "new")).sentence(tmp_path / "new")


def test_a_limit_on_file_sizes_in_a_real_process(kws_process, words, tmp_path, nothing_written):
    """The disk refuses in the middle of the first checkpoint."""
    out = tmp_path / "new"
    assert kws_process("data", "pack", words).code == 0
    out.mkdir()
    nothing_written()
    outcome = kws_process(
        *train(words, out),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    (out / "recipe.toml").unlink()  # it fits, and is whole
    outcome.sentence(out / "last.pt")


# A few again in real processes


@pytest.mark.parametrize("command", ["check", "train"])
def test_real_processes_say_the_same(kws, kws_process, words, tmp_path, nothing_written, command):
    (words / VICTIM).write_text(LFS)
    arguments = {
        "check": ["data", "check", words],
        "train": train(words, tmp_path / "new"),
    }[command]
    nothing_written()
    outcome = kws_process(*arguments)
    outcome.sentence()
    assert outcome == kws(*arguments)


def test_a_csv_is_written_whole(kws, words, keyword_run, tmp_path):
    """What the refusals above are compared with."""
    out = tmp_path / "p.csv"
    assert kws("predict", words / "yes", "--model", keyword_run, "--csv", out).code == 0
    with out.open() as file:
        assert len(list(csv.reader(file))) == 1 + 4

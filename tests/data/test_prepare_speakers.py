"""Folders of recordings to the homework's layout: contents, names, resuming, refusals."""

import csv
import json
import math
import os
import re
import signal
import time
from functools import partial

import pytest
import soundfile
import torch

from data_scripts.prepare_speakers import main, prepare_speakers
from kws.audio.features import speaker_log_mel
from kws.audio.recordings import read_audio, write_audio
from kws.data.speakers import load_speakers
from kws.errors import UsageError
from tests.conftest import forked


def voice(number, seconds=0.5, rate=16_000):
    n = torch.arange(int(seconds * rate))
    return 0.3 * torch.sin(2 * math.pi * (200 + 37 * number) * n / rate)


@pytest.fixture
def source(tmp_path):
    """Two layouts: VoxCeleb's id/video/x.wav and LibriSpeech's speaker/chapter/x.flac."""
    for number in range(5):
        write_audio(tmp_path / f"src/id7/video{number % 2}/{number:05d}.wav", voice(number))
        write_audio(tmp_path / f"src/id12/198/12-198-{number:04d}.flac", voice(number + 10))
    write_audio(tmp_path / "src/id3/own.wav", voice(20))
    write_audio(tmp_path / "src/id3/voice.WAV", voice(21))
    (tmp_path / "src/id3/notes.txt").write_text("not a recording")
    (tmp_path / "src/README").write_text("about these recordings")
    return tmp_path / "src"


@pytest.fixture
def prepare(source, tmp_path):
    def run(out="out", **options):
        return prepare_speakers(
            source, tmp_path / out, **({"workers": 1, "progress": False} | options)
        )

    return run


def table(out, name):
    return json.loads((out / f"{name}.json").read_text())


def answers_in(out):
    return list(csv.reader((out / "test_labels.csv").read_text().splitlines()))


def contents(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_tables_have_the_structure_of_the_homework(prepare, source, tmp_path):
    (source / ".git").mkdir()
    (source / "id7/._00000.wav").write_bytes(b"resource fork")
    made = prepare(test_utterances=1)
    assert made == {"speakers": 3, "labeled": 9, "test": 3, "skipped": 0}
    data = load_speakers(tmp_path / "out", validation=0.25)
    assert data.speakers == ("id12", "id3", "id7")
    assert len(data.train) + len(data.validation) == 9
    assert data.test is not None
    assert sorted(data.test.labels.tolist()) == [0, 1, 2]
    out = tmp_path / "out"
    metadata, testdata, answers = table(out, "metadata"), table(out, "testdata"), answers_in(out)
    assert table(out, "mapping") == {
        "speaker2id": {"id12": 0, "id3": 1, "id7": 2},
        "id2speaker": {"0": "id12", "1": "id3", "2": "id7"},
    }
    assert metadata["n_mels"] == testdata["n_mels"] == 40
    assert {name: len(found) for name, found in metadata["speakers"].items()} == {
        "id12": 4,
        "id3": 1,
        "id7": 4,
    }
    assert answers[0] == ["Id", "Category"]
    assert [row[0] for row in answers[1:]] == [
        utterance["feature_path"] for utterance in testdata["utterances"]
    ]
    assert sorted(row[1] for row in answers[1:]) == ["id12", "id3", "id7"]


def test_every_file_is_the_features_of_one_recording(prepare, source, tmp_path):
    tone = torch.stack([voice(1, rate=44_100)] * 2, 1).numpy()
    soundfile.write(source / "id3/stereo.wav", tone, 44_100, "PCM_16")
    prepare()
    out = tmp_path / "out"
    metadata, testdata, answers = table(out, "metadata"), table(out, "testdata"), answers_in(out)
    entries = [(entry, name) for name, found in metadata["speakers"].items() for entry in found]
    entries += zip(testdata["utterances"], [row[1] for row in answers[1:]], strict=True)
    expected = {
        name: [
            speaker_log_mel(read_audio(path, resample=True))
            for path in (source / name).rglob("*")
            if path.suffix.lower() in (".wav", ".flac")
        ]
        for name in metadata["speakers"]
    }
    assert len(entries) == 13
    for entry, speaker in entries:
        assert re.fullmatch(r"uttr-[0-9a-f]{32}\.pt", entry["feature_path"])
        mel = torch.load(tmp_path / "out" / entry["feature_path"], weights_only=True)
        assert (mel.dtype, mel.shape) == (torch.float32, (entry["mel_len"], 40))
        assert any(torch.equal(mel, other) for other in expected[speaker])
    files = {path.name for path in (tmp_path / "out").glob("uttr-*.pt")}
    assert files == {entry["feature_path"] for entry, _ in entries}


@pytest.mark.usefixtures("forks")
def test_the_same_bytes_from_any_number_of_processes(prepare, tmp_path):
    prepare("one")
    prepare("two", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_seed_changes_names_and_test_part(prepare, tmp_path):
    prepare("a", test_utterances=1)
    prepare("b", test_utterances=1, seed=1)
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert not {name for name in a if name.startswith("uttr")} & set(b)
    held_out = [
        {found[row["feature_path"]] for row in table(tmp_path / out, "testdata")["utterances"]}
        for out, found in (("a", a), ("b", b))
    ]
    assert held_out[0] != held_out[1]


@pytest.mark.parametrize(("wanted", "test"), [(0, 0), (0.0, 0), (1, 3), (0.4, 5), (0.01, 3)])
def test_a_number_or_a_fraction_of_each_speaker_is_held_out(prepare, wanted, test):
    made = prepare(test_utterances=wanted)
    assert (made["test"], made["labeled"]) == (test, 12 - test)


def test_finished_files_are_kept_and_damaged_or_outdated_ones_made_again(prepare, source, tmp_path):
    prepare()
    whole = contents(tmp_path / "out")
    files = sorted((tmp_path / "out").glob("uttr-*.pt"))
    files[0].write_bytes(b"")
    files[1].write_bytes(whole[files[1].name][:-100])
    torch.save(torch.zeros(3, 39), files[2])
    files[3].unlink()
    torch.save(torch.zeros(7, 40), files[4])  # whole, but older than its recording
    os.utime(files[4], (0, 0))
    kept = {path: path.stat().st_mtime_ns for path in files[5:]}
    prepare()
    assert contents(tmp_path / "out") == whole
    assert {path: path.stat().st_mtime_ns for path in files[5:]} == kept


def test_a_killed_run_goes_on_to_the_same_bytes(source, prepare, tmp_path):
    for number in range(30):
        write_audio(source / f"id3/more/{number}.wav", voice(number))
    out = tmp_path / "out"
    run = forked(partial(prepare_speakers, source, out, workers=1))
    while run.is_alive() and len(list(out.glob("uttr-*.pt"))) < 5:
        time.sleep(0.005)
    run.kill()
    run.join()
    assert run.exitcode == -signal.SIGKILL
    assert not (out / "metadata.json").exists()
    begun = {path.name: path.stat().st_mtime_ns for path in out.glob("uttr-*.pt")}
    prepare()
    prepare("straight")
    left = {name: data for name, data in contents(out).items() if not name.endswith(".tmp")}
    assert left == contents(tmp_path / "straight")
    kept = [name for name in begun if (out / name).stat().st_mtime_ns == begun[name]]
    assert len(kept) == len(begun) >= 5


@pytest.mark.parametrize("name", ["empty.wav", "silent.wav", "short.wav"])
def test_a_bad_recording_is_named_or_skipped(prepare, source, tmp_path, name):
    path = source / "id7" / name
    if name == "empty.wav":
        path.touch()
    else:
        write_audio(path, torch.zeros(16_000) if name == "silent.wav" else voice(1, 0.05))
    fact = "empty" if name == "empty.wav" else "no audible passage"
    with pytest.raises(UsageError, match=rf"^{re.escape(str(path))}: .*{fact}.*--skip-bad\)$"):
        prepare()
    assert not (tmp_path / "out/metadata.json").exists()
    made = prepare(skip_bad=True)
    assert made["skipped"] == 1
    assert made["labeled"] + made["test"] == 12
    skipped = (tmp_path / "out/skipped.txt").read_text()
    assert str(path) in skipped
    assert fact in skipped


def test_a_speaker_without_recordings_is_named_or_skipped(prepare, source, tmp_path):
    (source / "id9").mkdir()
    with pytest.raises(UsageError, match=r"id9: no wav or flac"):
        prepare()
    assert prepare(skip_bad=True)["speakers"] == 3
    assert "id9" in (tmp_path / "out/skipped.txt").read_text()


def refusals(tmp_path, source):
    write_audio(tmp_path / "one/id1/a.wav", voice(1))
    write_audio(tmp_path / "foreign/id1/a.wav", voice(1))
    (tmp_path / "m4a/id1").mkdir(parents=True)
    (tmp_path / "m4a/id1/x.m4a").write_bytes(b"x")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "mixed").mkdir()
    torch.save(torch.zeros(1), tmp_path / f"mixed/uttr-{'0' * 32}.pt")
    out = tmp_path / "out"
    return [
        (tmp_path / "missing", out, {}, "missing: no such folder"),
        (tmp_path / "nothing", out, {}, "nothing: no folders with wav or flac"),
        (tmp_path / "m4a", out, {}, "convert its .m4a files"),
        (tmp_path / "one", out, {}, "one speaker only, id1"),
        (source, source / "out", {}, "lies in"),
        (source, tmp_path / "file", {}, "file: a file"),
        (source, tmp_path / "mixed", {}, "not from these recordings"),
        (source, out, {"test_utterances": 2}, "speaker id3 has 2 usable recordings and 2"),
        (source, out, {"test_utterances": 1.0}, "test_utterances=1.0"),
        (source, out, {"test_utterances": -1}, "test_utterances=-1"),
        (source, out, {"workers": 0}, "workers=0"),
    ]


def test_the_command_says_what_it_made_and_refuses_in_one_sentence(tmp_path, source, capsys):
    for folder, out, options, fact in refusals(tmp_path, source):
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        assert main([str(folder), str(out), "--workers=1", *arguments]) == 2
        message = capsys.readouterr().err.rstrip().rpartition("\r")[2].splitlines()[-1]
        assert message.startswith("prepare_speakers: ")
        assert fact in message
        assert not (out / "metadata.json").exists()
    (source / "id7/bad.wav").write_bytes(b"")
    options = ["--skip-bad", "--workers=1", "--test-utterances=1"]
    assert main([str(source), str(tmp_path / "made"), *options]) == 0
    assert "3 speakers, 9 labeled and 3 test utterances" in capsys.readouterr().out


def test_real_recordings(real_data, tmp_path):
    source = tmp_path / "src"
    for speaker in ("id00002", "id00003"):
        (source / speaker).mkdir(parents=True)
        for path in sorted((real_data / "arabic_commands_by_speaker" / speaker).iterdir())[:4]:
            (source / speaker / path.name).symlink_to(path)
    made = prepare_speakers(source, tmp_path / "out", workers=1, progress=False)
    assert (made["labeled"], made["test"]) == (6, 2)

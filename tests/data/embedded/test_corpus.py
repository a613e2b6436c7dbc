"""The embedded corpus: layout, splits, records, the same bytes, whole or absent; clean words."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from kws import files
from kws.cli import run
from kws.data.embedded import corpus, provenance
from kws.data.embedded.clean_words import LOUDNESS, VARIANTS, clean_words
from kws.data.embedded.corpus import make_corpus
from kws.data.embedded.espeak import stock_variants
from kws.data.embedded.provenance import corpus_folder
from kws.data.embedded.recording import Setup
from kws.data.embedded.voices import vocal_tract
from kws.data.protocols import SPLITS, V2_WORDS
from kws.data.split_rule import which_split
from kws.errors import UsageError

WORDS = ("yes", "marvin")
CLEAN = ("yes", "no")
SMALL = {"words": WORDS, "speakers": 10, "repetitions": 1, "noise_seconds": 1, "progress": False}
SMALL["workers"] = 1  # each starts an engine of its own


def tree(folder: Path) -> dict[str, str]:
    """Relative path to SHA-256, of every file in `folder`."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def clips(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in sorted(folder.glob("*/*_nohash_*.wav"))]


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(-1), "<i2") / 32768


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return make_corpus(
        tmp_path_factory.mktemp("small") / "corpus", seed=3, **SMALL | {"workers": 2}
    )


def test_layout_is_that_of_speech_commands(tiny_corpus):
    folders = sorted(path.name for path in tiny_corpus.iterdir() if path.is_dir())
    files = sorted(path.name for path in tiny_corpus.iterdir() if path.is_file())
    assert folders == sorted([*V2_WORDS, "_background_noise_"])
    assert files == ["speakers.json", "testing_list.txt", "validation_list.txt"]
    names = clips(tiny_corpus)
    assert len(names) == 35 * 20
    assert all(re.fullmatch(r"[a-z]+/[0-9a-f]{8}_nohash_0\.wav", name) for name in names)
    assert len(list((tiny_corpus / "_background_noise_").glob("*.wav"))) == 6
    found = {(which_split(name), name.split("/")[0]) for name in names}
    assert found == {(split, word) for split in SPLITS for word in V2_WORDS}
    for path in sorted(tiny_corpus.glob("*/*.wav")):
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
            assert file.getnframes() <= (80_000 if "_background" in str(path) else 16_000)


def test_neither_speakers_nor_variants_nor_vocal_tracts_cross_splits(tmp_path):
    variants = stock_variants()
    received = {split: set() for split in SPLITS}
    tracts = {split: set() for split in SPLITS}
    for seed in (0, 1):  # also across seeds: a secret test split holds no voice trained on
        splits = corpus.speaker_splits(120, seed)
        for speaker, (voice, _) in corpus.draw_cast(120, seed).items():
            split = splits[speaker]
            received[split].add(voice.variant)
            tracts[split].add(vocal_tract(variants[voice.variant]))
    for one, other in (SPLITS[:2], SPLITS[1:], SPLITS[::2]):
        assert not received[one] & received[other]
        assert not tracts[one] & tracts[other]
    assert all(len(received[split]) >= 8 for split in SPLITS)


def test_few_clips_are_short_or_quiet_and_words_are_above_the_noise(tiny_corpus):
    waves = [samples(tiny_corpus / name) for name in clips(tiny_corpus)]
    short = np.mean([len(wave) < 16_000 for wave in waves])
    quiet = np.mean([np.abs(wave).max() < 0.06 for wave in waves])
    assert 0.06 < short < 0.14  # SHORT and QUIET, and five s.d. of a share of 1,400 clips
    assert 0.01 < quiet < 0.07
    assert all(np.abs(wave).max() < 1 for wave in waves)  # none clips

    def loud_to_quiet(wave):
        power = (wave[: len(wave) // 160 * 160].reshape(-1, 160) ** 2).mean(1)
        return 10 * np.log10(np.percentile(power, 95) / (np.percentile(power, 10) + 1e-10))

    ratios = [loud_to_quiet(samples(tiny_corpus / name)) for name in clips(tiny_corpus)]
    assert np.percentile(ratios, 2) > 6
    assert 25 < np.median(ratios) < 60


def test_speakers_json_says_how_each_voice_was_made(small):
    about = json.loads((small / "speakers.json").read_text())
    speakers = {Path(name).name[:8] for name in clips(small)}
    assert set(about["speakers"]) == speakers
    assert about["recipe"]["words"] == list(WORDS)
    cast = corpus.draw_cast(10, 3)
    for speaker, entry in about["speakers"].items():
        voice, setup = cast[speaker]
        assert entry["split"] == which_split(f"{speaker}_nohash_0.wav")
        assert entry["definition"] == voice.definition
        assert entry["variant"] in stock_variants()
        recording = {**entry["recording"], "gains": tuple(entry["recording"]["gains"])}
        assert Setup(**recording) == setup


def test_same_seed_gives_the_same_bytes_from_one_worker_on_another_kind_of_processor(
    small, tmp_path
):
    features = "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"  # numpy leaves out those it lacks
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": features}
    subprocess.run(python(tmp_path / "c", seed=3, **SMALL), env=environment, check=True)
    assert tree(tmp_path / "c") == tree(small)


def test_another_seed_gives_other_bytes_and_figures_are_the_number(small, tmp_path):
    other = make_corpus(tmp_path / "c", seed="my secret", **SMALL)
    assert not set(clips(other)) & set(clips(small))
    assert not set(tree(other).values()) & set(tree(small).values())
    assert not any(b"my secret" in path.read_bytes() for path in other.rglob("*") if path.is_file())
    assert run(["data", "corpus", str(other), "--seed", "my secret"]) == 2  # there, of other words
    for out in (small, other):
        names = clips(out)
        for split in SPLITS[1:]:
            listed = (out / f"{split}_list.txt").read_text().split()
            assert listed == sorted(name for name in names if which_split(name) == split)
            assert len(listed) == len(WORDS)  # one speaker of ten
    assert provenance.describe_seed("1") != 1
    assert corpus.speaker_splits(10, "1") == corpus.speaker_splits(10, 1)


def test_words_speakers_takes_and_the_length_of_the_path_are_free(tmp_path):
    out = tmp_path / ("x" * 120) / ("y" * 200)  # the engine itself gives up beyond 160 characters
    options = {**SMALL, "words": ("zero",), "speakers": 11, "repetitions": 3}
    names = clips(make_corpus(out, **options))
    assert len(names) == 11 * 3
    assert {name[-5] for name in names} == {"0", "1", "2"}


def test_finished_corpus_is_left_alone(small, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    assert make_corpus(small, seed=3, **SMALL) == small
    with pytest.raises(UsageError, match=r"has another corpus \(it differs in seed\)"):
        make_corpus(small, seed=4, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


@pytest.mark.parametrize(
    ("prepare", "options", "sentence"),
    [
        (lambda out: None, {"size": "maxi"}, "unknown size 'maxi'.* mini"),
        (lambda out: None, {"speakers": 9}, "speakers=9 .*at least 10"),
        (lambda out: None, {"repetitions": 0}, "repetitions=0"),
        (lambda out: None, {"voice": "gmw/dee"}, r"no voice 'gmw/dee' \(did you mean 'gmw/de'\?\)"),
        (lambda out: None, {"words": ()}, "no words"),
        (lambda out: None, {"words": ("yes", "yes")}, "'yes' twice"),
        (lambda out: None, {"words": ("a/b",)}, "'a/b'"),
        (lambda out: out.write_text("mine"), {}, "not a finished corpus.*choose a new folder"),
        (lambda out: (out / "keep").mkdir(parents=True), {}, "not a finished corpus"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_touches_nothing(prepare, options, sentence, tmp_path):
    out = tmp_path / "out"
    prepare(out)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=sentence):
        make_corpus(out, **{**SMALL, **options})
    assert sorted(tmp_path.rglob("*")) == before


def test_command_line_makes_it_once_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(corpus.SIZES, "tiny", 10)
    arguments = ["data", "corpus", str(tmp_path / "c"), "--size=tiny", "--seed=7", "--words=yes"]
    assert run(arguments) == 0
    assert run(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.search(r"20 recordings, made in [\d.]+ s", lines[0])
    assert lines[1].endswith("there already")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_or_ctrl_c_leaves_nothing(tmp_path, monkeypatch, error):
    def fail(path, clip):
        raise error

    monkeypatch.setattr(corpus, "write_wav", fail)
    with pytest.raises(type(error)):
        make_corpus(tmp_path / "c", **SMALL)
    assert not list(tmp_path.iterdir())


def python(out: Path, **options: object) -> list[str]:
    """The command that makes a corpus in a process of its own."""
    program = f"from kws.data.embedded.corpus import make_corpus; make_corpus({str(out)!r}, "
    return [sys.executable, "-W", "ignore", "-c", f"{program}**{options})"]


def test_a_maker_at_work_is_not_disturbed_and_the_next_clears_up_after_kill_9(tmp_path):
    out = tmp_path / "corpus"
    process = subprocess.Popen(
        python(out, speakers=400), stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not list(tmp_path.glob(".*.tmp/*/*.wav")):
        assert process.poll() is None, "it ended too soon"
        time.sleep(0.02)
    with files.atomic_folder(tmp_path / "corpus") as folder:  # a second maker of the same corpus
        assert len(list(tmp_path.glob(".*.tmp"))) == 2
        (folder / "mine").touch()
    assert process.poll() is None
    shutil.rmtree(out)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list(tmp_path.glob(".*.tmp"))) == 1
    make_corpus(out, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_another_language_says_the_same_words_in_its_own_way(small, tmp_path):
    other = make_corpus(tmp_path / "c", seed=3, voice="gmw/de", **SMALL)
    assert clips(other) == clips(small)
    assert not {tree(other)[name] for name in clips(other)} & set(tree(small).values())
    assert make_corpus(other, seed=3, voice="gmw/de", **SMALL) == other  # known again


def test_who_comes_second_waits_and_takes_what_the_first_has_made(tmp_path):
    """Two notebooks may make the same corpus at once."""
    out, recipe = tmp_path / "corpus", {"corpus": "embedded"}
    begun, found = threading.Event(), []

    def second():
        begun.wait()
        with corpus_folder(out, "record.json", recipe) as folder:
            found.append(folder)

    thread = threading.Thread(target=second)
    thread.start()
    with corpus_folder(out, "record.json", recipe) as folder:
        begun.set()
        assert folder is not None
        assert found == []
        (folder / "record.json").write_text(json.dumps({"recipe": recipe}))
    thread.join()
    assert found == [None]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]


def test_every_voice_says_every_word_so_many_times():
    clips, labels = clean_words(2, words=CLEAN, progress=False)
    assert clips.shape == (2 * len(CLEAN) * len(VARIANTS), 16_000)
    assert labels.tolist() == [0, 0, 1, 1] * len(VARIANTS)
    assert (clips.abs().amax(1) - LOUDNESS).abs().max() < 0.01
    assert len(clips.unique(dim=0)) == len(clips)
    again, _ = clean_words(2, words=CLEAN, progress=False)
    assert torch.equal(again, clips)
    other, _ = clean_words(2, words=CLEAN, seed=1, progress=False)
    assert not any(torch.equal(one, two) for one, two in zip(clips, other, strict=True))


@pytest.mark.parametrize("options", [{"repetitions": 0}, {"words": ()}])
def test_no_clips_are_refused(options):
    with pytest.raises(UsageError, match="give no clips: choose 1 or more"):
        clean_words(**options)

"""Splits of a folder: labels, waveforms, silence, notes, and one sentence for each bad input."""

import hashlib
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from kws.audio.recordings import SAMPLE_RATE, read_audio
from kws.data.protocols import COMMANDS, SPLITS, get_protocol
from kws.data.speech_commands import draw_starts, load_speech_commands, load_unlabeled, read_noise
from kws.errors import UsageError

OTHERS = ("bed", "zero")
SPEAKERS = 13  # 8 train, 3 validate, 2 test
NOISE_SAMPLES = (200_003, 170_001)


def write(path: Path, samples: np.ndarray, rate: int = SAMPLE_RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.astype("int16"), rate, subtype="PCM_16")


def clip(name: str, length: int = 1_601) -> np.ndarray:
    """Samples that only this clip has."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    return np.random.default_rng(seed).integers(-9_999, 9_999, length).astype("int16")


def name_of(word: str, speaker: int) -> str:
    return f"{word}/{speaker:08x}_nohash_0.wav"


def make_archive(folder: Path) -> Path:
    for word in (*COMMANDS, *OTHERS):
        for speaker in range(SPEAKERS):
            write(folder / name_of(word, speaker), clip(name_of(word, speaker)))
    for i, length in enumerate(NOISE_SAMPLES):
        write(folder / f"_background_noise_/noise_{i}.wav", np.arange(length) % 20_000 + 1 + i)
    for split, speakers in (("validation", (8, 9, 10)), ("testing", (11, 12))):
        names = [name_of(word, s) for word in (*COMMANDS, *OTHERS) for s in speakers]
        (folder / f"{split}_list.txt").write_text("\n".join(names) + "\n")
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def own(archive, tmp_path) -> Path:
    """An archive that the test may spoil."""
    return shutil.copytree(archive, tmp_path / "own")


def everything(split) -> torch.Tensor:
    return split.waveforms(torch.arange(len(split)))


@pytest.mark.parametrize("split", SPLITS)
def test_counts_follow_the_rule(archive, split):
    speakers = {"training": {*range(8)}, "validation": {8, 9, 10}, "testing": {11, 12}}[split]
    wanted = 10 * len(speakers)
    clips = load_speech_commands(archive, "v2-12", split)
    counts = clips.counts()
    assert tuple(counts) == clips.label_names == get_protocol("v2-12").labels
    assert counts["_silence_"] == counts["_unknown_"] == -(-wanted // 10)
    assert {counts[word] for word in COMMANDS} == {wanted // 10}
    assert len(clips) == len(clips.labels) == sum(counts.values())
    files = [name for name in clips.names if not name.startswith("_silence_")]
    assert len(set(files)) == len(files)
    assert {int(name.split("/")[1][:8], 16) for name in files} == speakers


@pytest.mark.parametrize("moved", [False, True])
def test_waveforms_are_the_recordings_with_their_labels(archive, moved):
    clips = load_speech_commands(archive, "v2-12", "training")
    clips = clips.to("cpu") if moved else clips
    index = torch.tensor([5, 79, 0, 5])
    waveform = clips.waveforms(index)
    assert (waveform.shape, waveform.dtype) == ((4, 16_000), torch.float32)
    for row, i in zip(waveform, index.tolist(), strict=True):
        expected = read_audio(archive / clips.names[i])
        assert torch.equal(row[: len(expected)], expected)
        assert not row[len(expected) :].any()
        word = clips.names[i].split("/")[0]
        label = clips.label_names[clips.labels[i]]
        assert label == (word if word in COMMANDS else "_unknown_")


@pytest.mark.parametrize("test_silence", ["noise", "zeros"])
@pytest.mark.parametrize("split", SPLITS)
def test_moving_a_split_changes_no_sample(archive, split, test_silence):
    clips = load_speech_commands(archive, "v2-12", split, test_silence=test_silence)
    moved = clips.to("cpu")
    assert moved.audio is not None
    assert len(moved.audio) == len(clips)  # its own clips and no others
    moved = replace(moved, rows=torch.full((len(clips),), 1 << 40))  # the pack is no longer read
    assert torch.equal(everything(moved), everything(clips))
    assert torch.equal(everything(moved.to("cpu")), everything(clips))


def silence_of(clips) -> torch.Tensor:
    return clips.waveforms((clips.labels == clips.label_names.index("_silence_")).nonzero()[:, 0])


def test_test_silence_is_noise_or_zeros_and_says_so(archive):
    noise = load_speech_commands(archive, "v2-12", "testing")
    zeros = load_speech_commands(archive, "v2-12", "testing", test_silence="zeros")
    assert (noise.silence, zeros.silence) == ("noise", "zeros")
    assert "silence: noise" in noise.describe()
    assert "silence: zeros" in zeros.describe()
    assert silence_of(noise).count_nonzero(1).min() == 16_000
    assert not silence_of(zeros).any()
    assert noise.names == zeros.names
    noise, zeros = (
        load_speech_commands(archive, "v2-12", "training", test_silence=convention)
        for convention in ("noise", "zeros")
    )
    assert (noise.silence, zeros.silence) == ("noise", "noise")
    assert torch.equal(everything(noise), everything(zeros))


def test_silence_is_a_piece_of_one_recording_from_this_split(archive):
    """The recordings count up by one, so a crop tells where it was taken."""
    for split, (low, high) in (("validation", (0.8, 0.9)), ("testing", (0.9, 1.0))):
        crops = silence_of(load_speech_commands(archive, "v2-12", split)) * 32_768
        for crop in crops.round().to(torch.int64) - 1:
            found = []
            for i, length in enumerate(NOISE_SAMPLES):
                ramp = torch.arange(round(low * length), round(high * length)) % 20_000 + i
                begins = (ramp == crop[0]).nonzero()[:, 0].tolist()
                found += [torch.equal(ramp[begin:][:16_000], crop) for begin in begins]
            assert any(found)


def test_training_silence_has_many_volumes_and_some_zeros(own):
    for speaker in range(20, 40):
        for word in COMMANDS:
            write(own / name_of(word, speaker), clip("x", 7))
    peaks = silence_of(load_speech_commands(own, "v2-12", "training")).amax(1)
    assert len(peaks) == 28
    assert (peaks == 0).sum() == 6  # every fifth
    assert len(peaks.unique()) > 18


def test_silence_is_the_same_each_time_other_for_another_seed_and_of_this_split(archive):
    first, again, other = (
        silence_of(load_speech_commands(archive, "v2-12", "validation", seed=s)) for s in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    lengths = [read_noise(archive, split)[1] for split in SPLITS]
    assert [sum(parts) for parts in zip(*lengths, strict=True)] == list(NOISE_SAMPLES)
    assert lengths[0] == [round(0.8 * length) for length in NOISE_SAMPLES]
    clips = load_speech_commands(archive, "v2-12", "training")
    assert len(clips.noise) == sum(lengths[0])
    assert clips.noise[0] == 1 / 32_768


def test_starts_stay_within_one_recording_and_reach_its_ends():
    lengths = [16_001, 9, 16_003]
    starts = draw_starts(lengths, 500, torch.Generator().manual_seed(0))
    assert set(starts.tolist()) == {0, 1, 16_010, 16_011, 16_012, 16_013}
    assert draw_starts([9_000, 9_000], 99, torch.Generator()).max() <= 2_000


def test_noise_that_is_short_is_repeated_and_without_any_silence_is_silent(own):
    for path in (own / "_background_noise_").iterdir():
        path.unlink()
    write(own / "_background_noise_/short.wav", np.arange(1, 501))
    noise, lengths = read_noise(own, "testing")
    assert (len(noise), lengths) == (16_000, [16_000])
    assert noise[:51].mul(32_768).tolist() == [*range(451, 501), 451]
    assert silence_of(load_speech_commands(own, "v2-12", "testing")).all()
    for path in (own / "_background_noise_").iterdir():
        path.unlink()
    for split in SPLITS:
        clips = load_speech_commands(own, "v2-12", split)
        assert (len(clips.noise), clips.silence) == (0, "zeros")
        assert "no _background_noise_" in clips.notes[0]
        assert not silence_of(clips).any()
        assert not silence_of(clips.to("cpu")).any()


@pytest.mark.parametrize(("unknown", "n"), [(11, 11), (3, 3), ("protocol", 8)])
def test_training_gets_another_number_of_unknown_clips_and_the_rest_stays(archive, unknown, n):
    training = load_speech_commands(archive, "v2-12", "training", unknown=unknown)
    assert training.counts()["_unknown_"] == n
    assert any("where the rule asks for 8" in note for note in training.notes) == (n != 8)
    for split in ("validation", "testing"):
        changed = load_speech_commands(archive, "v2-12", split, unknown=unknown)
        assert changed.names == load_speech_commands(archive, "v2-12", split).names


@pytest.mark.parametrize("split", ["training", "validation", "testing"])
def test_all_other_words_are_unknown_in_every_split(archive, split):
    every = load_speech_commands(archive, "v2-12", split, unknown="all")
    words = {name.split("/")[0] for name in every.names}
    assert words >= set(OTHERS)
    assert every.describe().endswith("unknown: all other words")
    few = load_speech_commands(archive, "v2-12", split)
    assert set(few.names) < set(every.names)
    assert "unknown" not in few.describe()


def test_cut_clips_missing_unknown_words_and_words_left_out_are_noted(own):
    protocol = replace(get_protocol("v2-12"), name="mine", left_out=("bed",))
    training = load_speech_commands(own, protocol, "training")
    assert "mine leaves bed out" in training.notes
    assert not any(name.startswith("bed/") for name in training.names)
    write(own / name_of("yes", 0), clip("long", 17_000))
    for speaker in (11, 12):
        for word in OTHERS:
            (own / name_of(word, speaker)).unlink()
    (own / "testing_list.txt").write_text(
        "\n".join(name_of(w, s) for w in COMMANDS for s in (11, 12))
    )
    assert load_speech_commands(own, "v2-12", "training").notes == (
        "1 of 88 recordings are longer than 1 s: only their first second is used",
    )
    assert "only 0 clips of other words" in load_speech_commands(own, "v2-12", "testing").notes[0]


def test_thirty_five_words_have_neither_silence_nor_unknown(tmp_path):
    protocol = get_protocol("embedded-35")
    for word in protocol.words:
        write(tmp_path / word / "4a294341_nohash_0.wav", clip(word))
    clips = load_speech_commands(tmp_path, protocol, "training")
    assert (clips.silence, clips.counts()) == ("none", dict.fromkeys(protocol.labels, 1))
    with pytest.raises(UsageError, match=f"^{tmp_path}: testing has no clips under embedded-35"):
        load_speech_commands(tmp_path, protocol, "testing")


@pytest.fixture
def test_archive(tmp_path) -> Path:
    folder = tmp_path / "test_set"
    for word in COMMANDS:
        write(folder / f"{word}/c2d15ea5_nohash_0.wav.wav", clip(word))
    write(folder / "_unknown_/bed_c2d15ea5_nohash_0.wav.wav", clip("bed"))
    write(folder / "_unknown_/zero_c2d15ea5_nohash_0.wav.wav", clip("zero"))
    write(folder / "_silence_/1.wav.wav", clip("hum", 16_000))
    return folder


def test_test_archive_is_read_as_it_is(test_archive):
    clips = load_speech_commands(test_archive, "kaggle-12", "testing")
    assert clips.counts() == {**dict.fromkeys(COMMANDS, 1), "silence": 1, "unknown": 2}
    assert clips.silence == "clips"
    row = clips.labels.tolist().index(clips.label_names.index("silence"))
    assert torch.equal(
        clips.waveforms(torch.tensor([row]))[0], read_audio(test_archive / "_silence_/1.wav.wav")
    )
    clips = load_speech_commands(test_archive, "v2-12", "testing", test_silence="zeros")
    assert (clips.silence, len(clips)) == ("zeros", 13)
    assert not silence_of(clips).any()
    with pytest.raises(UsageError, match="a test archive has no training clips"):
        load_speech_commands(test_archive, "v2-12", "training")


@pytest.mark.parametrize("below", ["", "audio"])
def test_unlabeled_folder(tmp_path, below):
    names = [f"clip_{i:09x}.wav" for i in (7, 3, 5)]
    for name in names:
        write(tmp_path / below / name, clip(name, 17_000))
    clips = load_unlabeled(tmp_path)
    assert clips.names == sorted(names)
    assert (clips.label_names, clips.labels.tolist()) == ((), [-1, -1, -1])
    assert "3 of 3 recordings are longer" in clips.notes[0]
    first = torch.from_numpy(clip(clips.names[0], 17_000)[:16_000]) / 32_768
    assert torch.equal(everything(clips)[0], first)


def test_unlabeled_folder_without_recordings(tmp_path, archive):
    with pytest.raises(UsageError, match="it is empty"):
        load_unlabeled(tmp_path)
    with pytest.raises(UsageError, match="it contains folders"):
        load_unlabeled(archive)
    with pytest.raises(UsageError, match="no such folder"):
        load_unlabeled(tmp_path / "absent")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("v2-12", "train"), "did you mean 'training'"),
        (("v2-12", "test"), "choose one of training, validation, testing"),
    ],
)
def test_wrong_arguments_are_named(archive, arguments, sentence):
    with pytest.raises(UsageError, match=sentence):
        load_speech_commands(archive, *arguments)


def test_other_rates_are_converted_on_request(own):
    tone = np.sin(np.arange(44_100) * 2 * np.pi * 440 / 44_100) * 9_999
    for where in (name_of("yes", 0), "_background_noise_/noise_1.wav"):
        write(own / where, np.stack([tone, tone], 1), 44_100)
    clips = load_speech_commands(own, "v2-12", "training", resample=True)
    (found,) = clips.waveforms(torch.tensor([clips.names.index(name_of("yes", 0))]))
    expected = np.sin(np.arange(16_000) * 2 * np.pi * 440 / 16_000) * 9_999 / 32_768
    assert np.abs(found.numpy() - expected)[100:-100].max() < 1e-3


def test_real_excerpt_has_the_counts_of_its_lists(real_data):
    folder = real_data / "speech_commands_excerpt"
    lists = {
        split: set((folder / f"{split}_list.txt").read_text().split())
        for split in ("validation", "testing")
    }
    everyone = {f"{path.parent.name}/{path.name}" for path in folder.glob("[a-z]*/*.wav")}
    lists["training"] = everyone - lists["validation"] - lists["testing"]
    for split in SPLITS:
        expected = Counter(name.split("/")[0] for name in lists[split])
        clips = load_speech_commands(folder, "v2-12", split)
        counts = clips.counts()
        wanted = sum(expected[word] for word in COMMANDS)
        assert {word: counts[word] for word in COMMANDS} == {w: expected[w] for w in COMMANDS}
        assert counts["_silence_"] == -(-wanted // 10)
        assert counts["_unknown_"] == min(-(-wanted // 10), sum(expected.values()) - wanted)
        thirty_five = load_speech_commands(folder, "v2-35", split)
        assert thirty_five.counts() == {w: expected[w] for w in thirty_five.label_names}


@pytest.mark.parametrize("where", [name_of("zero", 3), "_background_noise_/noise_1.wav"])
def test_bad_recordings_are_named(own, where):
    write(own / where, np.zeros((441, 2), "int16"), 44_100)
    with pytest.raises(UsageError, match=f"^{own / where}: .*44100 Hz with 2 channels"):
        load_speech_commands(own, "v2-12", "training")
    (own / where).write_bytes(b"")
    with pytest.raises(UsageError, match=f"^{own / where}: empty"):
        load_speech_commands(own, "v2-12", "training")

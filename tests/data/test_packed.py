"""Packs: equal to the recordings, rebuilt when those change, whole or absent, small in memory."""

import os
import resource
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws.audio.recordings import SAMPLE_RATE
from kws.data import array_file as store
from kws.data.packed import pack_clips, pack_frames, read_plain_wav
from kws.errors import UsageError
from tests.conftest import forked

LENGTHS = (16_000, 11, 5_003, 16_000, 17_011)
NAMES = [f"clip_{i}.wav" for i in range(len(LENGTHS))]


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, num_samples).astype("<i2")


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "recordings"
    made.mkdir()
    for seed, (name, length) in enumerate(zip(NAMES, LENGTHS, strict=True)):
        soundfile.write(made / name, noise(length, seed), SAMPLE_RATE, subtype="PCM_16")
    return made


@pytest.mark.parametrize("block", [None, 2])
def test_clips_are_the_recordings_in_order_padded_right_and_cut(folder, monkeypatch, block):
    if block:
        monkeypatch.setattr("kws.data.packed.BLOCK", block)
    clips = pack_clips(folder, NAMES[::-1])
    assert clips.names == NAMES[::-1]
    assert clips.lengths.tolist() == list(LENGTHS[::-1])
    assert (clips.audio.dtype, clips.audio.shape) == (np.dtype("int16"), (5, 16_000))
    for row, length, seed in zip(clips.audio, LENGTHS[::-1], range(4, -1, -1), strict=True):
        kept = min(length, 16_000)
        np.testing.assert_array_equal(row[:kept], noise(length, seed)[:kept])
        assert not row[kept:].any()  # nothing is left of the block before


def test_plain_wav_equals_soundfile_and_with_an_extra_chunk_reads_the_same(folder):
    for name in NAMES:
        plain = read_plain_wav(folder / name)
        expected, _ = soundfile.read(folder / name, dtype="int16")
        assert plain is not None
        assert plain[1] == len(expected)
        np.testing.assert_array_equal(plain[0], expected[:16_000])
    plain = pack_clips(folder, NAMES[:1]).audio[0].copy()
    data = (folder / NAMES[0]).read_bytes()
    extra = b"LIST" + (6).to_bytes(4, "little") + b"INFO\0\0"
    (folder / NAMES[0]).write_bytes(data[:36] + extra + data[36:])
    assert read_plain_wav(folder / NAMES[0]) is None
    np.testing.assert_array_equal(pack_clips(folder, NAMES[:1]).audio[0], plain)


@pytest.mark.parametrize(
    ("rate", "channels", "subtype", "suffix"),
    [
        (8_000, 1, "PCM_16", "wav"),
        (16_000, 2, "PCM_16", "wav"),
        (16_000, 1, "PCM_24", "wav"),
        (16_000, 1, "FLOAT", "wav"),
        (16_000, 1, "PCM_U8", "wav"),
        (16_000, 1, "PCM_16", "flac"),
    ],
)
def test_other_formats_are_left_to_soundfile(tmp_path, rate, channels, subtype, suffix):
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, np.zeros((160, channels)) + 0.25, rate, subtype=subtype)
    assert read_plain_wav(path) is None
    clips = pack_clips(tmp_path, [path.name], resample=True)
    assert clips.lengths.tolist() == [160 * 16_000 // rate]
    # the filter of resampling rings where the 20 ms begin
    assert clips.audio[0, 40] == pytest.approx(8192, rel=0.05 if rate == 8_000 else 0)


def test_a_pack_is_used_again(folder, monkeypatch):
    before = sorted(folder.iterdir())
    folder.chmod(0o555)  # the source may be read-only, and is left as it was
    first = pack_clips(folder, NAMES)
    assert sorted(folder.iterdir()) == before
    monkeypatch.setattr("kws.data.packed.read_plain_wav", None)  # any read would fail
    audio = first.audio.copy()
    first.audio[:] = 0  # in memory: the file keeps its samples
    again = pack_clips(folder, NAMES)
    np.testing.assert_array_equal(again.audio, audio)
    assert again.lengths.tolist() == first.lengths.tolist()
    with pytest.raises(UsageError, match="no recordings"):
        pack_clips(folder, [])


@pytest.mark.parametrize("change", ["touched", "rewritten", "added", "removed"])
def test_changed_source_is_packed_again(folder, change):
    names = NAMES[:4]
    before = pack_clips(folder, names)
    if change == "touched":
        soundfile.write(folder / names[0], noise(16_000, 77), SAMPLE_RATE, subtype="PCM_16")
        os.utime(folder / names[0], ns=(0, 0))
    elif change == "rewritten":
        soundfile.write(folder / names[0], noise(15_999, 77), SAMPLE_RATE, subtype="PCM_16")
    else:
        names = NAMES if change == "added" else NAMES[:3]
    after = pack_clips(folder, names)
    assert after.names == names
    assert after.audio.shape != before.audio.shape or (after.audio[0] != before.audio[0]).any()
    assert before.audio[3, 0] == noise(16_000, 3)[0]  # the old map still holds


def test_converted_pack_is_not_used_without_resampling(folder):
    soundfile.write(folder / NAMES[0], noise(441), 44_100, subtype="PCM_16")
    pack_clips(folder, NAMES, resample=True)
    with pytest.raises(UsageError, match=r"clip_0\.wav: 44100 Hz"):
        pack_clips(folder, NAMES)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: data[:100], "cut short"),
        (lambda data: data[:40] + bytes(4), "contains no samples"),
        (lambda data: b"", "empty"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (None, "no"),
    ],
)
def test_an_unusable_recording_is_named_and_leaves_no_pack(folder, spoil, sentence):
    path, out = folder / NAMES[2], folder.parent / "out" / "x.clips"
    data = path.read_bytes()
    path.unlink()
    if spoil is not None:
        path.write_bytes(spoil(data))
    with pytest.raises(UsageError, match=rf"clip_2\.wav: .*{sentence}"):
        pack_clips(folder, NAMES, out)
    assert not out.parent.exists() or list(out.parent.iterdir()) == []


@pytest.mark.parametrize("how", ["flipped", "cut"])
@pytest.mark.parametrize("where", [0, 7, 70_000, -60, -40, -1])
def test_a_flipped_bit_or_a_cut_is_found_and_repaired(folder, how, where, caplog):
    good = pack_clips(folder, NAMES)
    expected, data = good.audio.copy(), bytearray(good.path.read_bytes())
    data[where] ^= 1
    good.path.write_bytes(data if how == "flipped" else data[:where])
    store._verified.clear()  # as in a new process
    np.testing.assert_array_equal(pack_clips(folder, NAMES).audio, expected)
    assert how == "cut" or "packing again" in caplog.text
    store.open_array(good.path)


def test_abandoned_temporary_files_are_swept_and_young_ones_kept(folder):
    out = folder.parent / "x.clips"
    old, young = out.with_name(".x.clips.old.tmp"), out.with_name(".x.clips.young.tmp")
    for path in (old, young):
        path.touch()
    long_ago = time.time() - 2 * store.ABANDONED_SECONDS
    os.utime(old, (long_ago, long_ago))
    pack_clips(folder, NAMES, out)
    assert (old.exists(), young.exists()) == (False, True)


def test_frames_keep_values_order_and_lengths(tmp_path):
    lengths, values = (7, 1, 13), {}
    for i, length in enumerate(lengths):
        values[f"u{i}"] = np.random.default_rng(i).normal(size=(length, 3)).astype("f2")
        (tmp_path / f"u{i}").touch()
    packed = pack_frames(tmp_path, list(values), lambda path: values[path.name], 3)
    assert packed.offsets.tolist() == [0, 7, 8, 21]
    np.testing.assert_array_equal(packed.frames[:-1], np.concatenate(list(values.values())))
    assert (packed.frames[-1] == -20).all()
    assert len(packed) == 3


@pytest.fixture
def many(tmp_path) -> Path:
    """1,200 clips, most of them links to one file: 38 MB when packed."""
    made = tmp_path / "many"
    made.mkdir()
    soundfile.write(made / "0000.wav", noise(16_000), SAMPLE_RATE, subtype="PCM_16")
    for i in range(1, 1200):
        os.link(made / "0000.wav", made / f"{i:04d}.wav")
    return made


def pack(folder: Path, out: Path) -> None:
    assert len(pack_clips(folder, sorted(path.name for path in folder.iterdir()), out)) == 1200


def pack_on_a_small_disk(folder: Path, out: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000))
    with pytest.raises(OSError, match="File too large") as caught:
        pack(folder, out)
    assert caught.value.filename == str(out)


def test_full_disk_is_an_oserror_that_names_the_pack_and_leaves_nothing(many):
    out = many.parent / "out" / "many.clips"
    process = forked(pack_on_a_small_disk, many, out)
    process.join()
    assert process.exitcode == 0
    assert list(out.parent.iterdir()) == []


def test_two_processes_may_pack_at_once(many):
    out = many.parent / "many.clips"
    processes = [forked(pack, many, out) for _ in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert store.open_array(out)[0].shape == (1200, 16_000)
    assert list(many.parent.glob(".*.tmp")) == []


def test_memory_does_not_grow_with_the_pack(many):
    tracemalloc.start()
    try:
        pack(many, many.parent / "many.clips")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000  # of 38 MB packed
    finally:
        tracemalloc.stop()


def test_killed_packing_leaves_nothing_mistaken_for_a_pack(many):
    out = many.parent / "out" / "many.clips"
    process = forked(pack, many, out)
    while not list(out.parent.glob(".*.tmp")):  # it has begun to write
        assert process.is_alive()
        time.sleep(0.001)
    process.kill()
    process.join()
    assert not out.exists()
    pack(many, out)

"""More clips of Speech Commands: whose are left out, and that each is kept once."""

import numpy as np
import pytest
import soundfile

from data_scripts.collect_clips import is_held_out, main
from kws.data.split_rule import which_split

NAMES = [f"{number:08x}" for number in range(60)]
KEPT = [name for name in NAMES if which_split(name) != "testing" and not is_held_out(name)]


def clip(path, seed, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).integers(-9, 9, 1600).astype(np.int16)
    soundfile.write(path, samples, rate, subtype="PCM_16")


@pytest.fixture
def run(tmp_path, capsys):
    for seed, name in enumerate(NAMES):
        clip(tmp_path / f"a/deep/Yes/{name}_nohash_0.wav", seed)
        clip(tmp_path / f"b/yes/{name}_nohash_0.wav", 100 + seed)  # the same name
        clip(tmp_path / f"b/no/{name}_nohash_1.flac", seed + 1)  # the samples of another
    clip(tmp_path / f"a/up/{KEPT[0]}_nohash_0.wav", 300, rate=8000)
    (tmp_path / f"a/up/{KEPT[1]}_nohash_0.wav").write_bytes(b"RIFF")

    def collect(*words):
        status = main([str(tmp_path / "out"), str(tmp_path / "a"), str(tmp_path / "b"), *words])
        return status, capsys.readouterr(), sorted((tmp_path / "out").rglob("*.*"))

    return collect


def test_nobody_of_a_test_and_every_sample_once(run, tmp_path):
    status, printed, found = run("--most", "1000")
    assert (status, "(not a clip) 2" in printed.out) == (0, True)
    assert {each.name.partition("_")[0] for each in found if each.parent.name == "yes"} == {*KEPT}
    samples = [soundfile.read(each, dtype="int16")[0].tobytes() for each in found]
    assert len({*samples}) == len(samples) == len(found)
    before = {each: each.stat().st_mtime_ns for each in found}
    assert {each: each.stat().st_mtime_ns for each in run("--most", "1000")[2]} == before
    assert len(run("--most", "5", "--without", str(tmp_path / "out"))[2]) == len(found)


def test_so_many_of_a_word_and_a_folder_without_clips(run, tmp_path):
    assert len([each for each in run("--most", "3")[2] if each.parent.name == "yes"]) == 3
    (tmp_path / "empty").mkdir()
    status, printed, _ = run("--without", str(tmp_path / "empty"))
    assert (status, str(tmp_path / "empty") in printed.err) == (2, True)

"""Long recordings with words in them, and the truth about where."""

import itertools
from collections import Counter

import numpy as np
import pytest
import soundfile
import torch

from kws.audio.recordings import write_audio
from kws.data.streams import make_streams, read_truth
from kws.errors import UsageError
from tests.conftest import data_beside


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Loud clips of two words and an other one, in all splits; a quiet hum."""
    folder = tmp_path_factory.mktemp("clips") / "words"
    speakers = ("c2d15ea5", "4a294341", "00000002")  # validation, training, testing
    for word, speaker, n in itertools.product(("ja", "nein", "other"), speakers, range(5)):
        write_audio(folder / word / f"{speaker}_nohash_{n}.wav", torch.full((8000,), 0.5))
    write_audio(folder / "_background_noise_" / "hum.wav", torch.full((40_000,), 0.01))
    return folder


@pytest.fixture(scope="module")
def made(clips, tmp_path_factory):
    return make_streams(
        tmp_path_factory.mktemp("streams") / "made",
        clips,
        words=("ja", "nein"),
        minutes=1.0,
        files=2,
        gap=2.0,
        split="validation",
    )


def test_the_words_are_where_the_truth_says(made):
    truth = read_truth(made)
    assert sorted(truth) == ["stream-00.flac", "stream-01.flac"]
    for name, spoken in truth.items():
        samples, rate = soundfile.read(made / name)
        assert len(samples) == 60 * rate == 60 * 16_000
        loud = abs(samples) > 0.02
        for each in spoken:
            low, high = round(each.start * rate), round(each.end * rate)
            assert high - low == 8000
            assert loud[low + 200 : high - 200].all() or abs(samples[low:high]).max() > 0.09
            loud[low - 9 : high + 9] = False  # times are rounded to milliseconds
        assert abs(samples[loud]).max(initial=0.0) <= 10 ** (-38 / 20) + 1e-3  # noise alone


def test_the_ratio_is_that_of_the_clip_to_the_noise_around_it_and_words_do_not_overlap(made):
    compared = []
    for name, spoken in read_truth(made).items():
        samples, rate = soundfile.read(made / name)
        for last, each in itertools.pairwise(spoken):
            low, high = round(each.start * rate), round(each.end * rate)
            before = samples[low - low % rate : low - 16]  # the noise; times are rounded
            if (last.end + 0.001) * rate > low - low % rate or len(before) < rate / 4:
                continue
            noise = np.square(before).mean()
            assert (each.ratio is None) == (noise == 0)
            if noise and high - low < rate - low % rate:
                ratio = 10 * np.log10(np.square(samples[low:high]).mean() / noise - 1)
                compared.append((each.ratio, ratio))
    assert compared
    assert all(ratio == pytest.approx(found, abs=1.5) for ratio, found in compared)
    for spoken in read_truth(made).values():
        gaps = [b.start - a.start for a, b in itertools.pairwise(spoken)]
        assert min(gaps) >= 1.5 - 1e-3
        assert {each.word for each in spoken} == {"ja", "nein", "other"}


def test_no_clip_comes_again_before_all_have_come(made):
    spoken = [each for inside in read_truth(made).values() for each in inside]
    assert all(each.clip.startswith(f"{each.word}/c2d15ea5_nohash_") for each in spoken)
    wanted = Counter(each.clip for each in spoken if each.word != "other")
    assert 5 < len(wanted) == min(10, wanted.total())
    assert set(wanted.values()) <= {wanted.total() // 10, -(-wanted.total() // 10)}


def test_the_seed_decides_and_a_folder_in_use_is_left_alone(clips, made, tmp_path):
    options = {"minutes": 1.0, "gap": 2.0, "split": "validation", "words": ("ja", "nein")}
    again = make_streams(tmp_path / "again", clips, files=2, **options)
    other = make_streams(tmp_path / "other", clips, seed=1, **options)
    name = "stream-00.flac"
    assert (again / name).read_bytes() == (made / name).read_bytes()
    assert (other / name).read_bytes() != (made / name).read_bytes()
    with pytest.raises(UsageError, match="something is there already"):
        make_streams(made, clips, words=("ja",))


@pytest.mark.parametrize("others", [0.0, 1.0])
def test_the_share_of_other_words(clips, tmp_path, others):
    folder = make_streams(
        tmp_path / "s", clips, words=("ja",), minutes=0.5, gap=1.0, others=others, split="training"
    )
    spoken = read_truth(folder)["stream-00.flac"]
    assert all((each.word != "ja") == bool(others) for each in spoken)


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"minutes": 0.0}, "minutes=0"),
        ({"files": 0}, "files=0"),
        ({"others": 1.5}, "others=1.5"),
        ({"words": ("jo",)}, "no testing clips of jo"),
        ({"words": ("ja", "nein", "other")}, "set --others 0"),
    ],
)
def test_what_cannot_be_made_is_told(clips, tmp_path, changes, messages):
    options = {"words": ("ja",), "minutes": 0.5, **changes}
    with pytest.raises(UsageError, match=messages):
        make_streams(tmp_path / "s", clips, **options)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(("rows", "messages"), data_beside(__file__)["wrong_truths"])
def test_a_missing_or_wrong_truth_is_refused(tmp_path, rows, messages):
    if rows:
        (tmp_path / "truth.csv").write_text(rows)
    with pytest.raises(UsageError, match=rf"truth\.csv: .*{messages}"):
        read_truth(tmp_path)

"""Recordings of a word; a file stands for the microphone, by the same `read`."""

import importlib.util

import numpy as np
import pytest
import torch

from kws.audio import read_audio
from kws.errors import UsageError
from kws.inference.microphone import (
    loudest_second,
    next_name,
    open_microphone,
    record_noise,
    record_takes,
)


class Played:
    """Samples with the `read` of sounddevice's InputStream."""

    def __init__(self, *parts: np.ndarray, rate: int = 16_000):
        self.samplerate, self.left = float(rate), np.concatenate(parts)

    def read(self, frames, /):
        found, self.left = self.left[:frames], self.left[frames:]
        return found[:, None].astype(np.float32), False


def spoken(level: float = 0.5) -> np.ndarray:
    """Two seconds, of which the part from 0.6 to 1.1 is loud."""
    samples = np.zeros(32_000)
    samples[9600:17_600] = level
    return samples


def test_takes_are_cut_to_the_loudest_second_and_numbered_on(tmp_path):
    said: list[str] = []
    record_takes(Played(spoken(), spoken()), "licht an", tmp_path, count=2, say=said.append)
    more = record_takes(Played(spoken()), "licht an", tmp_path, count=1, say=said.append)
    assert [path.name[-5] for path in sorted((tmp_path / "licht an").iterdir())] == ["0", "1", "2"]
    waveform = read_audio(more[0])
    assert len(waveform) == 16_000
    assert int((waveform > 0.4).sum()) == 8000
    assert said[0] == "say 'licht an' now (1 of 2)"


def test_a_silent_take_is_asked_for_again_and_nothing_is_lost(tmp_path):
    said: list[str] = []
    silent = np.zeros(32_000)
    record_takes(Played(spoken(), silent, spoken()), "ja", tmp_path, count=2, say=said.append)
    assert sum("that was silent" in line for line in said) == 1
    with pytest.raises(UsageError, match="gives silence, 1 of 3 recordings are written"):
        record_takes(
            Played(spoken(), silent, silent, silent), "ja", tmp_path, count=3, say=said.append
        )
    assert len(list((tmp_path / "ja").iterdir())) == 3


def test_a_microphone_that_ends_is_told(tmp_path):
    short = Played(spoken(), np.zeros(900))
    with pytest.raises(UsageError, match="the microphone ended, 1 recordings are written"):
        record_takes(short, "ja", tmp_path, count=2, say=lambda line: None)


def test_the_speaker_is_in_the_name_as_a_hash(tmp_path):
    names = {next_name(tmp_path, speaker).name for speaker in ("ada", "bob")}
    assert len(names) == 2
    assert not any("ada" in name or "bob" in name for name in names)


def test_noise_of_the_room_is_kept_whole(tmp_path):
    path = record_noise(Played(spoken()), tmp_path, seconds=2.0, say=lambda line: None)
    assert path == tmp_path / "_background_noise_" / "room_0.wav"
    assert len(read_audio(path)) == 32_000


def test_the_loudest_second_may_be_the_first_or_the_last():
    for start in (0, 1600):
        waveform = torch.zeros(17_600)
        waveform[start : start + 16_000] = 0.5
        assert torch.equal(loudest_second(waveform), waveform[start : start + 16_000])


def test_what_is_missing_for_a_microphone_is_told():
    if importlib.util.find_spec("sounddevice"):
        pytest.skip("sounddevice is installed here")
    with pytest.raises(UsageError, match=r"pip install 'kws\[microphone\]', or give a file"):
        open_microphone().__enter__()

"""Recordings of a word; a file stands for the microphone, by the same `read`."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest

from kws.audio.recordings import read_audio
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
    output: list[str] = []
    record_takes(Played(spoken(), spoken()), "licht an", tmp_path, count=2, say=output.append)
    more = record_takes(Played(spoken()), "licht an", tmp_path, count=1, say=output.append)
    assert [path.name[-5] for path in sorted((tmp_path / "licht an").iterdir())] == ["0", "1", "2"]
    waveform = read_audio(more[0])
    assert len(waveform) == 16_000
    assert int((waveform > 0.4).sum()) == 8000
    assert output[0] == "say 'licht an' now (1 of 2)"


def test_a_silent_take_is_asked_for_again_and_nothing_is_lost(tmp_path):
    output: list[str] = []
    silent = np.zeros(32_000)
    record_takes(Played(spoken(), silent, spoken()), "ja", tmp_path, count=2, say=output.append)
    assert sum("that was silent" in line for line in output) == 1
    with pytest.raises(UsageError, match="gives silence, 1 of 3 recordings are written"):
        record_takes(
            Played(spoken(), silent, silent, silent), "ja", tmp_path, count=3, say=output.append
        )
    assert len(list((tmp_path / "ja").iterdir())) == 3


def test_a_microphone_that_ends_is_told_and_the_speaker_is_named_by_a_hash(tmp_path):
    short = Played(spoken(), np.zeros(900))
    with pytest.raises(UsageError, match="the microphone ended, 1 recordings are written"):
        record_takes(short, "ja", tmp_path, count=2, say=lambda line: None)
    names = {next_name(tmp_path, speaker).name for speaker in ("ada", "bob")}
    assert len(names) == 2
    assert not any("ada" in name or "bob" in name for name in names)


def test_noise_of_the_room_is_kept_whole_and_of_a_take_the_loudest_second(tmp_path):
    path = record_noise(Played(spoken()), tmp_path, seconds=2.0, say=lambda line: None)
    assert path == tmp_path / "_background_noise_" / "room_0.wav"
    assert len(read_audio(path)) == 32_000
    for start in (0, 1600):
        waveform = np.zeros(17_600)
        waveform[start : start + 16_000] = 0.5
        assert (loudest_second(waveform) == 0.5).all()


@pytest.fixture
def sounddevice(monkeypatch):
    """Stands for the package: `opens(rate, channels)` may refuse with its error, as PortAudio does.

    The sentences are those of sounddevice 0.5 on a machine without a microphone.
    """
    module = ModuleType("sounddevice")
    module.__spec__ = ModuleSpec("sounddevice", None)
    module.PortAudioError = type("PortAudioError", (Exception,), {})
    module.devices = [{"name": "desk", "default_samplerate": 44_100.0, "max_input_channels": 2}]
    module.opened = []

    def query_devices(device, kind):
        assert kind == "input"
        if not module.devices:
            raise module.PortAudioError("Error querying device -1")
        if device not in (None, "desk"):
            raise ValueError(f"No input device matching {device!r}")
        return module.devices[0]

    class InputStream(Played):
        def __init__(self, *, samplerate, channels, dtype, device):
            module.refuse(samplerate, channels)
            super().__init__(spoken(), rate=samplerate)
            module.opened.append((samplerate, channels, dtype))

        def start(self):
            module.opened.append(("started", "kws.audio.resampling" in sys.modules))

        def close(self):
            module.opened.append("closed")

    module.query_devices, module.InputStream = query_devices, InputStream
    module.refuse = lambda rate, channels: None
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_a_refused_or_missing_microphone_is_told(sounddevice):
    def refuse(rate, channels):
        raise sounddevice.PortAudioError("Error opening InputStream: Device unavailable")

    sounddevice.refuse = refuse
    with pytest.raises(UsageError, match=r"'desk' cannot be opened .*unavailable.*may use it"):
        open_microphone().__enter__()
    with pytest.raises(UsageError, match=r"'attic': not found here .*No input device.*give a file"):
        open_microphone("attic").__enter__()
    sounddevice.devices = []
    with pytest.raises(UsageError, match=r"no microphone: not found here \(Error querying.*check"):
        open_microphone().__enter__()


def test_a_microphone_has_its_own_rate_where_it_insists_and_is_closed_when_pulled_out(
    sounddevice, monkeypatch
):
    monkeypatch.delitem(sys.modules, "kws.audio.resampling", raising=False)

    def refuse(rate, channels):
        if (rate, channels) != (44_100, 2):
            raise sounddevice.PortAudioError("Error opening InputStream: Invalid sample rate")

    sounddevice.refuse = refuse
    with open_microphone() as microphone:
        assert microphone.samplerate == 44_100
    assert sounddevice.opened == [(44_100, 2, "float32"), ("started", True), "closed"]
    stopped = pytest.raises(UsageError, match=r"the microphone stopped \(unplugged\): check it")
    with stopped, open_microphone():
        raise sounddevice.PortAudioError("unplugged")
    assert sounddevice.opened[-1] == "closed"


def test_what_is_missing_for_a_microphone_is_told():
    if importlib.util.find_spec("sounddevice"):
        pytest.skip("sounddevice is installed here")
    with pytest.raises(
        UsageError, match=r"pip install '\.\[microphone\]' in the folder of kws, or"
    ):
        open_microphone().__enter__()

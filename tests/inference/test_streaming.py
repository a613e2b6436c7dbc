"""A stream is read like a recording: features, windows, posteriors, events; memory stays put."""

import gc
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from kws.audio.normalize import Normalizer
from kws.data.audio_blocks import live_blocks
from kws.errors import UsageError
from kws.inference.detector import Trigger
from kws.inference.streaming import FrameStream, ListeningTime, listen, posteriors
from kws.inference.torch_stream import TorchStream
from kws.training.checkpoint import Trained
from kws.training.recipe import Augment, Features, compute_features, load_recipe

# Frames are computed in other blocks than the whole recording: float32 rounding of the filters.
ROUNDING = 1e-4
LABELS = ("_silence_", "_unknown_", "loud")


class Loud(nn.Module):
    """Says "loud" where the features are, silence where not."""

    def forward(self, features, valid=None):
        level = features.exp().mean((1, 2))
        return torch.stack([-level, torch.full_like(level, -99.0), level], dim=1)


def trained(task: str = "keywords", kind: str = "log_mel") -> Trained:
    recipe = load_recipe("speakers" if task == "speakers" else "keywords")
    if kind != "log_mel":
        recipe = load_recipe("keywords-ast")
    return Trained(
        model=Loud(),
        recipe=recipe,
        labels=LABELS,
        protocol="own:loud",
        normalizer=Normalizer(kind="none"),
        step=1,
    )


def model() -> TorchStream:
    return TorchStream(trained())


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(0).random(n, dtype=np.float32) - np.float32(0.5)


def zeros(n: int) -> np.ndarray:
    return np.zeros(n, np.float32)


def pieces(waveform: np.ndarray, *cuts: int) -> list[np.ndarray]:
    edges = [0, *cuts, len(waveform)]
    return [waveform[a:b] for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
@pytest.mark.parametrize("cuts", [(), (5, 200, 201, 1600, 1601, 9000), range(160, 14_000, 160)])
def test_the_features_of_a_stream_equal_those_of_the_whole(kind, cuts):
    config, waveform = Features(kind=kind), noise(14_007)
    whole = trained()
    recipe = replace(whole.recipe, features=config, augment=Augment())
    stream = FrameStream(TorchStream(replace(whole, recipe=recipe)))
    found = [stream.push(piece) for piece in pieces(waveform, *cuts)] + [stream.finish()]
    expected = compute_features(config, torch.from_numpy(waveform)[None])[0].numpy()
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=0, atol=ROUNDING)


def test_no_frame_waits_for_more_than_it_needs():
    stream = FrameStream(model())
    assert len(stream.push(noise(360))) == 2  # frame 1 is centered on sample 160: it ends at 360
    assert len(stream.push(noise(159))) == 0
    assert len(stream.push(noise(1))) == 1
    short = FrameStream(model())
    assert len(short.push(noise(200))) == len(short.finish()) == 0, "less than half a frame"


def test_posteriors_are_those_of_the_windows_of_the_whole():
    whole, waveform = trained(), noise(32_000)
    mel = compute_features(whole.recipe.features, torch.from_numpy(waveform)[None])[0]
    found = list(posteriors(model(), pieces(waveform, 7, 9000, 20_000), hop_ms=200))
    assert [seconds for seconds, _ in found] == [1.0, 1.2, 1.4, 1.6, 1.8, 2.0]
    for seconds, row in found:
        start = round(100 * seconds) - 100
        expected = whole.logits(mel[None, start : start + 101])[0].softmax(0).numpy()
        np.testing.assert_allclose(row, expected, rtol=0, atol=ROUNDING)


def test_a_loud_second_is_heard_once_and_when_it_was():
    quiet = zeros(48_000)
    stream = [quiet, 2 * noise(16_000), quiet]
    spent = ListeningTime()
    trigger = Trigger(in_a_row=2, refractory_ms=2500)
    events = list(listen(model(), stream, trigger, spent=spent))
    assert [event.word for event in events] == ["loud"]
    assert 3.0 < events[0].time < 4.5
    assert spent.seconds == 7.0, "what is there, without the silence that is added"
    assert spent.busy > 0


def test_the_last_word_is_decided_in_a_second_of_silence():
    spent, trigger = ListeningTime(), Trigger(in_a_row=8)
    stream = [zeros(16_000), 2 * noise(4_000)]  # four windows, of which three are loud
    assert [event.word for event in listen(model(), stream, trigger, spent=spent)] == ["loud"]
    assert spent.seconds == 1.25, "the silence was not there"


def held_now() -> tuple[int, int]:
    """How many objects there are, and how many numbers in arrays."""
    gc.collect()
    found = gc.get_objects()
    return len(found), sum(each.size for each in found if type(each) is np.ndarray)


def test_a_listener_holds_as_much_after_a_minute_as_after_seconds():
    sizes = []

    def blocks():
        for second in range(60):
            if second in (5, 59):
                sizes.append(held_now())
            yield noise(16_000)

    trigger = Trigger(in_a_row=1, refractory_ms=0, smooth_ms=2000)
    assert sum(1 for _ in listen(model(), blocks(), trigger)) > 500, "it has much to forget"
    (objects, numbers), (objects_later, numbers_later) = sizes
    assert numbers_later == numbers
    assert objects_later < objects + 50, "of 540 windows and events none is kept"


def test_models_that_cannot_listen_are_told():
    with pytest.raises(UsageError, match="this is a speaker model, not a keyword model"):
        TorchStream(trained("speakers"))
    with pytest.raises(UsageError, match="reads waveforms"):
        TorchStream(trained(kind="waveform"))
    other = trained()
    for change, named in (({"hop": 410}, "hop=410"), ({"deltas": 1}, "deltas=1")):
        features = replace(other.recipe.features, **change)
        recipe = replace(other.recipe, features=features, augment=Augment())
        with pytest.raises(UsageError, match=rf"features\.{named}"):
            TorchStream(replace(other, recipe=recipe))


class SlowMicrophone:
    """A microphone and a model that takes longer than a hop: the clock is what both say it is."""

    samplerate = 16_000.0

    def __init__(self, sound: np.ndarray):
        self.sound, self.read_until, self.now = sound, 0, 0  # samples

    @property
    def read_available(self) -> int:
        return min(self.now, len(self.sound)) - self.read_until

    def read(self, frames: int, /) -> tuple[np.ndarray, bool]:
        block = self.sound[self.read_until : self.read_until + frames]
        self.read_until += len(block)
        self.now = max(self.now, self.read_until)  # it waits for what is not there yet
        return block[:, None], False


@pytest.mark.parametrize("delay", [1000, 5600, 9600])  # samples that a window takes: up to 600 ms
def test_who_is_late_hears_the_same_words_in_the_newest_windows(delay, monkeypatch):
    sound = np.concatenate([zeros(32_000), 2 * noise(32_000), zeros(32_000)])
    slow, microphone = model(), SlowMicrophone(sound)
    read = []

    def classify(windows):
        microphone.now += delay * len(windows)
        read.append(len(windows))
        return TorchStream.classify(slow, windows)

    monkeypatch.setattr(slow, "classify", classify)
    trigger = Trigger(in_a_row=7, refractory_ms=3000)  # 600 ms, whatever the number of windows
    waits = []

    def blocks():
        for block in live_blocks(microphone):
            waits.append(microphone.now - microphone.read_until)
            yield block

    events = list(listen(slow, blocks(), trigger, newest=True))
    assert [event.word for event in events] == ["loud"]
    (in_time,) = listen(model(), [sound], trigger)
    assert abs(events[0].time - in_time.time) <= delay / 16_000
    assert set(read) == {1}, "one window a block, the newest"
    assert max(waits) <= delay, "the delay does not grow"

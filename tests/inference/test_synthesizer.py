"""A text becomes a waveform; the model is trained once."""

import pytest
import torch

from kws.cli import run
from kws.data.protocols import V2_WORDS
from kws.errors import UsageError
from kws.inference import synthesizer as module
from kws.inference.listener import listener, recognize
from kws.inference.synthesizer import Synthesizer, synthesizer
from kws.training import voice_run

QUICK = ("data.spoken=4", "train.total_steps=2", "train.batch_size=2", "train.warmup_steps=1")


@pytest.fixture(scope="module")
def quick() -> Synthesizer:
    """It has learned nothing, but for the durations: some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voice_run, "HELD_OUT", 2)
        return synthesizer(QUICK, progress=False)


def test_it_is_trained_once(quick, monkeypatch):
    monkeypatch.setattr(module, "begin", None)
    module.synthesizer.cache_clear()
    again = synthesizer(QUICK, progress=False)
    assert again is not quick
    torch.testing.assert_close(again.say("up"), quick.say("up"), rtol=0, atol=0)


def test_a_slower_pace_is_longer_and_the_level_is_known(quick):
    usual, slower = quick.say("seven three"), quick.say("seven three", pace=2.0)
    assert len(slower) > 1.5 * len(usual)
    assert usual.abs().max() == pytest.approx(0.9)
    for text, pace, why in (("up", 0.0, "pace"), ("up", 9.0, "pace"), ("a " * 700, 1.0, "long")):
        with pytest.raises(UsageError, match=why):
            quick.say(text, pace)


def test_say_writes_a_recording(quick, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "synthesizer", lambda **_: quick)
    out = tmp_path / "x.wav"
    assert run(["say", "seven three", "--out", str(out)]) == 0
    assert out.stat().st_size > 3_000
    assert "x.wav" in capsys.readouterr().out
    for wrong, why in ((["", "--out", "x.wav"], "empty"), (["up", "--out", "x.mp3"], "x.wav")):
        assert run(["say", *wrong]) == 2
        assert why in capsys.readouterr().err


@pytest.mark.slow
def test_the_listener_understands_words_that_were_in_no_training():
    voice = synthesizer(progress=False)
    words = recognize(listener(progress=False), [voice.say(word) for word in V2_WORDS])
    assert sum(map(str.__eq__, words, V2_WORDS)) >= 30

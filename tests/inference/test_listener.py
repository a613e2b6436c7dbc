"""The judge of synthetic speech: trained once, found again, and hard of hearing to nothing else."""

from dataclasses import replace

import pytest
import torch

from kws.data.protocols import V2_WORDS
from kws.inference import listener as module
from kws.inference.listener import SETTINGS, as_clips, listener, recognize, train_listener
from kws.training.recipe import Model, Train

QUICK = replace(SETTINGS, model=Model(name="ds-cnn"), train=Train(total_steps=2, batch_size=4))


@pytest.fixture(scope="module")
def quick(tiny_corpus):
    """A listener that has learned nothing."""
    return train_listener(tiny_corpus, QUICK, progress=False)


def test_it_is_trained_once_for_the_same_corpus_and_settings(quick, tiny_corpus, monkeypatch):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(module, "fit", never)
    again = train_listener(tiny_corpus, QUICK, progress=False)
    assert again.path == quick.path
    assert again.labels == V2_WORDS
    with pytest.raises(AssertionError, match="trained again"):
        train_listener(tiny_corpus, replace(QUICK, train=Train(total_steps=3)), progress=False)


def test_one_word_for_each_waveform_of_which_no_training_is_kept(quick):
    waves = [torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (1, 9_000, 30_000)]
    words = recognize(quick, waves)
    assert len(words) == 3
    assert set(words) <= set(V2_WORDS)
    assert recognize(quick, []) == []
    assert sorted(path.name for path in quick.path.parent.iterdir()) == ["best.pt", "listener.json"]


def test_a_waveform_is_heard_alike_however_loud_long_and_surrounded_by_silence():
    wave = torch.randn(8_000, generator=torch.Generator().manual_seed(1))
    clips = as_clips([wave])
    assert clips.shape == (1, 16_000)
    torch.testing.assert_close(as_clips([wave / 50]), clips)
    torch.testing.assert_close(as_clips([torch.nn.functional.pad(wave, (300, 300))]), clips)
    # noise of that floor is added: five of its standard deviations
    assert clips.abs().max() == pytest.approx(module.LOUDNESS, abs=5 * module.FLOOR)
    wave = torch.zeros(20_000)
    wave[10_000] = 1.0
    assert as_clips([wave])[0].argmax() == 8_000
    assert 0 < as_clips([torch.zeros(5)]).abs().max() < 10 * module.FLOOR


@pytest.mark.slow
def test_the_listener_understands_the_words_of_new_voices():
    from kws.data.speech_commands import load_speech_commands
    from kws.files import cache_dir

    judge = listener(progress=False)
    split = load_speech_commands(cache_dir() / "course-words", "embedded-35", "testing")
    waves = split.waveforms(torch.arange(len(split)))
    words = recognize(judge, list(waves))
    names = [split.label_names[int(label)] for label in split.labels]
    assert sum(map(str.__eq__, words, names)) >= 0.95 * len(names)

"""A voice, a codec and a prior from the command line; bad input in a sentence."""

import json
import signal

import pytest

from kws.training.history import read_history
from kws.training.prior_run import PriorObjective

SHORT = ["--set", "train.total_steps=2", "--set", "data.spoken=4", "--set", "train.batch_size=4"]
TINY = [*SHORT, "--set", "model.d_model=4", "--set", "model.d_ff=4"]


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """A voice of two steps, trained by command."""
    from kws.cli import run as command

    out = tmp_path_factory.mktemp("runs") / "voice"
    assert command(["train", "text-to-speech", "--out", str(out), *TINY]) == 0
    return out


def test_a_voice_is_trained_and_says_a_text(kws, voice, tmp_path):
    output = kws("say", "seven three", "--run", voice, "--out", tmp_path / "x.wav")
    assert output.code == 0, output.err
    assert (tmp_path / "x.wav").stat().st_size > 1000
    assert (voice / "curves.png").is_file()
    assert {"validation_loss", "duration_error"} <= read_history(voice).best.keys()
    kws("say", "naïve", "--run", voice, "--out", tmp_path / "y.wav").sentence("'ï'")
    kws("say", "hm", "--run", tmp_path, "--out", tmp_path / "y.wav").sentence("no best.pt")
    prior = ["train", "code-prior", "--init", voice, "--out", tmp_path / "run"]
    kws(*prior).sentence("does not contain a codec")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["train", "codec", "--data", "x"], ["--data does not apply to codec"]),
        (["train", "codec", "--words", "ja,nein"], ["--words"]),
        (["train", "text-to-speech", "--init", "x"], ["--init does not apply to text-to-speech"]),
        (["train", "code-prior"], ["--init", "kws train codec"]),
        (["train", "speakers", "--data", "x", "--partial"], ["--partial does not apply to speak"]),
        (["train", "speakers", "--data", "x", "--words", "ja,nein"], ["--words does not apply"]),
        (["train", "codec", "--set", "model.num_codes=1"], ["num_codes=1 encodes nothing"]),
        (["train", "keywords"], ["--data is missing"]),
        (["train", "text-to-speech", "--set", "data.spoken=0"], ["data.spoken"]),
    ],
)
def test_a_training_that_lacks_something_is_one_sentence(kws, tmp_path, options, names):
    kws(*options, "--out", tmp_path / "run").sentence(*names)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_codes_are_learned_and_measured(kws, tmp_path, monkeypatch):
    codec, prior = tmp_path / "codec", tmp_path / "prior"
    assert kws("train", "codec", "--out", codec, *SHORT).code == 0
    draw = PriorObjective.batch

    def interrupted(objective, rows, step):
        signal.raise_signal(signal.SIGINT)
        return draw(objective, rows, step)

    monkeypatch.setattr(PriorObjective, "batch", interrupted)
    stopped = kws("train", "code-prior", "--init", codec, "--out", prior, *TINY)
    assert stopped.code == 130
    assert f"--out {prior} --device cpu --init {codec} --set" in stopped.err
    assert stopped.err.endswith("--resume\n")
    monkeypatch.undo()
    again = kws("train", "code-prior", "--out", prior, *TINY, "--resume")
    assert again.code == 0, again.err
    assert "best validation perplexity of a code: " in again.out
    for run, line in ((codec, " of 128 codes in use, perplexity "), (prior, "the codes before it")):
        measured = kws("evaluate", run)
        assert measured.code == 0, measured.err
        assert line in measured.out
        assert json.loads((run / "figures-testing.json").read_text())["step"] == 2

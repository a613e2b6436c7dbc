"""`kws listen`, `kws data stream`, `kws evaluate --stream`, `kws train --words`, as typed."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from kws.audio.recordings import write_audio
from kws.training.checkpoint import load_model

EAGER = "threshold=0.05,in_a_row=1,smooth_ms=100,refractory_ms=100"


@pytest.fixture
def noisy(tmp_path):
    """Three seconds of noise."""
    generator = torch.Generator().manual_seed(0)
    write_audio(tmp_path / "noise.wav", torch.rand(48_000, generator=generator) - 0.5)
    return tmp_path / "noise.wav"


def test_listen_prints_a_line_an_event_and_its_speed_and_reads_a_pipe(
    kws, keyword_run, noisy, monkeypatch
):
    done = kws("listen", keyword_run, noisy, "--trigger", EAGER)
    assert done.code == 0
    assert len(done.out.splitlines()) > 3
    assert "real-time factor" in done.err
    rows = kws("listen", keyword_run, noisy, "--trigger", EAGER, "--json").out.splitlines()
    events = [json.loads(row) for row in rows]
    assert len(events) == len(done.out.splitlines())
    assert events[0].keys() == {"time", "word", "score"}
    assert all(event["word"] in load_model(keyword_run).labels for event in events)
    raw = SimpleNamespace(buffer=noisy.open("rb"))
    raw.buffer.seek(44)
    monkeypatch.setattr(sys, "stdin", raw)
    assert kws("listen", keyword_run, "-", "--trigger", EAGER).out == done.out
    assert kws("listen", keyword_run, "-").sentence("the pipe gave no samples"), "it is at its end"
    raw.buffer.close()
    unheard = kws("listen", keyword_run, noisy, "--json")
    assert (unheard.code, unheard.out) == (0, "")
    assert "no word reached the threshold, 0.7, for long enough: the highest" in unheard.err


def test_listen_tells_what_is_wrong(kws, keyword_run, noisy):
    kws("listen", keyword_run).sentence(keyword_run, "--microphone")
    kws("listen", noisy, noisy).sentence(noisy, "one FILE")
    kws("listen", keyword_run, noisy, "--microphone").sentence("--microphone")
    kws("listen", keyword_run, "none.wav").sentence("none.wav")
    kws("listen", keyword_run, noisy, "--trigger", "treshold=1").sentence("threshold")


def test_a_stream_is_made_and_evaluated(kws, good_words, run_of, tmp_path):
    folder, run = tmp_path / "long", run_of("keywords")
    made = kws("data", "stream", folder, "--data", good_words, "--minutes", "0.4", "--gap", "1")
    assert made.code == 0, made.err
    assert "different clips), " in made.out
    command = ("evaluate", run, "--stream", "--data", folder, "--trigger", EAGER)
    done = kws(*command, "--speech", good_words / "yes")
    assert done.code == 0, done.err
    for text in ("missed", "false alarms", "per 1,000", "continuous speech: ", "times real time"):
        assert text in done.out
    written = json.loads((run / "evaluation-stream.json").read_text())
    assert written["all"]["missed"]["n"] > 0
    assert written["trigger"]["threshold"] == 0.05
    assert written["all"]["continuous_speech"]["hours"] > 0
    assert all((run / name).stat().st_size > 1000 for name in ("det.png", "noise.png"))


def test_your_own_words_are_trained(kws, tmp_path, good_words):
    out = tmp_path / "run"
    small = ["--set", "train.total_steps=1", "--set", "train.batch_size=8"]
    assert len(list(good_words.glob("*_list.txt"))) == 2
    done = kws("train", "keywords", "--data", good_words, "--words", "yes,no", "--out", out, *small)
    assert done.code == 0, done.err
    assert load_model(out).labels == ("_silence_", "_unknown_", "yes", "no")
    for words, names in (
        ("yes,jo", ["no recordings of jo"]),
        ("yes no", ["commas separate words", "--words yes,no"]),
        ("a/b", ["'a/b' cannot name"]),
    ):
        refused = kws("train", "keywords", "--data", good_words, "--words", words, "--out", "b")
        refused.sentence(*names)


def test_few_clips_choose_no_weights_and_other_words_are_all_there(kws, tmp_path, good_words):
    small = ["--set", "train.total_steps=2", "--set", "train.validate_every=1"]
    small += ["--set", "train.ema=0", "--set", "train.lr=0"]  # each step is as good as the first
    command = ["train", "keywords", "--data", good_words, "--words", "yes,no", *small]
    done = kws(*command, "--out", tmp_path / "run")
    assert "unknown: all other words" in done.out
    assert "note: the last weights count" in done.out
    assert done.out.splitlines()[-1].endswith("best.pt is of step 2, last.pt of step 2")
    final = kws(*command, "--set", "data.unknown=2", "--final", "--out", tmp_path / "final")
    assert "training: 14 clips" in final.out, "of four speakers, two silences, and two others"
    assert "note: trained on every clip: nothing is held out" in final.out
    kws("train", "speakers", "--data", good_words, "--out", tmp_path / "x", "--final").sentence(
        "--final does not apply to speakers"
    )


def test_the_last_layer_alone_is_trained_on_the_model_of_kws(kws, tmp_path, good_words):
    command = ["train", "keywords", "--data", good_words, "--words", "yes,no", "--head-only"]
    done = kws(*command, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "best.pt is keywords with a new last layer, of " in done.out
    assert "taken for one of the words: " in done.out
    run, shipped = load_model(tmp_path / "run"), load_model("keywords")
    assert run.labels == ("_silence_", "_unknown_", "yes", "no")
    body = shipped.model.model.state_dict()
    own = run.model.state_dict()
    changed = {name for name in own if not own[name].equal(body[name])}
    assert changed == {"classify.logits.weight", "classify.logits.bias"}
    measured = kws("evaluate", tmp_path / "run", "--data", good_words).out.splitlines()
    assert {line for line in measured if line.startswith(("accuracy", "silence and"))} <= {
        *done.out.splitlines()
    }
    final = kws(*command, "--final", "--out", tmp_path / "final")
    assert "accuracy" not in final.out.partition("new last layer")[2], "nothing is held out"
    kws(*command, "--out", tmp_path / "y", "--resume").sentence("--resume does not apply")
    kws(*command, "--out", tmp_path / "y", "--set", "model.dropout=0.1").sentence(
        "model.dropout=0.1: --head-only keeps the model of keywords"
    )

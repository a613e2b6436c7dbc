"""Speech to text from the command line: trained, measured, transcribed; bad input in a sentence."""

import json

import pytest
import torch

from kws.audio.recordings import write_audio

SMALL = [
    "model.d_model=8", "model.num_heads=2", "model.channels=2", "model.d_ff=8",
    "features.n_mels=8", "train.total_steps=2", "train.batch_size=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(transcripts, tmp_path_factory):
    """A recognizer of two steps, trained by command."""
    from kws.cli import run as command

    out = tmp_path_factory.mktemp("runs") / "texts"
    settings = [word for setting in SMALL for word in ("--set", setting)]
    code = command(
        ["train", "speech-to-text", "--data", str(transcripts), "--out", str(out), *settings]
    )
    assert code == 0
    return out


def test_a_run_is_measured_by_words(kws, run, transcripts):
    done = kws("evaluate", run, "--data", transcripts, "--beam", 2, "--ctc-weight", 0.3)
    assert done.code == 0, done.err
    assert "speech-transformer, step 2, testing, beam of 2, CTC weight 0.3" in done.out
    assert " of 3 words in 2 utterances, 95 % interval " in done.out
    table = json.loads((run / "transcripts-testing.json").read_text())
    assert table["substitutions"] + table["deletions"] + table["insertions"] == round(
        table["rate"] * 3
    )
    assert [line["said"] for line in table["utterances_written"]] == ["on no", "no"]
    assert (run / "curves.png").is_file()


def test_recordings_are_transcribed_in_the_order_given(kws, run, transcripts):
    files = [transcripts / "testing1.wav", transcripts / "testing0.wav"]
    done = kws("transcribe", *files, "--model", run, "--json")
    assert done.code == 0, done.err
    assert list(json.loads(done.out)) == [str(file) for file in files]
    lines = kws("transcribe", *files, "--model", run).out.splitlines()
    assert [line.split()[0] for line in lines] == [str(file) for file in files]


def test_what_does_not_fit_is_one_sentence(kws, run, transcripts, tmp_path):
    short = tmp_path / "short.wav"
    write_audio(short, torch.zeros(20))
    kws("transcribe", short, "--model", run).sentence(short, "20 samples")
    for option, value, fact in (
        ("--beam", 0, "a beam of width 0"),
        ("--ctc-weight", 2, "a CTC weight of 2.0"),
    ):
        file = transcripts / "testing0.wav"
        kws("transcribe", file, "--model", run, option, value).sentence(fact)
    again = kws("train", "speech-to-text", "--data", transcripts, "--out", run)
    again.sentence("contains a run already")
    words = kws(
        "train", "speech-to-text", "--data", transcripts, "--out", "x", "--words", "ja,nein"
    )
    words.sentence("--words does not apply to speech-to-text")

"""`kws evaluate`, `predict`, `export`, `plot`: what they print and write, and what they refuse."""

import dataclasses
import json

import pytest
import torch

from kws.audio.recordings import write_audio
from kws.data.protocols import PROTOCOLS
from kws.training.checkpoint import Trained, save_checkpoint
from kws.training.history import History
from tests.conftest import state_of

TWELVE = PROTOCOLS["embedded-12"].labels
STEPS, LOSSES, ACCURACIES = (3, 6), (1.5, 0.5), (0.5, 0.9)


def save_run(folder, trained: Trained, says: str | None = None):
    """A run folder with a history; its model gives every example the label that it `says`."""
    if says:
        trained = dataclasses.replace(trained)
        bias = trained.model.get_parameter("classify.bias")
        bias.data[trained.labels.index(says)] += 100
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder / "best.pt", state_of(trained))
    names = ("step", "epoch", "lr", "train_loss", "validation_loss", "validation_accuracy")
    rows = [
        dict(zip(names, (step, step / 3, 1e-3, loss, loss, share), strict=True))
        for step, loss, share in zip(STEPS, LOSSES, ACCURACIES, strict=True)
    ]
    History(rows=[row | {"validation_n": 9} for row in rows]).save(folder / "history.jsonl")
    return folder


@pytest.fixture
def run(untrained, tmp_path):
    """A keyword model that hears "stop" in everything."""
    trained = untrained("data.protocol=embedded-12", labels=TWELVE)
    return save_run(tmp_path / "run", trained, says="stop")


@pytest.fixture
def speakers(untrained, tiny_speakers, tmp_path):
    mapping = json.loads((tiny_speakers / "mapping.json").read_text())
    return save_run(
        tmp_path / "run", untrained("data.task=speakers", labels=tuple(mapping["speaker2id"]))
    )


@pytest.fixture
def clips(tmp_path):
    """A folder with two clips of half a second."""
    for name in ("clip_b.wav", "clip_a.wav"):
        write_audio(tmp_path / "audio" / name, 0.1 * torch.randn(8_000))
    return tmp_path / "audio"


class TestEvaluate:
    def test_accuracy_comes_with_n_interval_protocol_and_silence(self, kws, run, tiny_corpus):
        outcome = kws("evaluate", run / "best.pt", "--data", tiny_corpus)
        lines = outcome.out.splitlines()
        assert [line.split()[0] for line in lines[: lines.index("")]] == ["class", *TWELVE]
        stop = next(line for line in lines if line.startswith("stop")).split()
        assert stop[1] == "100.0"
        assert stop[3] != "100.0"
        assert next(line for line in lines if line.startswith("go")).split()[1:4:2] == ["0.0", "–"]
        found = json.loads((run / "evaluation-testing.json").read_text())["clips"]
        share, low, high = (100 * found[key] for key in ("accuracy", "low", "high"))
        assert outcome.code == 0
        others = found["confusion"][:2]
        taken, n = sum(sum(row[2:]) for row in others), sum(map(sum, others))
        assert lines[-4] == (
            f"accuracy {share:.1f} % (n={found['n']}, 95 % interval {low:.1f}–{high:.1f}, "
            "protocol embedded-12, test silence: noise)"
        )
        begin = "silence and other words taken for one of the words: "
        assert lines[-2].startswith(f"{begin}{100 * taken / n:.1f} % (n={n}, ")
        names = ("evaluation-testing.json", "confusion.png", "recall.png")
        written = [run / name for name in names]
        assert lines[-1] == f"written: {', '.join(map(str, written))}"
        assert all(path.stat().st_size > 100 for path in written)

    def test_silence_and_split_are_chosen(self, kws, run, tiny_corpus):
        options = ["--split", "validation", "--test-silence", "zeros"]
        outcome = kws("evaluate", run, "--data", tiny_corpus, *options)
        assert "test silence: zeros)" in outcome.out
        assert (run / "evaluation-validation.json").exists()

    def test_speakers_get_a_line_for_utterances_and_one_for_crops(
        self, kws, speakers, tiny_speakers, monkeypatch
    ):
        monkeypatch.setattr("kws.cli.evaluation.MOST_ROWS", 3)
        lines = kws("evaluate", speakers, "--data", tiny_speakers).out.splitlines()
        assert lines[0] == "the 3 of 6 classes with the lowest recall:"
        assert lines[5] == ""
        recalls = [float(line.split()[1]) for line in lines[2:5]]
        assert recalls == sorted(recalls)
        assert lines[-3].startswith("accuracy on full utterances ")
        assert lines[-2].startswith("accuracy on 128-frame crops ")
        assert "(n=12, " in lines[-3]
        assert "(n=12, " in lines[-2]

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--data", "missing"], "missing: no such folder"),
            (["--data", "{corpus}", "--protocol", "kaggle-12"], "where protocol kaggle-12 has"),
            (["--data", "{corpus}", "--protocol", "embeded-12"], "did you mean 'embedded-12'?"),
            (["--data", "{corpus}", "--device", "cuda"], "no usable CUDA GPU"),
            (["--data", "{corpus}", "--split", "test"], "'testing'"),
            ([], "--data"),
            (["--stream", "--split", "testing"], "--split does not apply to a keyword model with"),
        ],
    )
    def test_what_is_refused(self, kws, run, tiny_corpus, arguments, sentence):
        if "cuda" in arguments and torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
        filled = [argument.format(corpus=tiny_corpus) for argument in arguments]
        assert sentence in kws("evaluate", run, *filled).sentence()


class TestPredict:
    def test_one_line_for_each_recording(self, kws, run, clips):
        outcome = kws("predict", clips, "--model", run, "--top", "1")
        assert [line.split() for line in outcome.out.splitlines()] == [
            [str(clips / "clip_a.wav"), "stop", "100.0", "%"],
            [str(clips / "clip_b.wav"), "stop", "100.0", "%"],
        ]
        assert kws("predict", clips, "--model", run, "--top", "99").out.count("%") == 2 * 12
        found = json.loads(kws("predict", clips, "--model", run, "--json", "--top", "2").out)
        assert found["model"] == str(run / "best.pt")
        first = found["predictions"][0]
        assert (first["file"], first["label"]) == (str(clips / "clip_a.wav"), "stop")
        assert (first["start"], first["end"]) == (0.0, 0.5)
        assert len(first["scores"]) == 2

    def test_a_long_recording_is_read_in_windows_with_times(self, kws, run, clips):
        write_audio(clips / "clip_c.wav", 0.1 * torch.randn(30_000))
        lines = kws("predict", clips, "--model", run).out.splitlines()
        assert len(lines) == 2 + 3
        assert "0.0–0.5 s" in lines[0]
        assert [line.split()[1] for line in lines[2:]] == ["0.0–1.0", "0.5–1.5", "1.0–1.9"]

    def test_bad_files_are_skipped_on_demand(self, kws, run, clips):
        (clips / "bad.wav").touch()
        outcome = kws("predict", clips, "--model", run, "--skip-bad")
        assert (outcome.code, len(outcome.out.splitlines())) == (0, 2)
        output = outcome.err.splitlines()
        assert output[0].startswith(f"skipped: {clips / 'bad.wav'}: empty")
        assert output[1] == "1 of 3 recordings were skipped"
        outcome = kws("predict", clips / "bad.wav", "--model", run, "--skip-bad")
        assert outcome.code == 2
        assert outcome.err.endswith("none of 1 recordings could be used: see above\n")

    def test_another_rate_needs_resample(self, kws, run, clips):
        write_audio(clips / "clip_c.wav", torch.zeros(44_100), 44_100)
        assert "44100 Hz" in kws("predict", clips, "--model", run).sentence()
        assert len(kws("predict", clips, "--model", run, "--resample").out.splitlines()) == 3


class TestExport:
    def test_onnx_says_how_close_it_is_and_safetensors_have_labels(
        self, kws, run, tmp_path, monkeypatch
    ):
        wanted = []
        monkeypatch.setattr(
            "kws.inference.export.export_onnx",
            lambda trained, out: wanted.append(out) or out.touch() or 3e-7,
        )
        for arguments in ([tmp_path / "a.onnx"], [tmp_path / "a.onnx", "--onnx"], ["--onnx"]):
            outcome = kws("export", run, *arguments)
            assert outcome.code == 0
            assert "onnxruntime and torch differ by at most 3.0e-07" in outcome.out
        assert wanted == [tmp_path / "a.onnx", tmp_path / "a.onnx", run / "model.onnx"]
        from safetensors import safe_open

        out = tmp_path / "a.safetensors"
        assert kws("export", run, "--safetensors", out).out.startswith(f"written: {out}, ")
        with safe_open(out, "pt") as file:
            assert json.loads(file.metadata()["labels"]) == list(TWELVE)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ([], "choose --onnx or --safetensors"),
            (["a.pt"], "choose --onnx or --safetensors"),
            (["a.onnx", "--onnx", "--safetensors"], "one format at a time"),
            (["--onnx", "--resample"], "--resample does not apply to an export without --quantize"),
            (["--quantize", "--safetensors"], "--safetensors does not apply to an export with"),
            (["--quantize"], "--data is missing"),
            (["a.onnx", "--safetensors"], "a.onnx: its name ends in .onnx"),
        ],
    )
    def test_what_is_refused(self, kws, run, arguments, sentence):
        assert sentence in kws("export", run, *arguments).sentence()


class TestPlot:
    def test_attention_over_the_first_word_that_was_evaluated(
        self, kws, untrained, tiny_corpus, clips, tmp_path
    ):
        trained = untrained("model.name=crnn-small", "model.hidden_size=5", labels=TWELVE)
        run = save_run(tmp_path / "run", trained)
        outcome = kws("plot", run)
        assert outcome.out.splitlines()[0] == f"written: {run / 'curves.png'}"
        assert "name a recording with --clip, or run kws evaluate first" in outcome.out
        assert not (run / "attention.png").exists()
        missing = kws("plot", run, "--clip", clips / "missing.wav")
        assert "missing.wav: no such file" in missing.sentence()
        assert "attention.png" in kws("plot", run, "--clip", clips / "clip_a.wav").out
        kws("evaluate", run, "--data", tiny_corpus)
        assert kws("plot", run).out.splitlines()[1] == f"written: {run / 'attention.png'}"
        assert (run / "attention.png").stat().st_size > 1000

    def test_what_cannot_be_drawn_is_said_or_refused(self, kws, run, clips):
        outcome = kws("plot", run, "--clip", clips / "clip_a.wav")
        assert outcome.code == 0
        assert outcome.out.splitlines()[1] == "note: gru has no attention to draw"
        (run / "evaluation-testing.json").write_text("{")
        assert "note: no attention drawn" in kws("plot", run).out
        (run / "history.jsonl").write_text("")
        assert "no validation has been done yet" in kws("plot", run).sentence()
        (run / "history.jsonl").unlink()
        assert "no such history" in kws("plot", run).sentence()

"""A stream without torch: ONNX files of windows and of steps give what torch gives."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from kws.audio.recordings import read_audio, write_audio
from kws.errors import UsageError
from kws.inference.export import export_step
from kws.inference.onnx_stream import SHIPPED_ONNX, OnnxStream
from kws.inference.streaming import posteriors
from kws.inference.torch_stream import TorchStream
from kws.training.checkpoint import load_model
from tests.conftest import PATIENCE

LABELS = ("_silence_", "_unknown_", "yes", "no")
# float32: the logarithm of a spectrum by another FFT, through a model
ROUNDING = 1e-4


def sound(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (0.2 * rng.standard_normal(n) * np.linspace(0, 1, n)).astype(np.float32)


def rows_of(model, blocks, hop_ms=30):
    times, rows = zip(*posteriors(model, blocks, hop_ms=hop_ms), strict=True)
    return times, np.stack(rows)


@pytest.fixture(scope="module", params=["crnn", "conformer"])
def causal(untrained, request):
    settings = {"crnn": ["hidden_size=6", "window=1"], "conformer": ["d_model=12", "d_ff=14"]}
    model = [f"model.{each}" for each in (f"name={request.param}-causal", *settings[request.param])]
    return untrained(*model, "features.normalize=none", labels=LABELS)


@pytest.fixture(scope="module")
def exported(causal, tmp_path_factory):
    """The file of one step, and how far it is from torch."""
    out = tmp_path_factory.mktemp("export") / "step.onnx"
    return out, export_step(causal, out)


def test_steps_of_any_blocks_equal_those_of_the_whole(causal):
    whole = sound(30_000)
    model = TorchStream(causal)
    assert model.step_frames == 3
    times, expected = rows_of(model, [whole])
    assert times[:2] == (0.98, 1.01)
    again, found = rows_of(model, np.split(whole, range(1600, 30_000, 1600)))
    assert again == times
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)  # the bound that is promised
    assert rows_of(model, [whole], hop_ms=100)[0] == times[::3]  # a step of three


def test_a_graph_of_one_step_gives_the_steps_of_torch(causal, exported, tmp_path):
    out, difference = exported
    assert difference < ROUNDING
    graph = OnnxStream(out)
    blocks = np.split(sound(30_000), range(1600, 30_000, 1600))
    times, expected = rows_of(TorchStream(causal), blocks)
    again, found = rows_of(graph, blocks)
    assert again == times
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING)
    with pytest.raises(UsageError, match="has no state to step with"):
        export_step(load_model("keywords"), tmp_path / "none.onnx")


def test_the_shipped_graph_gives_the_windows_of_the_shipped_weights(tiny_corpus):
    waveform = read_audio(sorted((tiny_corpus / "yes").iterdir())[0]).numpy()
    blocks = [0.1 * sound(9000), waveform]
    graph, model = OnnxStream(SHIPPED_ONNX), TorchStream(load_model("keywords"))
    assert (graph.labels, graph.step_frames) == (model.labels, 0)
    times, expected = rows_of(model, blocks, hop_ms=100)
    again, found = rows_of(graph, blocks, hop_ms=100)
    assert again == times
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING)


def test_other_files_are_told_in_a_sentence(tmp_path):
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(UsageError, match=r"text\.onnx: not an ONNX file"):
        OnnxStream(tmp_path / "text.onnx")
    with pytest.raises(UsageError, match=r"none\.onnx: no such file"):
        OnnxStream(tmp_path / "none.onnx")


@pytest.mark.parametrize("causal", ["conformer"], indirect=True)
def test_listening_and_predicting_load_no_torch_and_stay_small(exported, tiny_corpus, tmp_path):
    clip, long = sorted((tiny_corpus / "yes").iterdir())[0], tmp_path / "long.wav"
    write_audio(long, torch.zeros(320_000))  # several blocks of a file
    listen = ["listen", str(exported[0]), str(clip)]
    commands = [["predict", str(clip), "--json"], ["listen", str(long)], listen]
    code = (
        "import json, re, sys\nimport kws.inference.microphone\nfrom kws.cli import run\n"
        f"codes = [run(each) for each in {commands!r}]\n"
        "status = open('/proc/self/status').read() if sys.platform == 'linux' else 'VmHWM: 0'\n"
        "peak = int(re.search(r'VmHWM:\\s+(\\d+)', status)[1])\n"
        "print(json.dumps([codes, 'torch' in sys.modules, peak]), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    *found, kilobytes = json.loads(done.stderr.splitlines()[-1])
    assert found == [[0, 0, 0], False]
    assert kilobytes < 150_000

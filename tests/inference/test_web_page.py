"""The folder that `kws web` writes: the graph that hears as torch does, and what goes with it."""

import gzip
import json
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
from torch import nn

from kws.audio.features import log_mel, mfcc
from kws.errors import UsageError
from kws.inference.detector import Trigger
from kws.inference.onnx_tools import open_session
from kws.inference.waveform_graph import FromWaveform, export_waveform
from kws.inference.web_page import FILES, server_of, service_worker, write_page
from kws.inference.web_runtime import SHA256

pytestmark = pytest.mark.no_shapes

LABELS = ("_silence_", "_unknown_", "grün", "go")


class Reader(nn.Module):
    """A model that uses every part of what it reads, and forgets to be in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv1d(23, 5, kernel_size=3)
        self.drop = nn.Dropout(0.5)
        self.classify = nn.Linear(5, len(LABELS))

    def forward(self, features):
        # zero but for rounding, which is largest where all bands are equal: in digital silence
        mean = features.mean((1, 2))[:, None]
        return self.classify(self.drop(self.mix(features.mT).tanh().mean(dim=2))) + 6 * mean


def features(waveform):
    """Somebody's own features, in the notebook's way."""
    mel = log_mel(waveform, n_mels=23)
    return (mel - mel.mean((1, 2), keepdim=True)) / (mel.std((1, 2), keepdim=True) + 0.1)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory) -> Path:
    """A folder in the place of ONNX Runtime Web: nothing here runs it."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in SHA256:
        (folder / name).write_text(name)
    return folder


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Reader()


@pytest.fixture(scope="module")
def page(runtime, model, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("page") / "page"
    return write_page(out, model, LABELS, features, title="Ampel", examples={}, runtime=runtime)


def settings_of(page: Path) -> dict:
    return json.loads((page / "page.json").read_text(encoding="utf-8"))


def test_waveform_in_logits_out_equals_torch(page, model):
    waveform = 0.1 * torch.randn(1, 16_000).cumsum(1).sin()
    shown = torch.ones(1, 101, 23)
    shown[:, 40:60, 5:] = 0  # hidden: where the model looked is found so
    feed = {"waveform": waveform.numpy(), "shown": shown.numpy()}
    found = open_session(page / "model.onnx").run(None, feed)
    logits, spectrogram, embedding = map(torch.from_numpy, found)
    expected = FromWaveform(model, features)(waveform, shown)
    # the graph has another Fourier transform, in float32; the log enlarges its rounding
    torch.testing.assert_close(logits, expected[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(spectrogram, log_mel(waveform, n_mels=40), atol=1e-3, rtol=0)
    torch.testing.assert_close(embedding, expected[2], atol=1e-3, rtol=0)
    whole = FromWaveform(model, features)(waveform, torch.ones(1, 101, 23))[0]
    assert (whole - expected[0]).abs().max() > 0.01, "what was hidden mattered"
    assert model.training, "it stays as it is"


def test_the_graph_has_no_operator_that_is_slow_in_a_browser(page):
    import onnx

    operators = {node.op_type for node in onnx.load(page / "model.onnx").graph.node}
    assert "Conv" in operators
    assert not operators & {"STFT", "DFT", "Loop", "If"}


def test_page_json_says_what_the_page_needs(page):
    settings = settings_of(page)
    assert (settings["title"], settings["labels"]) == ("Ampel", list(LABELS))
    assert settings["words"] == ["grün", "go"]
    assert settings["trigger"] == vars(Trigger())
    assert (settings["frames"], settings["features"], settings["mels"]) == (101, 23, 40)
    assert settings["model"]["bytes"] == (page / "model.onnx").stat().st_size


def test_the_service_worker_keeps_every_file_but_itself_in_a_version_of_its_own(page):
    text = (page / "sw.js").read_text()
    kept = json.loads(text.partition("FILES = ")[2].partition(";")[0])
    there = {path.relative_to(page).as_posix() for path in page.rglob("*") if path.is_file()}
    assert set(kept) == (there - {"sw.js"}) | {"./"}
    files = {"sw.js": (FILES / "sw.js").read_bytes(), "model.onnx": b"1"}
    assert service_worker(files) == service_worker(dict(files))
    assert service_worker(files) != service_worker({**files, "model.onnx": b"2"})


def test_no_file_of_ours_asks_another_host():
    """A namespace is not a host; the runtime is looked at in the browser."""
    for path in sorted(FILES.iterdir()):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text, path
        assert "https:" not in text, path


def test_a_page_is_replaced_and_anything_else_is_kept(page, model, runtime, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"contains something other .* choose another folder"):
        write_page(tmp_path, model, LABELS, features, examples={}, runtime=runtime)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    before = (page / "model.onnx").read_bytes()
    assert (
        write_page(page, model, LABELS, features, title="Neu", examples={}, runtime=runtime) == page
    )
    assert settings_of(page)["title"] == "Neu"
    assert (page / "model.onnx").read_bytes() == before, "the same model, the same graph"


def test_labels_that_do_not_fit(model, runtime, tmp_path):
    with pytest.raises(UsageError, match="gives 4 numbers for a clip, and there are 3 labels"):
        write_page(tmp_path / "page", model, LABELS[1:], features, examples={}, runtime=runtime)
    with pytest.raises(UsageError, match="none of the labels is a word"):
        write_page(tmp_path / "page", model, LABELS[:2], features, examples={}, runtime=runtime)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_differs_is_not_written(tmp_path):
    class Wild(nn.Module):
        def forward(self, features):
            return 1e9 * features.mean(1)[:, :3]

    with pytest.raises(UsageError, match=r"onnxruntime and torch differ by .*: not written"):
        export_waveform(Wild(), lambda x: mfcc(x), tmp_path / "model.onnx", num_classes=3)
    assert list(tmp_path.iterdir()) == []


def test_served_on_localhost_with_the_types_that_browsers_insist_on(page):
    with server_of(page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"

        def answer(name):
            with urllib.request.urlopen(address + name) as found:
                return found.headers["Content-Type"].partition(";")[0], found.read()

        assert answer("page.js") == ("text/javascript", (FILES / "page.js").read_bytes())
        assert answer("runtime/ort-wasm.wasm")[0] == "application/wasm"
        assert answer("")[0] == "text/html"
        wanted = urllib.request.Request(address, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(wanted) as found:
            assert (found.headers["Content-Encoding"], found.headers["Content-Type"]) == (
                "gzip",
                "text/html",
            )
            assert gzip.decompress(found.read()) == (FILES / "index.html").read_bytes()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            answer("../secret")
        with pytest.raises(UsageError, match=rf"--port {server.server_port}: .* another port"):
            server_of(page, server.server_port)
        server.shutdown()

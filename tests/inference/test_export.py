"""Every model of the registry runs in onnxruntime as it does in torch, or there is no file."""

import copy
import dataclasses
import importlib.util
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from kws.audio.normalize import Normalizer
from kws.errors import UsageError
from kws.inference.export import export_onnx, export_safetensors
from kws.inference.onnx_tools import PACKAGES, open_session
from kws.inference.small_graph import with_short_names
from kws.models.batch_norm import MaskedBatchNorm
from kws.training.checkpoint import new_model
from kws.training.recipe import parse_recipe
from tests.models.conftest import distinct_models, tiny_settings

pytestmark = pytest.mark.no_shapes

LABELS = ("yes", "nö", "_unknown_")


@pytest.fixture
def small(untrained):
    """`small(name)`: a small model that has seen a batch."""

    def make(name: str, *overrides: str):
        knobs = [f"model.{key}={json.dumps(value)}" for key, value in tiny_settings(name).items()]
        found = untrained(f"model.name={name}", *knobs, *overrides, labels=LABELS)
        for module in found.model.modules():
            if isinstance(module, MaskedBatchNorm):
                module.momentum = 1.0
        with torch.no_grad():
            found.model.train()(torch.randn(5, 61, 40).cumsum(dim=1))  # statistics to normalize by
        found.model.eval()
        return found

    return make


@pytest.mark.slow  # .ci/run tries them; the quick tests export a GRU
@pytest.mark.parametrize("name", distinct_models())
def test_every_model_agrees_with_onnxruntime(name, small, tmp_path):
    trained = small(name)
    features = torch.randn(3, 61, 40).cumsum(dim=1)  # examples that differ more than noise does
    logits = trained.logits(trained.normalizer(features))
    assert logits.std(dim=0).max() > 1e-3, "a constant answer would agree with anything"
    # float32 through many layers, which onnxruntime sums in another order
    assert export_onnx(trained, tmp_path / "model.onnx") < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.fixture(scope="module")
def gru(untrained, tmp_path_factory):
    """A model whose normalizer has numbers, and its ONNX file."""
    trained = dataclasses.replace(
        untrained("features.normalize=dataset", labels=LABELS),
        normalizer=Normalizer(kind="dataset", mean=torch.arange(40.0), std=torch.full((40,), 3.0)),
    )
    out = tmp_path_factory.mktemp("export") / "gru.onnx"
    export_onnx(trained, out)
    return trained, out


def test_the_graph_normalizes_and_batch_and_frames_are_free(gru):
    import onnxruntime

    trained, out = gru
    session = onnxruntime.InferenceSession(out)
    assert [(i.name, i.shape) for i in session.get_inputs()] == [
        ("features", ["batch", "frames", 40]),
        ("valid", ["batch", "frames"]),
    ]
    features, valid = torch.randn(7, 31, 40) + 20, torch.ones(7, 31, dtype=torch.bool)
    (logits,) = session.run(None, {"features": features.numpy(), "valid": valid.numpy()})
    expected = trained.logits(trained.normalizer(features, valid), valid)
    # float32, summed by onnxruntime in another order
    assert torch.allclose(torch.from_numpy(logits), expected, atol=1e-5)
    check_description(session.get_modelmeta().custom_metadata_map, trained)
    assert not any("Onnx" in type(module).__name__ for module in trained.model.modules())


def check_description(metadata, trained):
    assert json.loads(metadata["labels"]) == list(trained.labels)
    assert (metadata["protocol"], metadata["task"]) == ("embedded-12", "keywords")
    features = json.loads(metadata["features"])
    assert (features["kind"], features["hop"], features["sample_rate"]) == ("log_mel", 160, 16_000)
    assert features["normalizer"]["mean"] == trained.normalizer.mean.tolist()
    assert parse_recipe(metadata["recipe"]) == trained.recipe


def test_safetensors_hold_weights_and_metadata(gru, untrained, tmp_path):
    trained, _ = gru
    export_safetensors(trained, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        check_description(file.metadata(), trained)
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model = new_model(trained.recipe, len(trained.labels)).eval()
    model.load_state_dict(weights)
    features = torch.randn(2, 23, 40)
    assert torch.equal(model(features), trained.model(features))
    shared = untrained("model.name=lab-encoder", "data.task=speakers", labels=LABELS)
    export_safetensors(shared, tmp_path / "shared.safetensors")
    with safe_open(tmp_path / "shared.safetensors", "pt") as file:
        assert set(file.keys()) == set(shared.model.state_dict())
        kind = json.loads(file.metadata()["features"])["kind"]
    assert kind == "kws.audio.features.speaker_log_mel"


def test_short_names_make_the_file_smaller_and_change_no_logit(gru, tmp_path):
    long = gru[1].read_bytes()
    (tmp_path / "short.onnx").write_bytes(short := with_short_names(long))
    assert len(short) < len(long) - 5000
    inputs = {"features": torch.randn(2, 31, 40).numpy(), "valid": np.ones((2, 31), bool)}
    logits = [open_session(p).run(["logits"], inputs)[0] for p in (gru[1], tmp_path / "short.onnx")]
    assert np.array_equal(*logits)


@pytest.mark.parametrize("change", [1e-3, torch.nan])
def test_a_graph_that_differs_is_not_written(change, gru, tmp_path, monkeypatch):
    trained, out = gru
    program = SimpleNamespace(
        model=SimpleNamespace(metadata_props={}), save=lambda path: shutil.copy(out, path)
    )
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: program)
    other = dataclasses.replace(trained, model=copy.deepcopy(trained.model))
    export_onnx(other, tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_text("before")
    other.model.classify.bias.data += change
    with pytest.raises(
        UsageError, match=r"model\.onnx: onnxruntime and torch differ by (1\.0e-03|nan)"
    ):
        export_onnx(other, tmp_path / "model.onnx")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_missing_package_is_named_with_the_cure(package, untrained, tmp_path, monkeypatch):
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else known(name)
    )
    with pytest.raises(UsageError, match=f"needs {package}: run pip install onnx onnxscript onnx"):
        export_onnx(untrained(labels=LABELS), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []

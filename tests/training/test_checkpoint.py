"""Checkpoints: what was saved is what is loaded, and everything else is refused in a sentence."""

import dataclasses
import zipfile
from pathlib import Path

import pytest
import torch

from kws.audio.normalize import Normalizer
from kws.errors import UsageError
from kws.training.checkpoint import (
    SMALLEST,
    STEPS,
    Trained,
    load_model,
    new_model,
    quantize_weights,
    read_checkpoint,
    save_checkpoint,
)
from kws.training.initialize import initialize_from
from kws.training.recipe import compute_features, parse_recipe
from tests.conftest import state_of

SOMEWHERE = Path("runs/x/best.pt")
LABELS = ("yes", "no", "_unknown_")
SMALL = ["model.name=gru", "model.channels=3", "model.hidden_size=5", "features.n_mels=13"]


def trained(*overrides: str, labels=LABELS) -> Trained:
    recipe = parse_recipe("", overrides=[*SMALL, *overrides])
    return Trained(
        model=new_model(recipe, len(labels)),
        recipe=recipe,
        labels=labels,
        protocol="v2-12",
        normalizer=Normalizer(kind="dataset", mean=torch.arange(13.0), std=torch.ones(13)),
        step=17,
    )


@pytest.fixture
def saved(tmp_path) -> Path:
    save_checkpoint(tmp_path / "best.pt", state_of(trained()))
    return tmp_path / "best.pt"


def refused(path) -> str:
    with pytest.raises(UsageError) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_was_saved_is_loaded(tmp_path):
    ours = trained()
    save_checkpoint(tmp_path / "best.pt", state_of(ours))
    for seed, path in enumerate((tmp_path, tmp_path / "best.pt")):
        torch.manual_seed(seed)  # which does not decide what is loaded
        found = load_model(path)
        assert (found.labels, found.protocol, found.step) == (LABELS, "v2-12", 17)
        assert (found.recipe, found.task) == (ours.recipe, "keywords")
        assert found.path == tmp_path / "best.pt"
        assert not found.model.training
        mel = torch.randn(2, 7, 13)
        assert torch.equal(found.logits(mel), ours.model.eval()(mel))
        waveform = torch.randn(2, 800)
        assert torch.equal(found.features(waveform), ours.features(waveform))
        assert torch.equal(
            found.features(waveform),
            compute_features(ours.recipe.features, waveform) - torch.arange(13.0),
        )


@pytest.mark.no_shapes
def test_what_is_neither_waveforms_nor_features_is_told_what_they_are():
    for wrong, given in (
        (torch.zeros(800), "torch.float32 of 1 axes"),
        (torch.zeros(1, 800, dtype=torch.int16), "torch.int16 of 2 axes"),
        ([[0.0] * 800], "not list"),
    ):
        with pytest.raises(UsageError, match=rf"float32 tensor \(B, N\).*{given}: convert them"):
            trained().features(wrong)
    for wrong in (torch.zeros(7, 13), torch.zeros(2, 7, 40)):
        with pytest.raises(UsageError, match=r"features are \(B, T, 13\) here"):
            trained().logits(wrong)


def test_of_a_last_checkpoint_the_averaged_weights_are_used(tmp_path):
    ours, average = trained(), trained()
    state = state_of(ours) | {"training": {"averaged": average.model.state_dict()}}
    save_checkpoint(tmp_path / "last.pt", state)
    mel = torch.randn(2, 7, 13)
    found = load_model(tmp_path / "last.pt").logits(mel)
    assert torch.equal(found, average.model.eval()(mel))
    assert not torch.equal(found, ours.model.eval()(mel))


def test_a_quantized_weight_is_half_a_step_off_at_most(tmp_path):
    state = {**state_of(trained("model.hidden_size=24")), "training": {}}
    save_checkpoint(tmp_path / "small.pt", quantize_weights(state))
    found = load_model(tmp_path / "small.pt").model.state_dict()
    for name, weight in state["weights"].items():
        rows, off = (x.reshape(len(x), -1).abs().amax(1) for x in (weight, found[name] - weight))
        assert (off <= rows / STEPS * 0.5001).all(), name
        assert off.any() == (weight.numel() >= SMALLEST), name
    state["scales"] = {"nowhere": torch.ones(1)}
    save_checkpoint(tmp_path / "wrong.pt", state)
    assert "not a checkpoint" in refused(tmp_path / "wrong.pt")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save(Evil(), tmp_path / "best.pt")
    assert "not a checkpoint" in refused(tmp_path / "best.pt")
    assert not (tmp_path / "ran").exists()


def test_a_damaged_or_changed_checkpoint_is_refused(saved):
    whole, state = saved.read_bytes(), read_checkpoint(saved)
    with zipfile.ZipFile(saved) as archive:
        weights = max(archive.infolist(), key=lambda entry: entry.file_size)
    flipped = bytearray(whole)
    flipped[weights.header_offset + 200 + weights.file_size // 2] ^= 1  # a bit of the weights
    for content in (whole[:-100], flipped):
        saved.write_bytes(content)
        assert "damaged" in refused(saved)
    for content in (b"", b"not a checkpoint", b"version https://git-lfs", b"PK\x03"):
        saved.write_bytes(content)
        assert "not a checkpoint" in refused(saved)
    for foreign in ({"model": 1}, [1, 2], torch.zeros(3), state | {"format": "kws checkpoint 99"}):
        torch.save(foreign, saved)
        assert "not a checkpoint of kws train" in refused(saved)
    state["recipe"] = state["recipe"].replace("hidden_size = 5", "hidden_size = 7")
    save_checkpoint(saved, state)
    assert "its weights do not fit gru" in refused(saved)
    assert f"checkpoint (did you mean {saved.parent.name!r}?)" in refused(f"{saved.parent}s")
    saved.unlink()
    assert "no such checkpoint: " in refused(saved)
    assert "contains no best.pt" in refused(saved.parent)


def test_other_labels_are_refused():
    ours = dataclasses.replace(trained(), path=Path("runs/x/best.pt"))
    ours.require_labels(LABELS)
    with pytest.raises(UsageError, match=r"runs/x/best\.pt: label 0 is 'yes' .* another order"):
        ours.require_labels(("no", "yes", "_unknown_"))
    with pytest.raises(UsageError, match="3 labels where the test set has 2"):
        ours.require_labels(LABELS[:2], "the test set")


def test_a_failed_write_leaves_the_old_checkpoint(saved, monkeypatch):
    before = saved.read_bytes()

    def break_off(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", break_off)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(saved, {})
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def differences(a: torch.nn.Module, b: torch.nn.Module) -> set[str]:
    mine, theirs = a.state_dict(), b.state_dict()
    return {name for name in mine if not torch.equal(mine[name], theirs[name])}


@pytest.mark.parametrize(
    "changes", [(), ("features.normalize=none", "train.lr=0.5", "data.seed=3")]
)
def test_with_the_same_labels_every_weight_is_reused(changes):
    source, ours = trained(), trained(*changes)
    assert differences(source.model, ours.model)
    initialize_from(ours.model, state_of(source), SOMEWHERE, ours.recipe, LABELS)
    assert not differences(source.model, ours.model)


@pytest.mark.parametrize("labels", [("no", "yes", "_unknown_"), ("a", "b", "c", "d", "e")])
def test_with_other_labels_the_classifier_alone_stays_fresh(labels):
    source, ours = trained(), trained(labels=labels)
    fresh = {name: w.clone() for name, w in ours.model.state_dict().items()}
    initialize_from(ours.model, state_of(source), SOMEWHERE, ours.recipe, labels)
    result = ours.model.state_dict()
    kept = {name for name in fresh if torch.equal(result[name], fresh[name])}
    assert kept == {"classify.weight", "classify.bias"}


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("model.hidden_size=7", "model.hidden_size"),
        ("model.name=crnn", "model.name"),
        ("features.f_max=3800", "features.f_max"),
    ],
)
def test_another_model_or_other_features_are_refused(override, key):
    source = trained()
    recipe = parse_recipe("", overrides=[*SMALL, override])
    with pytest.raises(UsageError, match=key.replace(".", r"\.")):
        initialize_from(source.model, state_of(source), SOMEWHERE, recipe, LABELS)

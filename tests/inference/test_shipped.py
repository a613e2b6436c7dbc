"""The model that comes with kws is what its card and its recipe say, and hears people."""

import hashlib
import json
import re
import shutil

import pytest
import torch

import kws
from kws.cli import run
from kws.data.listing import LIST_FILES
from kws.data.speech_commands import load_speech_commands
from kws.inference.onnx_stream import SHIPPED_ONNX
from kws.metrics import Proportion
from kws.models.counts import count_parameters
from kws.training.checkpoint import SHIPPED, read_checkpoint
from kws.training.recipe import changed_keys, load_recipe

WEIGHTS = SHIPPED["keywords"]
CARD = WEIGHTS.with_suffix(".md").read_text(encoding="utf-8")


def test_the_card_is_about_these_weights_and_the_recipe_is_theirs():
    body, trained = WEIGHTS.read_bytes(), kws.load()
    assert hashlib.sha256(body).hexdigest() in CARD
    assert f"{count_parameters(trained.model):,} parameters" in CARD
    assert read_checkpoint(WEIGHTS)["made"] in CARD
    assert len(body) < 1_000_000
    changed = changed_keys(load_recipe("keywords-sentences"), trained.recipe)
    assert all(key.startswith("train.") or key == "model.name" for key, _, _ in changed)


def test_words_are_labeled_without_a_run(tiny_corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    clip = sorted((tiny_corpus / "yes").iterdir())[0]
    assert run(["predict", str(clip), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["model"] == str(SHIPPED_ONNX)
    assert run(["predict", str(clip), "--json", "--model", str(WEIGHTS), "--top", "12"]) == 0
    by_torch = json.loads(capsys.readouterr().out)["predictions"][0]["scores"]
    found = printed["predictions"][0]["scores"]
    assert found == pytest.approx({label: by_torch[label] for label in found}, abs=1e-4)
    assert sum(printed["predictions"][0]["scores"].values()) <= 1
    assert run(["listen", str(clip)]) == 0
    (tmp_path / "keywords").mkdir()
    assert run(["predict", str(clip)]) == 2  # a folder of the user's comes first
    assert "keywords: contains no best.pt" in capsys.readouterr().err


def test_people_are_recognized_as_the_card_says(real_data, tmp_path):
    """One of ten clips: their interval holds the accuracy of all."""
    excerpt = real_data / "speech_commands_excerpt"
    data = tmp_path / "data"
    shutil.copytree(excerpt, data, ignore=lambda *_: set(LIST_FILES.values()), symlinks=True)
    split = load_speech_commands(data, "v2-12", "testing")
    rows = torch.arange(0, len(split), 10)
    trained = kws.load()
    scores = trained.logits(trained.features(split.waveforms(rows)))
    right = int((scores.argmax(1) == split.labels[rows]).sum())
    found = re.search(r"\*\*Clips.\*\* ([0-9.]+) % \(n=([0-9,]+)", CARD)
    assert found
    assert int(found[2].replace(",", "")) == len(split)
    sample = Proportion(correct=right, n=len(rows))
    assert sample.low <= float(found[1]) / 100 <= sample.high

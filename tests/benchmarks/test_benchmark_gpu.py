"""The full-size runs: noise of the right kind, and a whole training from data to printed figure."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import pytest
import torch

from kws.protocols import get_protocol

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu" / "full_runs.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("full_runs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def quick(script, monkeypatch):
    """A plan that a CPU carries out in two steps."""
    small = ("model.channels=[2,3,3]", "model.hidden_size=5", "data.protocol=embedded-12")
    plan = dataclasses.replace(
        script.PLANS["v2-12-quick"],
        changes=(
            *small,
            "data.unknown=protocol",
            "train.total_steps=2",
            "train.batch_size=8",
            "train.save_every=1",
        ),
    )
    monkeypatch.setitem(script.PLANS, "v2-12-quick", plan)
    return "v2-12-quick"


def test_every_plan_is_a_recipe_whose_archive_has_as_many_examples(script):
    for name, plan in script.PLANS.items():
        recipe = script.recipe_of(name)
        if recipe.data.task == "keywords":
            assert plan.examples == get_protocol(recipe.data.protocol).expected_counts["training"]


def test_noise_is_of_the_true_size(script, tmp_path):
    recipe = script.recipe_of("v2-35")
    clips = script.noise(recipe, 1e-3, tmp_path)
    assert clips.waveforms(torch.arange(len(clips))).shape == (106, 16_000)
    assert set(clips.labels.tolist()) <= set(range(35))
    frames = script.noise(script.recipe_of("speakers-600"), 1e-2, tmp_path)
    assert len(frames) == 647
    assert abs(int(frames.lengths.sum()) - 425_000) < 647


def test_speed_is_projected_to_the_whole_training(script, quick, capsys):
    script.speeds([quick], "cpu", 1e-3, 1, {"as it is": {}})
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["runs"][f"{quick}, as it is"]
    seconds = 2 * 8 / found["examples_per_second"]  # two steps of eight examples
    assert found["minutes"] == pytest.approx(seconds / 60, rel=1e-3)
    assert found["gb"] is None


def test_the_smoke_run_takes_every_precision(script, quick, capsys):
    script.smoke([quick], "cpu")
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found["runs"]) == [f"{quick}, float32", f"{quick}, bfloat16"]


def test_the_plans_are_of_eight_models(script):
    assert len({script.recipe_of(name).model.name for name in script.PLANS}) == 8


def test_a_whole_training_ends_with_its_accuracy_and_can_be_repeated(
    script, quick, tiny_corpus, tmp_path, capsys
):
    for _ in range(2):
        assert script.whole(quick, tiny_corpus, tmp_path, "cpu") == 0
        numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert numbers["n"] == 24
        kept = json.loads((tmp_path / quick / "evaluation-testing.json").read_text())
        # a line of JSON has six digits, the file all
        assert numbers["clips_accuracy"] == pytest.approx(kept["clips"]["accuracy"], abs=1e-4)

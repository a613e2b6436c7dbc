"""Recipes so small that a run takes a fraction of a second, and what runs of them left."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import kws.training.recipe
from experiments import runs
from experiments.one_run import run_one
from experiments.plan import Job, find_source
from kws.training.recipe import load_recipe
from tests.conftest import data_beside

collect_ignore = ["small.py"]  # a program, which reads its arguments

SMALL_WORKER = Path(__file__).with_name("small.py")
TEXTS = data_beside(__file__)
GRU = TEXTS["gru"]
RECIPES = {
    "words/gru": GRU.format(lr="1e-2"),
    "words/slow-gru": GRU.format(lr="1e-4"),
    "words/diverges": GRU.format(lr="1e30") + "train.clip_norm = 0\n",
    "voices/transformer": TEXTS["voices"],
    "strings/speller": TEXTS["speller"],
}
MADE = {}  # results, by what they are of


@pytest.fixture(scope="session")
def recipe_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recipes")
    for name, text in RECIPES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_text(text)
    return folder


@pytest.fixture
def recipes(recipe_folder, monkeypatch) -> Path:
    """The folder of the recipes, in place of the package's, in workers too."""
    monkeypatch.setattr(kws.training.recipe, "RECIPES", recipe_folder)
    command = [sys.executable, str(SMALL_WORKER), str(recipe_folder)]
    monkeypatch.setattr(runs, "COMMAND", command)
    yield recipe_folder
    (recipe_folder / "slow").unlink(missing_ok=True)


@pytest.fixture
def make_job(recipes, tiny_corpus, tmp_path) -> Callable[..., Job]:
    """`make_job("gru", seed=1)`: a job on the tiny corpus."""

    def make(name: str = "gru", **changes) -> Job:
        group, data = changes.pop("group", "words"), str(changes.pop("data", tiny_corpus))
        task = load_recipe(f"{group}/{name}").data.task
        source = find_source(data, task)
        assert source is not None
        job = Job(
            group=group,
            name=name,
            seed=0,
            full=False,
            source=source,
            out=str(tmp_path / "out"),
            runs=str(tmp_path / "runs"),
            device="cpu",
        )
        return replace(job, **changes)

    return make


@pytest.fixture
def made(make_job):
    """`made("gru")`: a result, made once for all tests."""

    def result(name: str = "gru", **changes):
        key = (name, *sorted(changes.items()))
        if key not in MADE:
            MADE[key] = run_one(make_job(name, **changes))
        return MADE[key]

    return result

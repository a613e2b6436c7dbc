"""`kws train` and `kws recipes`: what they write, what they say, how they are interrupted."""

import pytest

from kws.training.checkpoint import load_model, read_checkpoint, save_checkpoint
from kws.training.recipe import experiment_groups, load_recipe, recipe_names

SMALL = ["model.channels=[2,3,3]", "model.hidden_size=5", "train.epochs=2", "train.batch_size=64"]


def settings(*overrides: str) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


@pytest.fixture
def train(kws, tiny_corpus, tmp_path):
    """`train(out, "train.lr=1", …)`: the keyword recipe, small, on the tiny corpus."""

    def command(out, *overrides: str, options=()):
        return kws(
            "train", "keywords", "--data", tiny_corpus, "--out", out,
            *settings("data.protocol=embedded-12", *SMALL, *overrides),
            *options,
        )  # fmt: skip

    return command


def test_it_says_what_it_trains_on_and_how_well_it_went_and_what_is_there_already(train, tmp_path):
    outcome = train(tmp_path / "run")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "embedded-12 training: 192 clips, silence: noise"
    assert lines[1] == "embedded-12 validation: 24 clips, silence: noise"
    assert lines[2] == "crnn-small: 980 parameters, on cpu"
    assert [line.split(",")[0] for line in lines[3:5]] == ["step 3/6", "step 6/6"]
    assert lines[5].startswith("best validation accuracy: ")
    assert lines[5].endswith(", protocol embedded-12)")
    assert "n=24, 95 % interval" in lines[5]
    assert lines[6] == f"{tmp_path / 'run'}: best.pt is of step 6, last.pt of step 6"
    files = ["best.pt", "curves.png", "history.jsonl", "last.pt", "recipe.toml", "times.jsonl"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == files

    run, best = tmp_path / "run", tmp_path / "run" / "best.pt"
    assert train(run).sentence().startswith(f"{run}: contains a run already: continue it with")
    save_checkpoint(best, read_checkpoint(best) | {"step": 2})
    again = train(run, options=["--resume"])
    assert (again.code, "step" in again.out.splitlines()[3]) == (0, False)
    assert again.out.splitlines()[-1] == f"{run}: best.pt is of step 2, last.pt of step 6"
    changed = train(run, "train.lr=0.5", options=["--resume"]).sentence()
    assert "train.lr was 0.0" in changed
    assert "0.5 now" in changed
    for change, messages in (
        ("model.hidden_size=7", "model.hidden_size is 5 there and 7 in the recipe"),
        ("model.pooling=mean", "model.pooling is not set there and mean in the recipe"),
    ):
        assert messages in train(tmp_path / "second", change, options=["--init", run]).sentence()
    assert not (tmp_path / "second").exists()


def test_speakers_are_reported_whole_and_on_crops(kws, tiny_speakers, tmp_path):
    outcome = kws(
        "train", "speakers", "--data", tiny_speakers, "--out", tmp_path / "run",
        *settings("model.channels=7", "model.d_hidden=5", "train.epochs=1"),
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    assert "best validation accuracy on whole utterances: " in outcome.out
    assert "best validation accuracy on 128-frame crops: " in outcome.out
    assert len(load_model(tmp_path / "run").labels) == 6


def test_recipes_are_listed_with_what_they_are(kws):
    outcome = kws("recipes")
    assert outcome.code == 0
    reported = [f"{group}/{name}" for group, names in experiment_groups().items() for name in names]
    assert [line.split()[0] for line in outcome.out.splitlines()] == recipe_names() + reported
    assert load_recipe("keywords").description in outcome.out

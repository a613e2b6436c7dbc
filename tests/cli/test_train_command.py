"""`kws train` and `kws recipes`: what they write, what they say, how they are interrupted."""

import signal

import pytest

import kws.training.loop
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


def test_it_says_what_it_trains_on_and_how_well_it_went(train, tmp_path):
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
    files = ["best.pt", "curves.png", "history.jsonl", "last.pt", "recipe.toml"]
    files += ["times.jsonl"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == files


def test_it_says_which_weights_best_pt_contains(train, tmp_path):
    train(tmp_path / "run", "train.epochs=1")
    best = tmp_path / "run" / "best.pt"
    save_checkpoint(best, read_checkpoint(best) | {"step": 2})
    last_line = train(tmp_path / "run", "train.epochs=1", options=["--resume"]).out.splitlines()[-1]
    assert last_line == f"{tmp_path / 'run'}: best.pt is of step 2, last.pt of step 3"


def test_a_second_run_in_the_folder_is_refused_and_resume_is_offered(train, tmp_path):
    train(tmp_path / "run")
    sentence = train(tmp_path / "run").sentence()
    assert sentence.startswith(
        f"{tmp_path / 'run'}: contains a run already: continue it with --resume"
    )
    again = train(tmp_path / "run", options=["--resume"])
    assert (again.code, "step" in again.out.splitlines()[3]) == (0, False)
    changed = train(tmp_path / "run", "train.lr=0.5", options=["--resume"]).sentence()
    assert "train.lr was 0.0" in changed
    assert "0.5 now" in changed


def test_interrupted_it_saves_says_how_to_go_on_and_does(train, tmp_path, monkeypatch):
    real, calls = kws.training.loop.train_step, []

    def step(run, *arguments):
        calls.append(run.step)
        if len(calls) == 4:
            signal.raise_signal(signal.SIGINT)
        return real(run, *arguments)

    monkeypatch.setattr(kws.training.loop, "train_step", step)
    outcome = train(tmp_path / "run")
    assert outcome.code == 130
    assert outcome.err.startswith(f"kws: interrupted: {tmp_path / 'run' / 'last.pt'} is saved")
    assert outcome.err.endswith("--resume\n")
    assert "--set 'model.channels=[2,3,3]'" in outcome.err
    assert read_checkpoint(tmp_path / "run" / "last.pt")["step"] == 4
    assert train(tmp_path / "run", options=["--resume"]).code == 0
    assert calls == [0, 1, 2, 3, 4, 5]


def test_init_from_another_model_is_refused(train, tmp_path):
    train(tmp_path / "first")
    for change, messages in (
        ("model.hidden_size=7", "model.hidden_size is 5 there and 7 in the recipe"),
        ("model.pooling=mean", "model.pooling is not set there and mean in the recipe"),
    ):
        outcome = train(tmp_path / "second", change, options=["--init", tmp_path / "first"])
        assert messages in outcome.sentence()
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

"""Recipes: read, checked, changed and written back."""

import dataclasses
import re

import pytest
import torch

from kws.audio.features import mel_db, mel_spectrogram, mfcc, with_deltas
from kws.errors import UsageError
from kws.training.recipe import (
    Features,
    Recipe,
    Train,
    changed_keys,
    compute_features,
    experiment_groups,
    load_recipe,
    parse_recipe,
    recipe_names,
    to_toml,
)
from tests.conftest import data_beside, state_of

TEXT = """
description = "odd \\u007f \\"quoted\\" × text"

[data]
protocol = "v1-12"

[model]
name = "crnn"
channels = [3, 5]
dropout = 0.25

[train]
lr = 3e-4
epochs = 7
"""


def refused(*overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_recipe("", where="mine.toml", overrides=overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_a_file_leaves_out_has_its_default():
    recipe = parse_recipe(TEXT)
    assert recipe.train == Train(lr=3e-4, epochs=7)
    assert recipe.augment == Recipe().augment
    assert recipe.model.options == {"channels": (3, 5), "dropout": 0.25}, "its other keys"
    text = to_toml(Recipe())
    assert all(f"\n{f.name} = " in text for f in dataclasses.fields(Train))


@pytest.mark.parametrize("text", ["", TEXT, "[features]\nf_max = 3800\n"])
def test_written_and_read_it_is_the_same(text):
    recipe = parse_recipe(text)
    assert parse_recipe(to_toml(recipe)) == recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_reads(name):
    recipe = load_recipe(name)
    assert recipe.description
    assert parse_recipe(to_toml(recipe)) == recipe


def test_overrides_are_applied_in_order_and_typed():
    recipe = parse_recipe(
        TEXT,
        overrides=[
            "train.lr=1e-3",
            "train.optimizer=sgd",
            "train.compile = true",
            'data.protocol="v2-12"',
            "model.channels=[7]",
            "train.lr=1",
        ],
    )
    assert (recipe.train.lr, recipe.train.optimizer, recipe.train.compile) == (1.0, "sgd", True)
    assert recipe.data.protocol == "v2-12"
    assert recipe.model.options["channels"] == (7,)


def test_overrides_need_only_fit_together_at_the_end_and_keep_their_type():
    parse_recipe(
        "[augment]\nwarp_frequency=0.1",
        overrides=["features.kind=mfcc", "augment.warp_frequency=0"],
    )
    found = [parse_recipe("", overrides=[f"data.unknown={x}"]) for x in ("all", "2000", "protocol")]
    assert [recipe.data.unknown for recipe in found] == ["all", 2000, "protocol"]
    assert all(parse_recipe(to_toml(recipe)) == recipe for recipe in found)


@pytest.mark.parametrize(("override", "sentence"), data_beside(__file__)["mistakes"])
def test_a_mistake_is_one_sentence_with_key_expectation_and_value(override, sentence):
    message = refused(override)
    assert sentence in message
    assert override in message or override.startswith("cpu.")


def test_a_mistake_in_a_file_names_the_file():
    with pytest.raises(UsageError, match=r"^mine.toml: unknown key train.zzz"):
        parse_recipe("[train]\nzzz = 1", where="mine.toml")
    with pytest.raises(UsageError, match=r"^mine.toml: data is a section"):
        parse_recipe("data = 1", where="mine.toml")
    with pytest.raises(UsageError, match=r"^mine.toml: not valid TOML: .*document"):
        parse_recipe("[train", where="mine.toml")


OF_WAVEFORMS = ("speed=1", "time_shift=1", "noise_volume=1", "noise_ratio=[-2, 35]", "rooms=1")
OF_LOG_MEL = ("warp_frequency", "warp_time", "tilt", "band_limit")


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        *(
            ("data.task=speakers", f"augment.{x}", "has no effect")
            for x in (*OF_WAVEFORMS, "gain=1")
        ),
        *(("features.kind=mfcc", f"augment.{x}=1", f"augment.{x} is for") for x in OF_LOG_MEL),
        *(("features.deltas=1", f"augment.{x}=1", "without deltas") for x in OF_LOG_MEL),
        *(
            ("data.task=speakers", f"data.{x}", "has no effect")
            for x in ("unknown=all", "unknown=20", "count_as=v2-12")
        ),
        *(
            (f"data.task={x}", "features.deltas=1", f"no effect where data.task={x}")
            for x in ("speakers", "transcription")
        ),
        ("features.kind=mfcc", "features.n_mfcc=41", "n_mfcc=41"),
        ("features.deltas=1", "features.kind=waveform", "a waveform has none"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(one, other, sentence):
    assert sentence in refused(one, other)


def test_noise_has_one_measure_made_up_words_a_class_and_no_more_bands_are_kept_than_there_are():
    both = refused("augment.noise_volume=0.1", "augment.noise_ratio=[0, 0]")
    assert "augment.noise_volume and augment.noise_ratio exclude each other" in both
    for made in ("augment.garbled=0.1", "data.spare_words=3", "data.spare_talk=3"):
        assert f"{made.partition('=')[0]} makes other" in refused(made, "data.protocol=v2-35")
        parse_recipe("", overrides=[made, "data.protocol=own:ja"])
    sentence = refused("augment.band_limit=0.5", "features.n_mels=17")
    assert "augment.min_bands=20 is more than the 17 bands" in sentence
    parse_recipe("", overrides=["augment.band_limit=0.5", "features.n_mels=20"])


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("keyword", "keywords'"),
        ("twelve-classes/cosin", "twelve-classes/cosine"),
        ("twelve-classes", "twelve-classes"),
    ],
)
def test_an_unknown_recipe_is_told_the_near_name(name, near):
    with pytest.raises(UsageError, match=rf"no such recipe \(did you mean '{near}") as caught:
        load_recipe(name)
    assert "group/name of an experiment in" in str(caught.value)


def test_a_recipe_may_be_a_file_with_a_base(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "speaker-lab/conformer"\n[model]\nd_ff = 64\n[cpu]\ntrain.lr = 0.5\n')
    mine, base = load_recipe(path), load_recipe("speaker-lab/conformer")
    assert changed_keys(base, mine) == [("model.d_ff", None, 64)]
    assert (mine.description, mine.reported.source) == ("", "")
    short = load_recipe(path, short=True).train
    assert (short.lr, short.total_steps) == (0.5, base.cpu.options["train.total_steps"])
    file = tmp_path / "mine.toml"
    file.write_text(TEXT)
    assert load_recipe(file, ["train.epochs=9"]).train.epochs == 9
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not a text file"):
        load_recipe(file)


@pytest.mark.parametrize(
    ("base", "sentence"),
    [
        ("'speaker-lab/conformr'", "base = speaker-lab/conformr: no such recipe (did you mean"),
        ("'mine.toml'", "mine.toml: no such recipe"),  # a file has no base beside it
        ("3", "base expects a string, got 3"),
    ],
)
def test_a_base_is_a_recipe_of_the_package(tmp_path, base, sentence):
    path = tmp_path / "mine.toml"
    path.write_text(f"base = {base}\n")
    with pytest.raises(UsageError, match=re.escape(sentence)):
        load_recipe(path)


def test_changed_keys_name_each_difference():
    old = parse_recipe(TEXT)
    new = parse_recipe(TEXT, overrides=["train.lr=1", "model.dropout=0.5", "model.pooling=mean"])
    assert changed_keys(old, new) == [
        ("model.dropout", 0.25, 0.5),
        ("model.pooling", None, "mean"),
        ("train.lr", 3e-4, 1.0),
    ]
    assert changed_keys(old, dataclasses.replace(old, description="other")) == []


REPORTED = """
[reported]
accuracy = 98.02
spread = 0.08
data = "12 classes"
source = "report"

[cpu]
train.epochs = 2
"model.dropout" = 0.0
model.channels = [3, 5]
"""


def test_what_was_reported_and_what_a_cpu_runs_change_nothing_in_a_run():
    plain, full = parse_recipe(""), parse_recipe(REPORTED)
    assert (full.reported.accuracy, full.reported.spread, full.reported.n) == (98.02, 0.08, None)
    assert full.reported
    assert not plain.reported
    assert changed_keys(plain, full) == []
    assert "reported" not in to_toml(plain)
    assert parse_recipe(to_toml(full)) == full
    alone = refused("reported.source=x", "reported.data=y", "reported.n=3")
    assert "belong to reported.accuracy" in alone


def test_shortened_it_is_what_the_section_cpu_says_unless_overridden():
    full, short = (parse_recipe(REPORTED, short=short) for short in (False, True))
    assert changed_keys(full, short) == [
        ("model.dropout", None, 0.0),
        ("model.channels", None, (3, 5)),
        ("train.epochs", 30, 2),
    ]
    assert parse_recipe(to_toml(full), short=True) == short
    assert parse_recipe(REPORTED, overrides=["train.epochs=9"], short=True).train.epochs == 9
    assert parse_recipe(REPORTED, overrides=["cpu.train.epochs=9"], short=True).train.epochs == 9


def test_groups_of_experiments_are_sorted_and_load_by_name():
    groups = experiment_groups()
    assert list(groups) == sorted(groups)
    assert all(names == sorted(names) for names in groups.values())
    assert load_recipe("twelve-classes/cosine").reported.accuracy == 82.11
    assert not set(recipe_names()) & set(groups["twelve-classes"])


def test_a_checkpoint_keeps_what_was_reported(untrained, tmp_path):
    from kws.training.checkpoint import load_model, save_checkpoint

    trained = untrained(labels=("a", "b"))
    full = dataclasses.replace(trained.recipe, reported=parse_recipe(REPORTED).reported)
    save_checkpoint(tmp_path / "best.pt", state_of(dataclasses.replace(trained, recipe=full)))
    assert load_model(tmp_path).recipe == full


# What a recipe's features are


@pytest.mark.parametrize(("change", "differs"), data_beside(__file__)["features"])
def test_every_key_of_the_features_counts(change, differs):
    x = torch.randn(2, 1_000) / 10
    plain = compute_features(Features(), x)
    changed = compute_features(Features(**change), x)
    assert (plain.shape != changed.shape or not torch.equal(plain, changed)) == differs
    assert changed.shape[-1] == Features(**change).num_features


@pytest.mark.parametrize(
    ("kind", "function", "settings"),
    [
        ("mfcc", mfcc, {"n_mfcc": 13, "n_mels": 23}),
        ("mel", mel_spectrogram, {"n_mels": 23, "f_max": 7600.0}),
        ("mel_db", mel_db, {"n_mels": 23, "floor": 1e-3, "window": 512, "hop": 100}),
        ("waveform", lambda x: x[..., None], {}),
        ("mfcc", lambda x, deltas: with_deltas(mfcc(x), deltas), {"deltas": 2}),
    ],
)
def test_kinds_of_features(kind, function, settings):
    config, x = Features(kind=kind, **settings), torch.randn(2, 1_000)
    features = compute_features(config, x)
    assert torch.equal(features, function(x, **settings))
    assert config.num_features == features.shape[-1]

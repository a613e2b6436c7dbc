"""The recipes of the experiments: every reported figure once, published sizes, short forms."""

from functools import cache

import pytest
import torch

from kws.data.protocols import PROTOCOLS, get_protocol, on_the_embedded_corpus
from kws.models.counts import count_parameters, measured_parts
from kws.models.registry import PRETRAINED
from kws.training.checkpoint import new_model
from kws.training.recipe import (
    RECIPES,
    Recipe,
    changed_keys,
    experiment_groups,
    load_recipe,
    parse_recipe,
    to_toml,
)
from tests.conftest import data_beside, toml_of

OURS = ("official/", "questions/")  # nobody ran these but us
DATA = data_beside(__file__)
NAMES = [f"{group}/{name}" for group, names in experiment_groups().items() for name in names]


load = cache(load_recipe)


def recipes(short: bool = False) -> dict[str, Recipe]:
    return {name: load(name, short=short) for name in NAMES}


def on_paper(recipe: Recipe) -> torch.nn.Module:
    """The model without memory for its weights."""
    speakers = recipe.data.task == "speakers"
    classes = 600 if speakers else len(get_protocol(recipe.data.protocol).labels)
    with torch.device("meta"):
        return new_model(recipe, classes)


def test_every_reported_figure_has_one_recipe():
    found = {name: recipe.reported.accuracy for name, recipe in recipes().items()}
    assert {name: x for name, x in found.items() if x is not None} == DATA["reported"]
    spreads = {name: recipe.reported.spread for name, recipe in recipes().items()}
    assert {name: x for name, x in spreads.items() if x} == {"twelve-classes/crnn-attention": 0.08}
    assert list(experiment_groups()) == DATA["groups"]


def written(name: str) -> dict:
    """The keys of [train] that a recipe and its bases write themselves."""
    table = toml_of(RECIPES / f"{name}.toml")
    below = written(table["base"]) if "base" in table else {}
    return {**below, **table.get("train", {})}


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_builds_has_a_short_form_and_says_what_was_reported(name):
    full, short = (load(name, short=short) for short in (False, True))
    assert parse_recipe(to_toml(full)) == full
    assert full.description
    about, ours = full.reported, name.startswith(OURS)
    assert bool(about) == bool(about.source and about.data and about.note) == (not ours)
    if full.data.task == "keywords":
        for protocol in (full.data.protocol, full.data.count_as or full.data.protocol):
            assert on_the_embedded_corpus(protocol) in PROTOCOLS
    if full.model.name in PRETRAINED:
        pytest.importorskip("transformers")
    on_paper(full)
    if ours or full.model.name in PRETRAINED:  # short as it is, or too large for a CPU
        assert short == full
    else:
        changed = {key for key, _, _ in changed_keys(full, short)}
        assert {"train.epochs", "train.total_steps"} & changed, "nothing is shorter"
        on_paper(short)
    if not name.startswith("questions/"):  # no default of ours sneaks into a reported run
        train = written(name)
        needed = {"clip_norm", "decay", "precision", "schedule"}
        needed |= {"momentum"} if train.get("optimizer") in ("sgd", "rmsprop") else set()
        assert needed <= set(train)
        assert train["schedule"] != "cosine" or {"warmup", "warmup_steps"} & set(train)


def test_models_have_the_published_number_of_parameters():
    everything = recipes()
    found = {name: count_parameters(on_paper(everything[name])) for name in DATA["parameters"]}
    assert found == DATA["parameters"]
    encoders = {
        name: measured_parts(on_paper(everything[name]))["encoder"] for name in DATA["encoders"]
    }
    assert encoders == DATA["encoders"]


def test_what_a_row_is_about_stays_in_the_short_form():
    """A shortened run may be narrower: never another rate, optimizer, schedule or loss."""
    rates = ("thirty-words/", "twelve-classes/adam", "twelve-classes/first", "convs2s/", "mel-lstm")
    for name, short in recipes(short=True).items():
        changed = {key for key, _, _ in changed_keys(load(name, short=False), short)}
        kept = {"train.optimizer", "train.schedule", "train.loss", "model.name", "model.positions"}
        kept |= {"data.protocol", "features.kind", "features.normalize"}
        kept |= {"train.lr"} if name.startswith(rates) else set()
        assert not changed & kept, name


def test_one_thing_differs_between_rows_that_are_compared():
    loaded = recipes(short=True)

    def differ(one: str, other: str) -> set[str]:
        return {key for key, _, _ in changed_keys(loaded[one], loaded[other])}

    for one, other, *keys in DATA["differ"]:
        assert differ(one, other) == set(keys)
    for one, other, *keys in DATA["differ_at_most"]:
        assert differ(one, other) <= set(keys)
    grid = {
        f"{m}-{d}-{n}": (m, d, n)
        for m in ("encoder", "conformer")
        for d in (80, 320, 1280)
        for n in ("none", "batch")
    }
    keys = ("model.name", "model.d_ff", "model.normalization")
    for one, sizes in grid.items():
        for other, others in grid.items():
            expected = {key for key, a, b in zip(keys, sizes, others, strict=True) if a != b}
            assert differ(f"speaker-lab/{one}", f"speaker-lab/{other}") == expected

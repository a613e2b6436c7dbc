"""Separate other words: one logit each in training, one for all together wherever it counts."""

from dataclasses import replace

import pytest
import torch

from kws.data.clips import ClipSplit
from kws.data.protocols import V2_OTHER_WORDS, get_protocol
from kws.errors import UsageError
from kws.inference.evaluate import evaluate
from kws.models.recurrent import Crnn
from kws.training.checkpoint import load_model, new_model
from kws.training.loop import fit
from kws.training.other_words import SeparateOtherWords, labels_of_parts, split_other_words
from kws.training.recipe import load_recipe, parse_recipe
from tests.tolerances import SAME_SUMS

PROTOCOL = get_protocol("v2-12")
# a command, two other words, the first of them all, and one that no protocol knows
WORDS = ("yes", "bed", "cat", "backward", "hello")
PARTS = 12 - 1 + len(V2_OTHER_WORDS)
SMALL = ("model.name=crnn-small", "model.channels=[2, 2, 2]", "model.hidden_size=3")


@pytest.fixture
def words(tones):
    """`words(n)`: n clips of tones that stand for the words, under v2-12."""

    def make(n: int, seed: int = 0) -> ClipSplit:
        split = tones(n, seed)
        output = [WORDS[i % len(WORDS)] for i in range(n)]
        labels = [PROTOCOL.labels.index(PROTOCOL.label_of(word)) for word in output]
        return replace(
            split,
            names=[f"{word}/{i}.wav" for i, word in enumerate(output)],
            labels=torch.tensor(labels),
            label_names=PROTOCOL.labels,
            protocol=PROTOCOL.name,
        )

    return make


def recipe(*overrides: str):
    steps = ("train.total_steps=6", "train.batch_size=8", "train.validate_every=3")
    return parse_recipe("", overrides=[*SMALL, *steps, "data.other_words=separate", *overrides])


def test_each_other_word_is_a_label_of_its_own_and_counts_as_unknown(words):
    split = words(12)
    parted = split_other_words(split)
    named = [parted.label_names[label] for label in parted.labels.tolist()]
    assert named[:5] == ["yes", "bed", "cat", "_unknown_", "_unknown_"]
    assert parted.label_names == (*PROTOCOL.labels, *V2_OTHER_WORDS[1:])
    assert len(parted.label_names) == PARTS
    assert torch.equal(labels_of_parts(PROTOCOL)[parted.labels], split.labels)


def test_unknown_gets_the_sum_of_the_probabilities(float64):
    model = SeparateOtherWords(torch.nn.Identity(), num_classes=4, unknown=1)
    logits = 5 * torch.randn(3, 9)
    first, second, third, fourth, *rest = logits.softmax(1).unbind(1)
    counted = torch.stack([first, second + sum(rest), third, fourth], dim=1)
    torch.testing.assert_close(model.merge(logits).softmax(1), counted, rtol=0, atol=SAME_SUMS)


def test_a_run_learns_the_parts_and_counts_the_labels(words, tmp_path):
    train, validation = words(24), words(10, seed=1)
    history = fit(
        recipe(), train=train, validation=validation, out=tmp_path / "run", progress=False
    )
    trained = load_model(tmp_path / "run")
    assert trained.labels == PROTOCOL.labels
    logits = trained.logits(trained.features(validation.waveforms(torch.arange(10))))
    assert logits.shape == (10, 12)
    right = int((logits.argmax(1) == validation.labels).sum())
    assert evaluate(trained, validation)[0].accuracy.correct == right
    assert right == round(history.best["validation_accuracy"] * 10)
    trained.model.train()
    features = trained.features(validation.waveforms(torch.arange(10)))
    assert trained.model(features).shape == (10, PARTS)


def test_the_training_accuracy_is_over_the_labels(words, tmp_path):
    train = words(24)
    others = replace(train, names=["bed/1.wav"] * 24, labels=torch.ones(24, dtype=torch.int64))
    settings = recipe("train.lr=0.05", "train.batch_size=24", "train.total_steps=30")
    fit(settings, train=others, validation=others, out=tmp_path / "bed", progress=False)
    as_cats = replace(others, names=["cat/1.wav"] * 24)
    begun = recipe("train.lr=1e-9", "train.batch_size=24")
    history = fit(
        begun,
        train=as_cats,
        validation=as_cats,
        out=tmp_path / "cat",
        init=tmp_path / "bed",
        progress=False,
    )
    assert history.rows[-1]["train_accuracy"] == 1.0  # "bed" for "cat" is unknown, and right
    assert history.rows[-1]["train_loss"] > 0.5


@pytest.mark.parametrize("way", ["together to separate", "separate to together"])
def test_weights_carry_over_from_one_to_the_other_but_for_the_classifier(words, tmp_path, way):
    first, then = way.split(" to ")
    data = {"train": words(24), "validation": words(10, seed=1), "progress": False}
    short = "train.total_steps=1"
    fit(recipe(f"data.other_words={first}", short), out=tmp_path / "first", **data)
    still = recipe(f"data.other_words={then}", short, "train.lr=1e-12")
    fit(still, out=tmp_path / "then", init=tmp_path / "first" / "last.pt", **data)
    before, after = (load_model(tmp_path / run / "last.pt").model for run in ("first", "then"))
    before, after = (m.model if isinstance(m, SeparateOtherWords) else m for m in (before, after))
    assert isinstance(before, Crnn)
    weights = after.state_dict()
    for name, weight in before.named_parameters():
        if name.startswith("classify"):
            assert weights[name].shape != weight.shape
        else:
            # a few steps at a rate of 1e-12
            torch.testing.assert_close(weights[name], weight, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["own:ja,nein", "v2-35", "embedded-german"])
def test_a_protocol_that_names_no_other_words_is_learned_as_it_is(tones, name):
    protocol = get_protocol(name)
    model = new_model(recipe(f'data.protocol="{name}"'), len(protocol.labels))
    assert isinstance(model, Crnn)
    split = replace(tones(6), protocol=name, label_names=protocol.labels)
    assert split_other_words(split) is split
    assert labels_of_parts(protocol).tolist() == list(range(len(protocol.labels)))


@pytest.mark.parametrize(
    ("overrides", "output"),
    [
        (["train.loss=mse"], "train.loss=mse makes none: choose cross-entropy"),
        (["data.task=speakers"], "data.other_words has no effect where data.task=speakers"),
    ],
)
def test_recipes_that_could_not_add_probabilities_up_are_refused(overrides, output):
    with pytest.raises(UsageError, match=output):
        recipe(*overrides)


def test_the_best_recipe_for_people_learns_separate_other_words():
    model = new_model(load_recipe("keywords-best"), 12).eval()
    assert isinstance(model, SeparateOtherWords)
    assert model(torch.randn(2, 101, 40)).shape == (2, 12)

"""The training loop: it learns, every setting changes it, and it stops with a sentence."""

import itertools
import json
import math
import shutil

import pytest
import torch

from kws.errors import UsageError
from kws.training import classification
from kws.training.checkpoint import load_model, read_checkpoint
from kws.training.classification import fingerprint
from kws.training.history import read_history
from kws.training.loop import fit
from kws.training.losses import loss_per_example
from kws.training.recipe import load_recipe, parse_recipe
from kws.training.times import Times
from tests.tolerances import SAME_SUMS

pytestmark = pytest.mark.no_shapes

TINY = [
    "features.n_mels=13",
    "model.name=crnn",
    "model.channels=[3,5]",
    "model.pools=[[2,2],[2,2]]",
    "model.hidden_size=5",
    "model.num_layers=1",
    "model.dropout=0",
    "train.batch_size=7",
    "train.lr=0.01",
    "train.log_every=3",
]
SPEAKERS = ["data.task=speakers", "data.crop_frames=19", "model.name=tdnn", "model.channels=7"]
SPEAKERS += ["model.d_hidden=5", "features.n_mels=13", "train.batch_size=7", "train.lr=0.01"]


def recipe(*overrides: str):
    return parse_recipe("", overrides=[*TINY, *overrides])


@pytest.fixture(scope="module")
def fitted(tones):
    """`fitted(recipe, out, …)` trains on 31 clips and validates on 17."""

    def run(chosen, out, clips=31, **options):
        data = {"train": tones(clips), "validation": tones(17, seed=1, split="validation")}
        return fit(chosen, **data, out=out, progress=False, **options)

    return run


@pytest.fixture
def train(fitted, tmp_path):
    """`train("train.lr=1", …)` trains for two epochs of five steps."""
    count = itertools.count(1)

    def run(*overrides: str, out=None, **options):
        chosen = recipe("train.epochs=2", *overrides)
        return fitted(chosen, out or tmp_path / str(next(count)), **options)

    return run


@pytest.fixture(scope="module")
def plain(fitted, tmp_path_factory):
    """What `train()` gives, made once."""
    return fitted(recipe("train.epochs=2"), tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def short(fitted, tmp_path_factory):
    """Four steps of it."""
    return fitted(recipe("train.total_steps=4"), tmp_path_factory.mktemp("short"))


def weights(run, name="last.pt") -> torch.Tensor:
    """All weights of a checkpoint, in one row."""
    return torch.cat(
        [w.flatten().double() for w in read_checkpoint(run / name)["weights"].values()]
    )


def gap(a, b, name="last.pt") -> float:
    return (weights(a.path, name) - weights(b.path, name)).abs().max().item()


def test_it_learns(train):
    history = train("train.epochs=12")
    assert history.rows[-1]["train_loss"] < 0.5 * history.rows[0]["train_loss"]
    assert history.best["validation_accuracy"] > 0.9


def test_a_run_folder_holds_recipe_history_best_and_last(train):
    history = train("augment.time_shift=0.05", resume=True)  # which begins where nothing is
    names = {path.name for path in history.path.iterdir()}
    assert names == {"recipe.toml", "history.jsonl", "times.jsonl", "best.pt", "last.pt"}
    assert load_recipe(history.path / "recipe.toml") == recipe(
        "train.epochs=2", "augment.time_shift=0.05"
    )
    assert read_history(history.path).rows == history.rows
    assert load_model(history.path).labels == ("low", "middle", "high")
    assert load_model(history.path).protocol == "tones"
    places = [(row["step"], row["epoch"], row["validation_n"]) for row in history]
    assert places == [(5, 1, 17), (10, 2, 17)]
    assert history.rows[0]["lr"] > history.rows[1]["lr"] == 0
    trained = "step epoch lr train_loss train_accuracy gradient_norm"
    validated = "validation_loss validation_accuracy validation_n"
    assert list(history.rows[0]) == f"{trained} {validated}".split()


def test_loss_gradient_and_accuracy_of_a_row_are_those_since_the_row_before(plain, train, tones):
    history = train("train.validate_every=1")
    for key in ("train_loss", "gradient_norm"):
        each = [row[key] for row in history]
        assert plain.rows[0][key] == pytest.approx(math.fsum(each[:5]) / 5, rel=SAME_SUMS)
        assert plain.rows[1][key] == pytest.approx(math.fsum(each[5:]) / 5, rel=SAME_SUMS)
    history = train("train.batch_size=31", "train.lr=0")  # nothing changes but batch statistics
    trained, split = load_model(history.path), tones(31)
    features = trained.features(split.waveforms(torch.arange(31)))
    right = trained.model.train()(features, None).argmax(dim=1) == split.labels
    assert [row["train_accuracy"] for row in history] == pytest.approx(
        2 * [float(right.sum()) / 31]
    )


def test_the_norm_of_a_row_is_that_of_the_gradient_before_it_is_clipped(train):
    clipped = train("train.lr=0", "train.clip_norm=1e-3", "train.validate_every=1").rows
    free = train("train.lr=0", "train.clip_norm=0", "train.validate_every=1").rows
    assert [row["gradient_norm"] for row in clipped] == [row["gradient_norm"] for row in free]
    assert min(row["gradient_norm"] for row in free) > 1e-3


def test_the_times_have_a_file_of_their_own_and_go_on_after_a_pause(train, tmp_path):
    history = train("train.validate_every=5", "train.save_every=1", out=tmp_path / "run")
    rows = lines_of(history.path / "times.jsonl")
    assert [row["step"] for row in rows] == [row["step"] for row in history]
    assert rows[0]["seconds"] <= rows[1]["seconds"]
    assert all(row["examples_per_second"] > 0 for row in rows)
    later = Times(history.path, step=7)
    later.start()
    later.stop(3)
    later.save(10, examples_per_step=7)
    assert lines_of(history.path / "times.jsonl")[0] == rows[0]
    assert lines_of(history.path / "times.jsonl")[1]["seconds"] >= rows[0]["seconds"]


@pytest.mark.parametrize(
    ("changes", "steps"),
    [(["train.warmup=0.5"], 5), (["train.warmup_steps=3"], 3), (["train.warmup_steps=99"], 9)],
)
def test_the_warmup_is_a_share_or_a_number_of_steps(train, changes, steps):
    rates = [row["lr"] for row in train("train.validate_every=1", *changes)]
    assert rates.index(max(rates)) == steps - 1
    assert rates[: steps - 1] == sorted(rates[: steps - 1])


def lines_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", ["cross-entropy", "mse"])
def test_the_numbers_of_a_row_are_those_of_the_kept_model(train, tones, kind):
    history = train("train.epochs=3", f"train.loss={kind}")
    trained, split = load_model(history.path), tones(17, seed=1)
    logits = trained.logits(trained.features(split.waveforms(torch.arange(17))))
    accuracy = (logits.argmax(1) == split.labels).double().mean().item()
    targets = torch.nn.functional.one_hot(split.labels, 3).float()
    loss = loss_per_example(logits, targets, kind).mean().item()
    assert history.best["validation_accuracy"] == accuracy
    # the mean over batches and over all at once: float32, in another order
    assert history.best["validation_loss"] == pytest.approx(loss, rel=1e-5)
    assert history.best["step"] == trained.step


@pytest.fixture
def worse_and_worse(monkeypatch):
    """Every validation finds fewer right answers than the one before."""
    right = iter(range(15, 0, -1))

    def totals(model, batches, kind):
        return torch.tensor([9.0, next(right), 17.0], dtype=torch.float64)

    monkeypatch.setattr("kws.training.classification.score", totals)


@pytest.mark.usefixtures("worse_and_worse")
def test_best_is_kept_while_training_goes_on(train):
    history = train("train.epochs=4")
    assert history.best["step"] == load_model(history.path).step == 5
    assert read_checkpoint(history.path / "last.pt")["step"] == 20
    assert gap(history, train("train.epochs=1", "train.schedule=constant")) > 0
    first = train("train.epochs=4", "train.patience=1")  # stops at step 10
    assert torch.equal(weights(first.path, "best.pt"), weights(history.path, "best.pt"))


def test_the_same_seed_gives_the_same_run_whatever_was_drawn_before(train):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = train("augment.mixup=0.5", "model.dropout=0.3")
    assert torch.equal(torch.rand(3), expected), "the generator of the caller is left alone"
    second = train("augment.mixup=0.5", "model.dropout=0.3")
    assert gap(first, second) == 0
    assert first.rows == second.rows
    assert gap(first, train("augment.mixup=0.5", "model.dropout=0.3", "train.seed=1")) > 0


def test_speakers_are_measured_whole_and_on_crops_in_separate_columns(voices, tmp_path):
    history = fit(
        parse_recipe("", overrides=[*SPEAKERS, "train.epochs=15"]),
        train=voices(43),
        validation=voices(29, seed=1),
        out=tmp_path,
        progress=False,
    )
    best = history.best
    assert (best["validation_n"], best["crop_n"]) == (29, 29)
    assert best["validation_accuracy"] > 0.8
    assert any(row["validation_loss"] != row["crop_loss"] for row in history)
    assert load_model(tmp_path).protocol == "speakers"


@pytest.mark.parametrize(
    "override",
    [
        "train.optimizer=sgd",
        "train.lr=0.02",
        "train.weight_decay=0.9",
        "train.schedule=constant",
        "train.clip_norm=0.01",
        "train.label_smoothing=0.3",
        "train.precision=bfloat16",
        "features.normalize=dataset",
        "augment.mixup=1",
        "model.dropout=0.5",
    ],
)
def test_every_setting_changes_the_training(short, train, override):
    assert gap(short, train("train.total_steps=4", override)) > 0


def test_the_schedule_knobs_of_step_decay_are_used(train):
    step = ["train.schedule=step", "train.decay_epochs=1"]
    rates = [row["lr"] for row in train(*step, "train.decay_factor=0.5").rows]
    assert rates == [0.01, 0.005]
    assert [row["lr"] for row in train("train.schedule=step", "train.decay_epochs=2").rows] == [
        0.01,
        0.01,
    ]


def test_averaged_weights_are_what_is_measured_and_kept(plain, train):
    history = train("train.ema=0.9")
    state = read_checkpoint(history.path / "last.pt")
    assert gap(history, plain) == 0, "the training itself is the same"
    averaged, best = state["training"]["averaged"], read_checkpoint(history.path / "best.pt")
    same = [torch.equal(averaged[name], best["weights"][name]) for name in averaged]
    assert all(same) == (best["step"] == state["step"])
    assert any(not torch.equal(averaged[name], w) for name, w in state["weights"].items())


def test_validation_and_checkpoints_follow_their_own_rhythm(train, monkeypatch):
    saved = []
    monkeypatch.setattr("kws.training.loop.TrainingRun.save", lambda run: saved.append(run.step))
    history = train("train.validate_every=4", "train.save_every=3")
    assert [row["step"] for row in history] == [4, 8, 10]
    assert saved == [0, 3, 4, 6, 8, 9, 10]


@pytest.mark.usefixtures("worse_and_worse")
def test_it_stops_early_when_patience_is_over(train, tmp_path):
    history = train("train.epochs=9", "train.patience=3", out=tmp_path)
    assert [row["step"] for row in history] == [5, 10, 15, 20]
    again = train("train.epochs=9", "train.patience=3", out=tmp_path, resume=True)
    assert again.rows == history.rows


def test_accumulation_equals_a_larger_batch(fitted, tmp_path):
    """For a model without batch statistics, and uneven parts: 31 clips are 4 steps of 7 or 8."""
    overrides = ["features.n_mels=13", "model.name=kwt-1", "model.d_model=6", "model.num_layers=1"]
    overrides += ["model.d_ff=7", "model.max_tokens=101", "model.dropout=0", "train.optimizer=sgd"]
    overrides += ["augment.mixup=0.4", "augment.time_shift=0.1", "train.epochs=1"]

    def run(size):
        sizes = [f"train.batch_size={size}", f"train.accumulate={8 // size}"]
        return fitted(parse_recipe("", overrides=[*overrides, *sizes]), tmp_path / str(size))

    whole = run(8)
    for parts in (run(1), run(4)):
        assert 0 < gap(whole, parts) < 1e-6  # float32 gradients of weights below 1: summed in parts
        for a, b in zip(whole, parts, strict=True):
            assert a == pytest.approx(b, rel=1e-5)


@pytest.mark.parametrize(
    ("overrides", "options", "sentence"),
    [
        ([], {}, "contains a run already: continue it with --resume"),
        (["train.lr=0.02"], {"resume": True}, r"train\.lr was 0\.01 when this run .* is 0\.02 now"),
        (["train.epochs=3"], {"resume": True}, r"train\.epochs was 2"),
        ([], {"resume": True, "clips": 32}, "training data are not those"),
        ([], {"resume": True, "moved": "best.pt"}, r"last\.pt: contains a model, no training"),
    ],
)
def test_a_run_is_neither_overwritten_nor_resumed_as_another(
    plain, train, tmp_path, overrides, options, sentence
):
    out = shutil.copytree(plain.path, tmp_path / "run")
    shutil.copy(out / options.pop("moved", "last.pt"), tmp_path / "last.pt")
    (tmp_path / "last.pt").replace(out / "last.pt")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UsageError, match=sentence):
        train(*overrides, out=out, **options)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_loss_that_is_not_finite_stops_with_step_rate_and_advice(
    train, tones, tmp_path, monkeypatch
):
    real = classification.training_batch

    def poisoned(*arguments):
        batch = real(*arguments)
        if poisoned.calls == 7:
            batch.features[2, 3, 5] = math.nan
        poisoned.calls += 1
        return batch

    poisoned.calls = 0
    monkeypatch.setattr(classification, "training_batch", poisoned)
    with pytest.raises(UsageError) as caught:
        train("train.schedule=constant", out=tmp_path)
    message = str(caught.value)
    assert message.startswith("step 8: the loss is nan at learning rate 0.01: lower train.lr")
    assert str(tmp_path / "last.pt") in message
    assert read_checkpoint(tmp_path / "last.pt")["step"] == 5
    assert torch.isfinite(weights(tmp_path)).all()


def test_what_is_not_finite_stops_with_advice_and_a_good_checkpoint(train, tmp_path, monkeypatch):
    wild = ["train.lr=1e38", "train.optimizer=sgd", "train.clip_norm=0"]
    with pytest.raises(UsageError, match=r"^step \d+: .* at learning rate 1e\+38: lower train\.lr"):
        train(*wild, "train.schedule=constant", "train.save_every=1", out=tmp_path)
    assert torch.isfinite(weights(tmp_path)).all()
    real = torch.nn.utils.clip_grad_norm_
    norms = iter([1.0, 1.0, math.inf])

    def clip(parameters, limit):
        return real(parameters, limit) * next(norms, 1.0)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    with pytest.raises(UsageError, match=r"^step 3: the norm of the gradient is inf at learning"):
        train()


@pytest.mark.parametrize(
    ("overrides", "options", "sentence"),
    [
        ([], {"device": "cuda"}, "device cuda: this machine has no usable CUDA GPU"),
        (["model.name=crn"], {}, r"model 'crn' is unknown \(did you mean 'crnn'\?\)"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    train, overrides, options, sentence, tmp_path, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=sentence):
        train(*overrides, out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_data_and_recipe_must_be_about_the_same(tones, voices, tmp_path):
    def refused(chosen, train, validation):
        with pytest.raises(UsageError) as caught:
            fit(chosen, train=train, validation=validation, out=tmp_path, progress=False)
        return str(caught.value)

    speakers = parse_recipe("", overrides=SPEAKERS)
    assert "data.task=keywords" in refused(recipe(), voices(11), voices(7))
    assert "data.task=speakers" in refused(speakers, tones(11), tones(7))
    wide = parse_recipe("", overrides=[*SPEAKERS, "features.n_mels=40"])
    assert "n_mels=40, but the training split has 13 features" in refused(
        wide, voices(11), voices(7)
    )
    assert "validation split has no examples" in refused(recipe(), tones(11), tones(0))
    other = tones(7)
    object.__setattr__(other, "label_names", ("middle", "low", "high"))
    assert "another order" in refused(recipe(), tones(11), other)
    unlabeled = tones(7)
    unlabeled.labels[3] = -1
    assert "without a label" in refused(recipe(), tones(11), unlabeled)


# Beginning with other weights, and being interrupted


def test_init_begins_with_the_weights_of_another_run(train, tmp_path):
    first = train("train.epochs=4")
    second = train("train.lr=0", "train.total_steps=1", init=first.path)
    assert gap_of_parameters(first.path / "best.pt", second.path / "last.pt") == 0
    third = train("train.lr=0", "train.total_steps=1")
    assert gap_of_parameters(first.path / "best.pt", third.path / "last.pt") > 0


def gap_of_parameters(a, b) -> float:
    one, two = (read_checkpoint(path)["weights"] for path in (a, b))
    names = [name for name in one if name.endswith(("weight", "bias"))]
    return max((one[name] - two[name]).abs().max().item() for name in names)


def test_fingerprints_tell_data_apart(tones):
    assert fingerprint(tones(11)) == fingerprint(tones(11))
    assert fingerprint(tones(11)) != fingerprint(tones(11, seed=1))
    assert fingerprint(tones(11)) != fingerprint(tones(12))

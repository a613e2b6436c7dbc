"""Batches: which examples a step sees, how they are augmented, and what evaluation sees."""

import dataclasses
import math
from itertools import chain

import pytest
import torch

from kws.audio.normalize import Normalizer
from kws.data.speech_commands import load_speech_commands
from kws.training.batches import (
    Batch,
    Cached,
    evaluation_batches,
    fit_normalizer,
    fits_beside_training,
    generator_for,
    place_split,
    steps_per_epoch,
    training_batch,
    training_rows,
)
from kws.training.objective import part_of
from kws.training.recipe import compute_features, parse_recipe

PLAIN = Normalizer(kind="none")
SPEAKERS = ["data.task=speakers", "features.n_mels=13", "data.crop_frames=41"]


def recipe(*overrides: str):
    return parse_recipe("", overrides=overrides)


@pytest.mark.parametrize(("n", "batch_size"), [(31, 7), (7, 7), (8, 7), (3, 7), (100, 1)])
def test_a_pass_visits_every_example_once_in_batches_of_nearly_one_size(n, batch_size):
    for epoch in range(2):
        steps = range(
            epoch * steps_per_epoch(n, batch_size), (epoch + 1) * steps_per_epoch(n, batch_size)
        )
        batches = [training_rows(s, n=n, batch_size=batch_size, seed=0) for s in steps]
        assert sorted(torch.cat(batches).tolist()) == list(range(n))
        sizes = {len(rows) for rows in batches}
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1


def test_the_order_depends_on_seed_and_pass_and_a_generator_on_seed_purpose_and_step():
    first = [training_rows(s, n=31, batch_size=7, seed=0).tolist() for s in range(10)]
    torch.rand(3)
    again = [training_rows(s, n=31, batch_size=7, seed=0).tolist() for s in reversed(range(10))]
    assert first == again[::-1]
    assert list(chain(*first[:5])) != list(chain(*first[5:]))
    assert first[0] != training_rows(0, n=31, batch_size=7, seed=1).tolist()
    draws = {
        torch.rand(1, generator=generator_for(*key)).item()
        for key in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (11, "a", 0), (1, "a", 10)]
    }
    assert len(draws) == 6


def make(split, chosen, normalize=PLAIN, step=0, rows=(3, 1, 4, 0, 5)):
    generator = generator_for(0, "augmentation", step)
    return training_batch(split, chosen, normalize, torch.tensor(rows), generator)


def test_without_augmentation_a_keyword_batch_is_the_features_of_its_rows(tones):
    split, chosen = tones(7), recipe()
    batch = make(split, chosen)
    rows = torch.tensor([3, 1, 4, 0, 5])
    assert batch.valid is None
    assert torch.equal(batch.features, compute_features(chosen.features, split.waveforms(rows)))
    assert torch.equal(batch.targets, torch.eye(len(split.label_names))[split.labels[rows]])
    both = torch.cat([batch.features.roll(1, dims=0), batch.features], dim=1)
    assert torch.equal(make(split, recipe("augment.preceded=1")).features, both)


KNOBS = """speed=0.2 time_shift=0.1 noise_volume=0.5 noise_ratio=[0,9] rooms=1 gain=9 tilt=12
    warp_frequency=0.2 warp_time=0.2 band_limit=1 time_masks=2 freq_masks=2 mixup=1"""


@pytest.mark.parametrize("knob", KNOBS.split())
def test_every_augmentation_changes_the_batch_by_step_and_not_by_luck(tones, knob):
    split, chosen = tones(7), recipe(f"augment.{knob}")
    batch = make(split, chosen)
    torch.rand(5)
    assert torch.equal(batch.features, make(split, chosen).features)
    assert not torch.equal(batch.features, make(split, recipe()).features)
    assert not torch.equal(batch.features, make(split, chosen, step=1).features)
    assert batch.features.shape == (5, 101, 40)


def test_band_limit_keeps_the_floor_of_the_features(tones):
    chosen = recipe("augment.band_limit=1", "augment.min_bands=1", "features.floor=1e-3")
    assert make(tones(7), chosen).features.min() >= math.log(1e-3) - 1e-6


@pytest.mark.parametrize(
    ("on", "change"),
    [
        ("noise_volume=0.5", "noise_probability=0"),
        ("noise_ratio=[0, 9]", "noise_ratio=[0, 10]"),
        ("band_limit=1", "min_bands=39"),
        ("time_masks=2", "max_time=1"),
        ("freq_masks=2", "max_freq=1"),
    ],
)
def test_the_limits_of_an_augmentation_are_used(tones, on, change):
    split, on, change = tones(7), f"augment.{on}", f"augment.{change}"
    assert not torch.equal(
        make(split, recipe(on)).features, make(split, recipe(on, change)).features
    )


def test_garbled_words_count_as_unknown_and_silence_stays(tiny_corpus, monkeypatch):
    monkeypatch.setattr("kws.data.own_words.spare_corpus", lambda: tiny_corpus)
    split = load_speech_commands(tiny_corpus, "embedded-12", "training", spare_words=2)
    silence = split.labels == split.label_names.index("_silence_")
    rows = [i for some in (silence, ~silence) for i in some.nonzero()[-11:, 0].tolist()]
    silence, plain = silence[rows], recipe("data.protocol=embedded-12")
    before = make(split, plain, rows=rows)
    after = make(split, recipe("data.protocol=embedded-12", "augment.garbled=1"), rows=rows)
    assert torch.equal(after.features[silence], before.features[silence])
    assert torch.equal(after.targets[silence], before.targets[silence])
    changed = (after.features != before.features).flatten(1).any(1)
    assert changed.equal(~silence)
    assert set(after.targets[~silence].argmax(1).tolist()) == {split.label_names.index("_unknown_")}


def test_masks_come_after_normalization_and_mixup_mixes_the_targets(tones):
    """Masks are filled with an example's mean: zero, once its mean is subtracted."""
    chosen = recipe("augment.time_masks=3", "augment.max_time=40")
    batch = make(tones(7), chosen, Normalizer(kind="utterance"))
    assert (batch.features.abs() < 1e-5).all(dim=2).any()
    batch = make(tones(7), recipe("augment.mixup=1"))
    assert torch.allclose(batch.targets.sum(1), torch.ones(5))
    assert (batch.targets.max(1).values < 1).any()


def test_crops_are_masked_where_an_utterance_is_short(voices):
    split, rows = voices(11), torch.tensor([3, 1, 4, 0, 5])
    batch = make(split, recipe(*SPEAKERS, "data.crop_frames=91"))
    assert batch.valid is not None
    assert torch.equal(batch.valid.sum(1), split.lengths[rows])
    chosen = recipe(*SPEAKERS, "data.crop_frames=19")
    batch = make(split, chosen)
    assert batch.valid is None
    assert batch.features.shape == (5, 19, 13)
    assert not torch.equal(batch.features, make(split, chosen, step=1).features)


def test_of_two_mixed_utterances_every_real_frame_is_real(voices):
    split = voices(11)
    plain = make(split, recipe(*SPEAKERS, "data.crop_frames=91"))
    mixed = make(split, recipe(*SPEAKERS, "data.crop_frames=91", "augment.mixup=1"))
    assert mixed.valid is not None
    assert plain.valid is not None
    assert mixed.features.shape == plain.features.shape
    assert (mixed.valid >= plain.valid).all()
    assert (mixed.valid.sum() > plain.valid.sum()).item()
    for length in mixed.valid.sum(1).tolist():
        assert length in split.lengths.tolist()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_parts_of_a_batch_are_the_batch(tones, count):
    batch = make(tones(7), recipe())
    whole = (batch.features, batch.valid, batch.targets)
    parts = [part_of(whole, i, count) for i in range(count)]
    for place in (0, 2):
        assert torch.equal(torch.cat([part[place] for part in parts]), whole[place])
    sizes = [len(part[0]) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_data_that_stay_on_the_cpu_are_moved_batch_by_batch(tones, voices):
    """The device "meta" stands for a GPU: it has shapes only, and refuses to meet the CPU."""
    fits = [fits_beside_training(*pair) for pair in ((5, 10), (6, 10), (0, 0))]
    assert fits == [True, False, True]
    cpu, gpu = torch.device("cpu"), torch.device("meta")
    assert place_split(tones(3), cpu).labels.device == cpu
    clips = recipe("features.kind=waveform")
    for split, chosen in ((tones(7), clips), (voices(7), recipe(*SPEAKERS))):
        plain, rows = Normalizer(kind="none"), torch.arange(5)
        batches = list(evaluation_batches(split, chosen, plain, device=gpu))
        assert {x.device for batch in batches for x in (batch.features, batch.labels)} == {gpu}
        batch = training_batch(split, chosen, plain, rows, generator_for(0, "a", 0), gpu)
        assert (batch.features.device, batch.targets.device) == (gpu, gpu)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("kws.training.batches.EVALUATION_BATCH", 5)
    monkeypatch.setattr("kws.training.batches.EVALUATION_FRAMES", 300)


@pytest.mark.usefixtures("small_batches")
def test_evaluation_sees_every_clip_once_in_order_and_unaugmented(tones):
    split = tones(13)
    chosen = recipe("augment.time_shift=0.1", "augment.mixup=1", "augment.time_masks=2")
    batches = list(evaluation_batches(split, chosen, PLAIN))
    assert [len(batch) for batch in batches] == [5, 5, 3]
    assert torch.equal(torch.cat([batch.index for batch in batches]), torch.arange(13))
    assert torch.equal(torch.cat([batch.labels for batch in batches]), split.labels)
    expected = compute_features(chosen.features, split.waveforms(torch.arange(13)))
    assert torch.allclose(torch.cat([batch.features for batch in batches]), expected)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("kind", ["clips", "whole", "crops"])
def test_processes_share_the_evaluation(tones, voices, kind):
    split = tones(13) if kind == "clips" else voices(13)
    chosen = recipe() if kind == "clips" else recipe(*SPEAKERS)

    def indices(rank, world):
        batches = evaluation_batches(
            split, chosen, PLAIN, crops=kind == "crops", rank=rank, world=world
        )
        return [batch.index.tolist() for batch in batches]

    assert sorted(chain(*indices(0, 1))) == list(range(13))
    shared = [indices(rank, 2) for rank in range(2)]
    assert all(shared)
    assert sorted(shared[0] + shared[1]) == sorted(indices(0, 1))


@pytest.mark.usefixtures("small_batches")
def test_whole_utterances_and_crops_are_different_views(voices):
    split, chosen = voices(13), recipe(*SPEAKERS)
    whole = {
        int(i): int(n)
        for batch in evaluation_batches(split, chosen, PLAIN)
        for i, n in zip(batch.index, batch.valid.sum(1), strict=True)  # pyright: ignore
    }
    assert whole == dict(enumerate(split.lengths.tolist()))
    crops = list(evaluation_batches(split, chosen, PLAIN, crops=True))
    assert {batch.features.shape[1] for batch in crops} == {41}
    again = list(evaluation_batches(split, chosen, PLAIN, crops=True))
    assert all(torch.equal(a.features, b.features) for a, b in zip(crops, again, strict=True))


def test_small_evaluation_sets_are_made_once_and_large_ones_anew():
    made = []

    def two():
        for i in range(2):
            made.append(i)
            mel = torch.full((3, 5, 2), float(i))
            yield Batch(
                features=mel, valid=None, labels=torch.zeros(3).long(), index=torch.arange(3)
            )

    size = 2 * 3 * 5 * 2 * 4  # bytes
    for limit, expected in ((size, 2), (size - 1, 4), (0, 4)):
        made.clear()
        batches = Cached(two, limit)
        assert [batch.features[0, 0, 0].item() for batch in batches] == [0, 1]
        assert [batch.features[0, 0, 0].item() for batch in batches] == [0, 1]
        assert len(made) == expected


def test_utterance_normalization_subtracts_the_mean_over_real_frames():
    mel = torch.randn(2, 7, 3)
    valid = torch.arange(7) < torch.tensor([[7], [4]])
    normalize = Normalizer(kind="utterance")
    y = normalize(mel, valid)
    # atol: means of seven float32 numbers near 1, summed in another order
    assert torch.allclose(y[1, :4], mel[1, :4] - mel[1, :4].mean(0), atol=1e-6)
    assert torch.equal(y[1, 4:], torch.zeros(3, 3))
    other = mel.masked_fill(~valid[..., None], 99.0)
    assert torch.equal(normalize(other, valid), y)
    # atol: as above
    assert torch.allclose(normalize(mel)[0], y[0], atol=1e-6)
    assert torch.equal(PLAIN(mel), mel)


@pytest.mark.parametrize("task", ["keywords", "speakers"])
def test_dataset_normalization_is_measured_on_the_training_data(tones, voices, task):
    extra = SPEAKERS if task == "speakers" else []
    split = voices(13) if task == "speakers" else tones(13)
    chosen = recipe(*extra, "features.normalize=dataset", "augment.time_masks=2")
    normalize = fit_normalizer(split, chosen)
    batches = [
        batch.features.flatten(0, 1) if batch.valid is None else batch.features[batch.valid]
        for batch in evaluation_batches(split, chosen, normalize)
    ]
    frames = torch.cat(batches)
    # statistics are kept in float32; the deviation has a floor, and is over n, not n - 1
    assert frames.mean(0).abs().max() < 1e-4
    assert (frames.std(0) - 1).abs().max() < 1e-2
    for kind in ("none", "utterance"):
        assert fit_normalizer(split, recipe(*extra, f"features.normalize={kind}")).mean is None
    if task == "keywords":  # a constant band is not divided by zero
        silent = dataclasses.replace(split, audio=torch.zeros(13, 16_000, dtype=torch.int16))
        silence = compute_features(recipe().features, torch.zeros(1, 16_000))
        assert fit_normalizer(silent, chosen)(silence).abs().max() < 1e-2

"""Properties of every augmentation: per example, seeded, bounded, exact where it can be."""

import math

import pytest
import torch

from kws.audio.augment import (
    add_noise,
    add_room,
    band_limit,
    change_speed,
    garble,
    mixup,
    random_gain,
    random_tilt,
    spec_augment,
    time_shift,
    warp_frequency,
    warp_time,
)
from tests.tolerances import SAME_SUMS

FLOOR = math.log(1e-6)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def waveform(float64):
    return torch.randn(5, 401)


@pytest.fixture
def mel(float64):
    return torch.randn(5, 47, 23)


WAVE_OPS = {
    "time_shift": lambda x, g: time_shift(x, 37, g),
    "add_noise": lambda x, g: add_noise(x, torch.linspace(-1, 1, 997).to(x), g),
    "add_noise, by ratio": lambda x, g: add_noise(
        x, torch.linspace(-1, 1, 997).to(x), g, ratio_db=(-2.0, 35.0)
    ),
    "add_room": lambda x, g: add_room(x, g, probability=0.9),
    "garble": lambda x, g: garble(x, torch.arange(len(x)), g, probability=0.9)[0],
    "change_speed": lambda x, g: change_speed(x, 0.2, g),
    "random_gain": lambda x, g: random_gain(x, 6.0, g),
}
MEL_OPS = {
    "random_tilt": lambda x, g: random_tilt(x, 6.0, g),
    "band_limit": lambda x, g: band_limit(x, 11, g, probability=1.0),
    "warp_frequency": lambda x, g: warp_frequency(x, 0.2, g),
    "warp_time": lambda x, g: warp_time(x, 0.2, g),
    "spec_augment": lambda x, g: spec_augment(x, g),
    "mixup": lambda x, g: mixup(x, x[:, 0], 0.5, g)[0],
}
OPS = WAVE_OPS | MEL_OPS
NOTHING = {
    "time_shift": lambda x, g: time_shift(x, 0, g),
    "add_noise, never": lambda x, g: add_noise(x, torch.ones(99).to(x), g, probability=0.0),
    "add_noise, silent": lambda x, g: add_noise(x, torch.ones(99).to(x), g, max_volume=0.0),
    "add_noise, none": lambda x, g: add_noise(x, torch.zeros(0).to(x), g),
    "add_room": lambda x, g: add_room(x, g, probability=0.0),
    "garble": lambda x, g: garble(x, torch.arange(len(x)), g, probability=0.0)[0],
    "change_speed": lambda x, g: change_speed(x, 0.0, g),
    "random_gain": lambda x, g: random_gain(x, 0.0, g),
    "random_tilt": lambda x, g: random_tilt(x, 0.0, g),
    "band_limit, never": lambda x, g: band_limit(x, 11, g, probability=0.0),
    "band_limit, all bands": lambda x, g: band_limit(x, 23, g, probability=1.0),
    "warp_frequency": lambda x, g: warp_frequency(x, 0.0, g),
    "warp_time": lambda x, g: warp_time(x, 0.0, g),
    "spec_augment, no masks": lambda x, g: spec_augment(x, g, time_masks=0, freq_masks=0),
    "spec_augment, no width": lambda x, g: spec_augment(x, g, max_time=0, max_freq=0),
    "mixup": lambda x, g: mixup(x, x[:, 0], 0.0, g)[0],
}


def batch(name, dtype=torch.float64):
    """A batch whose examples are all the same, so that what differs afterwards was drawn."""
    generator = seeded(9)
    shape = (1, 401) if name.split(",")[0] in WAVE_OPS else (1, 47, 23)
    x = torch.randn(shape, generator=generator, dtype=dtype)
    return x.repeat(5, *[1] * (x.ndim - 1))


@pytest.mark.parametrize("name", [name for name in OPS if name != "mixup"])
def test_every_example_draws_for_itself(name):
    y = OPS[name](batch(name), seeded(2))
    assert len({tuple(row.flatten().tolist()) for row in y}) > 2


@pytest.mark.parametrize("name", OPS)
def test_a_seed_fixes_the_result_in_both_precisions_and_another_changes_it(name):
    x = batch(name) + torch.arange(5.0).view(5, *[1] * (batch(name).ndim - 1))
    y, narrow = OPS[name](x, seeded()), OPS[name](x.float(), seeded())
    assert torch.equal(OPS[name](x, seeded()), y)
    assert not torch.equal(OPS[name](x, seeded(1)), y)
    # float32 against float64: another draw would differ by tenths
    torch.testing.assert_close(narrow, y.float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_dtype_and_input_are_kept(name, dtype):
    x = batch(name, dtype)
    before = x.clone()
    y = OPS[name](x, seeded())
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert torch.equal(x, before)
    assert y.isfinite().all()


@pytest.mark.parametrize("name", NOTHING)
def test_a_setting_of_zero_changes_nothing(name):
    assert torch.equal(NOTHING[name](batch(name), seeded()), batch(name))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", OPS)
def test_the_gpu_draws_what_the_cpu_draws(name):
    x = batch(name)
    torch.testing.assert_close(OPS[name](x.cuda(), seeded()).cpu(), OPS[name](x, seeded()))


def test_shift_moves_the_content_and_fills_with_zeros():
    x = torch.arange(1.0, 32).expand(300, 31)
    y = time_shift(x, 7, seeded())
    shifts = []
    for row in y.tolist():
        first = next(n for n, value in enumerate(row) if value)
        s = first - int(row[first]) + 1
        assert row == [float(n - s + 1) if 0 <= n - s < 31 else 0.0 for n in range(31)]
        shifts.append(s)
    assert set(shifts) == set(range(-7, 8))


def test_noise_is_added_with_the_probability_and_below_the_volume():
    x = torch.zeros(2_000, 3)
    y = add_noise(x, torch.ones(11), seeded(), probability=0.3, max_volume=0.25)
    volume = y[:, 0]
    # four standard errors: sqrt(0.3 * 0.7 / 2000) is 0.01; of the mean below three
    assert (volume > 0).double().mean().item() == pytest.approx(0.3, abs=0.04)
    assert 0.24 < volume.max() <= 0.25
    assert volume[volume > 0].mean().item() == pytest.approx(0.125, abs=0.01)


def test_noise_is_any_passage_of_the_noise_added_and_repeated_if_it_is_short(waveform):
    noise = torch.arange(1.0, 10, dtype=torch.float64)
    y = add_noise(torch.zeros(500, 4).double(), noise, seeded(), probability=1.0, max_volume=1.0)
    step = y[:, 1:] - y[:, :-1]  # the volume: the noise climbs by 1
    start = (y[:, 0] / step[:, 0]).round()
    torch.testing.assert_close(y, step[:, :1] * (start[:, None] + torch.arange(4)))
    assert set(start.int().tolist()) == {1, 2, 3, 4, 5, 6}
    y = add_noise(waveform, torch.ones(500), seeded(), probability=1.0)
    difference = y - waveform
    torch.testing.assert_close(difference, difference[:, :1].expand_as(difference))
    y = add_noise(torch.zeros(1, 7), torch.tensor([1.0, 2]).double(), seeded(), probability=1.0)[0]
    expected = torch.tensor([1.0, 2.0] * 4)[int(y[0] > y[1]) :][:7]
    torch.testing.assert_close(y / y.min(), expected)


def test_noise_by_ratio_is_between_the_ratios_whatever_the_level_of_clip_and_noise():
    level = torch.logspace(-4, 0, 1_000, dtype=torch.float64)[:, None]
    x = level * torch.randn(1_000, 400, generator=seeded(1), dtype=torch.float64)
    noise = torch.randn(900, generator=seeded(2), dtype=torch.float64).cumsum(0)
    added = add_noise(x, noise, seeded(), probability=1.0, ratio_db=(-2.0, 35.0)) - x
    ratio = 10 * torch.log10(x.square().mean(1) / added.square().mean(1))
    assert -2 - 1e-6 < ratio.min() < -1.5
    assert 34.5 < ratio.max() < 35 + 1e-6
    assert ratio.mean().item() == pytest.approx(16.5, abs=4 * 37 / math.sqrt(12 * 1_000))
    same = add_noise(x, noise, seeded(), probability=1.0, ratio_db=(7.0, 7.0)) - x
    ratio = 10 * torch.log10(x.square().mean(1) / same.square().mean(1))
    torch.testing.assert_close(ratio, torch.full_like(ratio, 7), rtol=0, atol=0.1)


@pytest.mark.parametrize(("clip", "noise"), [(0, 1), (1, 0), (0, 0)])
def test_noise_by_ratio_of_silence_is_silence(clip, noise):
    x = torch.full((3, 50), float(clip))
    y = add_noise(
        x, torch.full((99,), float(noise)), seeded(), probability=1.0, ratio_db=(0.0, 9.0)
    )
    assert torch.equal(y, x)


def test_a_room_adds_echoes_that_come_after_the_sound_and_decay(float64):
    x = torch.zeros(200, 16_000)
    x[:, 1_000] = 1
    echoes = add_room(x, seeded(), probability=1.0) - x
    assert echoes[:, :1_000].abs().max() < SAME_SUMS
    energy = echoes.square().sum(1)
    assert 10**-1.21 < energy.min() < energy.max() < 1.01
    late, early = (echoes[:, at : at + 1_000].square().sum() for at in (3_000, 1_000))
    assert late < early / 5
    some = add_room(x, seeded(), probability=0.25)
    share = (some != x).any(1).double().mean().item()
    assert share == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 200))


def test_a_garbled_word_is_a_half_the_word_backwards_joined_halves_or_three_in_a_row():
    n, words = 600, 3  # a word is one value, then another: half of its energy has passed at 20
    x, labels = torch.zeros(n, 40, dtype=torch.float64), torch.arange(n) % words
    x[:, 10:20], x[:, 20:30] = 1 + labels[:, None], -1 - labels[:, None]
    y, chosen = garble(x, labels, seeded(), probability=0.5)
    assert chosen.double().mean().item() == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / n))
    assert torch.equal(y[~chosen], x[~chosen])
    ways = []
    talk = chosen & (y[:, 0] != 0)  # the middles of three words, the first its own
    assert (y[talk, :14].abs() == 1 + labels[talk, None]).all()
    assert len({tuple(row.tolist()) for row in y[talk]}) == words**3
    for before, after in zip(x[chosen & ~talk], y[chosen & ~talk], strict=True):
        word, first, last = before[10].item(), after[10].item(), after[25].item()
        assert not torch.cat([after[:9], after[31:]]).any()
        ways.append(
            {(word, 0): "first", (0, -word): "second", (-word, word): "reversed"}.get((first, last))
            or ("joined" if first == word and last < 0 and last != -word else "wrong")
        )
    assert set(ways) == {"first", "second", "reversed", "joined"}


def test_speed_changes_the_pitch_about_the_center_and_adds_zeros():
    x = torch.arange(1.0, 10, dtype=torch.float64).expand(50, 9)
    y = change_speed(x, 0.5, seeded())
    rate = y[:, 5] - y[:, 4]
    torch.testing.assert_close(y[:, 4], torch.full_like(rate, 5.0))
    position = 4 + rate[:, None] * (torch.arange(9) - 4)
    inside = (position >= 0) & (position <= 8)
    torch.testing.assert_close(y[inside], (position + 1)[inside])
    assert not y[(position <= -1) | (position >= 9)].any()
    assert not inside.all()
    n = torch.arange(16_000, dtype=torch.float64)
    x = torch.sin(2 * math.pi * 400 * n / 16_000).expand(50, -1)
    y = change_speed(x, 0.2, seeded())
    middle = y[:, 4_000:12_000] * torch.hann_window(8_000, dtype=torch.float64)
    hz = torch.fft.rfft(middle).abs().argmax(1) * 2.0
    assert 320 - 2 <= hz.min() < 330
    assert 470 < hz.max() <= 480 + 2


def test_gain_stays_within_its_decibels_and_tilt_is_a_line_through_the_middle(float64):
    y = random_tilt(torch.zeros(500, 2, 11), 6.0, seeded())
    decibel = y[:, 0] * 10 / math.log(10)
    torch.testing.assert_close(decibel[:, 5], torch.zeros(500))
    torch.testing.assert_close(decibel.diff(n=2), torch.zeros(500, 9))
    ends = decibel[:, -1] - decibel[:, 0]
    assert -6 <= ends.min() < -5.9
    assert 5.9 < ends.max() <= 6
    assert torch.equal(y[:, 0], y[:, 1])
    gain = random_gain(torch.ones(500, 2), 6.0, seeded())[:, 0].log10() * 20
    assert -6 <= gain.min() < -5.9
    assert 5.9 < gain.max() <= 6


def test_band_limit_keeps_the_lowest_bands_stops_at_the_floor_and_never_raises(float64):
    y = band_limit(torch.zeros(2_000, 2, 11), 7, seeded(), probability=0.4)
    kept = (y[:, 0] == 0).sum(1)
    assert set(kept.tolist()) == {7, 8, 9, 10, 11}
    # four standard errors: sqrt(0.32 * 0.68 / 2000) is 0.01
    assert (kept < 11).double().mean().item() == pytest.approx(0.4 * 4 / 5, abs=0.04)
    assert (y[:, :, :7] == 0).all()
    torch.testing.assert_close(y[kept == 7][:, :, 7:].unique(), torch.tensor([-6 * math.log(10)]))
    x = torch.tensor([FLOOR - 1, FLOOR + 1, 5.0]).view(3, 1, 1).repeat(1, 1, 2)
    y = torch.stack([band_limit(x, 1, seeded(seed), probability=1.0) for seed in range(20)])
    assert (y <= x).all()
    expected = torch.tensor([FLOOR - 1, FLOOR, 5 - 6 * math.log(10)])
    torch.testing.assert_close(y.amin(0)[:, 0, 1], expected)
    loud = band_limit(x, 1, seeded(1), probability=1.0, floor=1.0)
    assert loud.min() >= FLOOR - 1
    assert loud[2].min() >= 0


def test_frequency_warp_reads_scaled_bands_and_keeps_the_ends(float64):
    x = torch.arange(41.0).expand(200, 3, 41)
    y = warp_frequency(x, 0.2, seeded())
    factor = y[:, 0, 1]
    assert 0.8 <= factor.min() < 0.81
    assert 1.19 < factor.max() <= 1.2
    torch.testing.assert_close(y[:, 0, :26], factor[:, None] * torch.arange(26.0))
    torch.testing.assert_close(y[:, :, -1], torch.full((200, 3), 40.0))
    # from band 32 / max(a, 1) on, where the knee is, a straight line to the last band
    knee = 32 / factor.clamp(min=1)
    expected = 40 - (40 - 37) * (40 - factor * knee) / (40 - knee)
    torch.testing.assert_close(y[:, 0, 37], expected)


def test_time_warp_reads_scaled_frames_that_are_valid_about_the_center(float64):
    x = torch.arange(21.0)[:, None].expand(200, 21, 3)
    y = warp_time(x, 0.2, seeded())
    rate = y[:, 11, 0] - y[:, 10, 0]
    assert 0.8 <= rate.min() < 0.81
    assert 1.19 < rate.max() <= 1.2
    position = (10 + rate[:, None] * (torch.arange(21) - 10)).clamp(0, 20)
    torch.testing.assert_close(y, position[:, :, None].expand_as(y))
    lengths = torch.tensor([21, 13, 1, 0])
    valid = torch.arange(21) < lengths[:, None]
    x = torch.randn(4, 21, 3).where(valid[:, :, None], torch.nan)
    y = warp_time(x, 0.2, seeded(), valid=valid)
    assert y[~valid].isnan().all()
    alone = torch.cat([warp_time(x[:1], 0.2, seeded()), x[1:]])
    torch.testing.assert_close(y[0], alone[0])
    assert torch.equal(y[2, 0], x[2, 0])
    ramp = torch.arange(21.0)[:, None].expand(4, 21, 3).where(valid[:, :, None], torch.nan)
    warped = warp_time(ramp, 0.2, seeded(), valid=valid)[1, :13, 0]
    rate = warped[7] - warped[6]
    torch.testing.assert_close(warped, (6 + rate * (torch.arange(13) - 6)).clamp(0, 12))


def masks(y, x):
    changed = y != x
    return changed.all(2), changed.all(1)


def test_masks_are_so_many_spans_of_at_most_the_given_width(float64):
    x = torch.randn(500, 47, 23)
    in_time = spec_augment(x, seeded(), time_masks=1, max_time=7, freq_masks=0)
    in_freq = spec_augment(x, seeded(), freq_masks=1, max_freq=5, time_masks=0)
    for mask, widest in ((masks(in_time, x)[0], 7), (masks(in_freq, x)[1], 5)):
        assert set(mask.sum(1).tolist()) == set(range(widest + 1))
        edges = torch.nn.functional.pad(mask.int(), (1, 1)).diff().abs().sum(1)
        assert set(edges.tolist()) == {0, 2}  # one span, or none
        assert mask.any(0).all()  # every place is reached
    x = torch.randn(500, 47, 23)
    one = masks(spec_augment(x, seeded(), time_masks=1, freq_masks=0, max_time=5), x)[0]
    three = masks(spec_augment(x, seeded(), time_masks=3, freq_masks=0, max_time=5), x)[0]
    edges = torch.nn.functional.pad(three.int(), (1, 1)).diff().abs().sum(1)
    assert edges.max() == 6
    assert three.sum() > 2 * one.sum()


def test_masks_hold_the_mean_of_what_is_valid_in_their_example(mel):
    y = spec_augment(mel, seeded())
    means = mel.mean((1, 2))[:, None, None].expand_as(mel)
    torch.testing.assert_close(y[y != mel], means[y != mel])
    assert (y != mel).any((1, 2)).all()
    valid = torch.arange(47) < torch.tensor([47, 31, 13, 7, 2])[:, None]
    y = spec_augment(mel, seeded(), valid=valid)
    other = spec_augment(mel.where(valid[:, :, None], torch.nan), seeded(), valid=valid)
    assert torch.equal(y[valid], other[valid])


def test_masks_lie_on_valid_frames_and_padding_stays(float64):
    lengths = torch.tensor([47, 13, 2, 1, 0] * 60)
    valid = torch.arange(47) < lengths[:, None]
    x = torch.randn(300, 47, 23)
    y = spec_augment(x, seeded(), max_time=7, valid=valid)
    assert torch.equal(y[~valid], x[~valid])
    one = spec_augment(x, seeded(), time_masks=1, max_time=7, freq_masks=0, valid=valid)
    widths = (one != x).all(2).sum(1)[lengths == 13]
    assert set(widths.tolist()) == set(range(8))  # none is cut off by the end of the example
    assert widths.double().mean().item() == pytest.approx(3.5, abs=1)
    in_time = (y != x).all(2)
    assert set(in_time[lengths == 13].any(0)[:13].tolist()) == {True}
    torch.testing.assert_close(
        y[1][y[1] != x[1]].unique(), x[1, :13].mean()[None], atol=SAME_SUMS, rtol=0
    )


def test_mixup_is_exactly_the_convex_combination(float64):
    x, targets = torch.randn(7, 3, 5), torch.eye(7)
    y, mixed = mixup(x, targets, 0.4, seeded())
    torch.testing.assert_close(mixed.sum(1), torch.ones(7))
    assert (mixed >= 0).all()
    # the mixed one-hot targets are the weights
    torch.testing.assert_close(y, torch.einsum("bc,ctf->btf", mixed, x))
    assert ((mixed > 0).sum(1) == 2).any()
    own = mixed.diagonal()
    generator = seeded()
    perm = torch.randperm(7, generator=generator)
    share = torch.where(perm == torch.arange(7), 1.0, own)
    expected = share[:, None, None] * x + (1 - share[:, None, None]) * x[perm]
    torch.testing.assert_close(y, expected, atol=SAME_SUMS, rtol=0)


@pytest.mark.parametrize("alpha", [0.01, 0.2, 8.0])
def test_mixup_draws_from_the_beta_distribution(float64, alpha):
    x = torch.arange(4_000.0)[:, None]
    targets = torch.stack([torch.ones(4_000), torch.zeros(4_000)], 1)
    targets[2_000:] = targets[2_000:].flip(1)
    mixed = mixup(x, targets, alpha, seeded())[1]
    perm = torch.randperm(4_000, generator=seeded())
    share = mixed[:2_000, 0][perm[:2_000] >= 2_000]  # of those mixed with the other half
    assert share.isfinite().all()
    # three standard errors or more: about 1,000 shares
    assert share.mean().item() == pytest.approx(0.5, abs=0.05)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda x, m, g: time_shift(x, -1, g), "max_shift=-1"),
        (lambda x, m, g: add_noise(x, x[0], g, probability=1.5), "probability=1.5"),
        (lambda x, m, g: add_noise(x, x[0], g, max_volume=-0.1), "max_volume=-0.1"),
        (lambda x, m, g: change_speed(x, 1.5, g), "max_change=1.5"),
        (lambda x, m, g: random_gain(x, -1.0, g), "max_db=-1"),
        (lambda x, m, g: random_tilt(m, -1.0, g), "max_db=-1"),
        (lambda x, m, g: band_limit(m, 0, g), "min_bands=0 must be between 1 and the 23"),
        (lambda x, m, g: band_limit(m, 24, g), "min_bands=24"),
        (lambda x, m, g: band_limit(m, 2, g, probability=-1.0), "probability=-1"),
        (lambda x, m, g: warp_frequency(m, -0.1, g), "max_warp=-0.1"),
        (lambda x, m, g: warp_time(m, 1.1, g), "max_warp=1.1"),
        (lambda x, m, g: spec_augment(m, g, max_time=-1), "max_time=-1"),
        (lambda x, m, g: mixup(m, m[:, 0], -0.1, g), "alpha=-0.1"),
    ],
)
def test_a_setting_out_of_range_is_refused_with_its_number(waveform, mel, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(waveform, mel, seeded())

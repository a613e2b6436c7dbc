"""Training examples that were never recorded: random changes that leave the label alone.

Every operation takes a whole batch and draws for each example by itself. All draws come from the
`generator` given, a CPU generator, and are then moved to the data: a CPU and a GPU see the same
augmentation. Nothing is changed in place; a setting of zero changes nothing.

Sources: SpecAugment, Park et al. 2019 (https://arxiv.org/abs/1904.08779); mixup, Zhang et al. 2018
(https://arxiv.org/abs/1710.09412); vocal tract length perturbation, Jaitly & Hinton 2013; shift and
background noise, the recipe published with Speech Commands, Warden 2018
(https://arxiv.org/abs/1804.03209); rooms, the exponentially decaying noise of Polack 1988.

Shape letters: B batch   N samples   M samples of noise   T frames   F mel bands   C classes
"""

import math

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Generator, Tensor

from kws.audio.recordings import SAMPLE_RATE
from kws.torch_internals import standard_gamma

DECIBEL = math.log(10) / 10  # one dB of power in natural logarithms, the unit of a log-mel
SMALLEST_LEVEL = 1e-6  # root mean square of noise that is made louder, not digital silence
STOP_BAND_DB = 60.0  # how far `band_limit` turns down what it removes
REVERBERATION = (0.1, 0.5)  # seconds in which a room's echoes fall by 60 dB
DIRECT_DB = (0.0, 12.0)  # energy of the direct sound over that of the echoes
VTLP_KNEE = 0.8  # fraction of the frequency axis that `warp_frequency` scales; the rest makes room


def time_shift(
    waveform: Shaped[Tensor, "B N"], max_shift: int, generator: Generator
) -> Shaped[Tensor, "B N"]:
    """Move each example by -max_shift … +max_shift whole samples (later is positive), zeros follow.

    y[n] = x[n - s] with s uniform. 16-bit samples can be shifted, too: half the memory to move.
    """
    _at_least_zero(max_shift=max_shift)
    if max_shift == 0:
        return waveform
    shift = _integers(waveform, -max_shift, max_shift, generator)
    padded = torch.nn.functional.pad(waveform, (max_shift, max_shift))
    length = padded.shape[1]
    first = length * torch.arange(len(padded), device=padded.device)  # of each example
    return _crops(padded.flatten(), first + max_shift - shift, waveform.shape[1])


def add_noise(
    waveform: Float[Tensor, "B N"],
    noise: Float[Tensor, "M"],
    generator: Generator,
    *,
    probability: float = 0.8,
    max_volume: float = 0.1,
    ratio_db: tuple[float, ...] = (),
) -> Float[Tensor, "B N"]:
    """Add to each example, with `probability`, a passage of noise: y[n] = x[n] + v · noise[s + n].

    s is uniform, and the volume v uniform in 0 … max_volume; or, with `ratio_db` (lowest, highest),
    v is such that the ratio of the example's power to the noise's is uniform in dB between them: a
    silent example then stays so. Noise shorter than N is repeated; none (M = 0) changes nothing.
    """
    _at_least_zero(max_volume=max_volume)
    _fraction(probability=probability)
    samples = waveform.shape[1]
    if not len(noise) or probability == 0 or (max_volume == 0 and not ratio_db):
        return waveform
    low, high = ratio_db or (0.0, max_volume)
    volume = _uniform(waveform, low, high, generator)
    chosen = _chosen(waveform, probability, generator)
    if len(noise) < samples:
        noise = noise.repeat(math.ceil(samples / len(noise)))
    start = _integers(waveform, 0, len(noise) - samples, generator)
    passage = _crops(noise, start, samples)
    if ratio_db:
        level, other = (x.square().mean(1).sqrt() for x in (waveform, passage))
        volume = 10 ** (-volume / 20) * level / other.clamp(min=SMALLEST_LEVEL)
    return passage.mul_((volume * chosen)[:, None]).add_(waveform)  # memory is the cost


def add_room(
    waveform: Float[Tensor, "B N"], generator: Generator, *, probability: float
) -> Float[Tensor, "B N"]:
    """Put each example, with `probability`, into a room: the direct sound, and echoes that decay.

    The echoes are white noise under exp(-t), from 0.1 to 0.5 s long (the time in which they fall by
    60 dB), with 0 to 12 dB less energy than the direct sound.
    """
    _fraction(probability=probability)
    if probability == 0:
        return waveform
    rows = _chosen_rows(waveform, probability, generator)
    dry = waveform[rows]
    seconds = _uniform(dry, *REVERBERATION, generator)[:, None]
    energy = 10 ** (-_uniform(dry, *DIRECT_DB, generator) / 10)[:, None]
    length = round(REVERBERATION[1] * SAMPLE_RATE)
    time = torch.arange(length, device=dry.device, dtype=dry.dtype) / SAMPLE_RATE
    echoes = torch.randn(len(rows), length, generator=generator).to(dry)
    echoes = echoes * torch.exp(-math.log(1_000) * time / seconds)
    echoes = echoes * (energy / echoes.square().sum(1, keepdim=True)).sqrt()
    size = dry.shape[1] + length  # not one less, which may be a prime
    spectrum = torch.fft.rfft(dry, size) * torch.fft.rfft(echoes, size)
    wet = dry + torch.fft.irfft(spectrum, size)[:, : dry.shape[1]]
    return waveform.index_copy(0, rows, wet)


def garble(
    waveform: Float[Tensor, "B N"],
    labels: Int[Tensor, "B"],
    generator: Generator,
    *,
    probability: float,
) -> tuple[Float[Tensor, "B N"], Bool[Tensor, "B"]]:
    """Turn each example, with `probability`, into a pseudo-word; returns also which ones.

    One time in three it is talk: the middles of three words of the batch, one after the other. Else
    it is, with equal chances, the first half of the word, the second half, the word backwards, or
    the first half followed by the second half of another of the batch, with another label. A word
    is halved where half of its energy has passed.
    """
    _fraction(probability=probability)
    chosen = torch.zeros(len(waveform), dtype=torch.bool, device=waveform.device)
    if probability == 0:
        return waveform, chosen
    rows = _chosen_rows(waveform, probability, generator)
    way = _integers(waveform, 0, 5, generator).clamp(max=4)
    other = torch.randperm(len(waveform), generator=generator).to(waveform.device)
    mine, theirs, way = waveform[rows], waveform[other[rows]], way[rows]
    way = torch.where((way == 3) & (labels[rows] == labels[other[rows]]), 2, way)
    place = torch.arange(waveform.shape[1], device=waveform.device)
    middles = _middle(waveform)
    middle = middles[rows]
    early = place < middle[:, None]
    source = place + (middles[other[rows]] - middle)[:, None]
    there = (source >= 0) & (source < len(place))
    joined = mine.where(early, theirs.gather(1, source.clamp(0, len(place) - 1)) * there)
    third = -(-len(place) // 3)
    whose = torch.stack([rows, other[rows], other[other[rows]]])[place // third].mT  # (B, N)
    source = (middles[whose] + place % third - third // 2).clamp(0, len(place) - 1)
    made = torch.stack([mine * early, mine * ~early, mine.flip(1), joined, waveform[whose, source]])
    made = made[way, torch.arange(len(rows), device=waveform.device)]
    return waveform.index_copy(0, rows, made), chosen.index_fill(0, rows, True)


def change_speed(
    waveform: Float[Tensor, "B N"], max_change: float, generator: Generator
) -> Float[Tensor, "B N"]:
    """Play each example 1 ± max_change times as fast, and as high, about its center.

    y[n] = x(c + r · (n - c)), r uniform, c = (N - 1) / 2; interpolated linearly, zero outside.
    """
    _fraction(max_change=max_change)
    if max_change == 0:
        return waveform
    samples = waveform.shape[1]
    rate = _uniform(waveform, 1 - max_change, 1 + max_change, generator)
    center = (samples - 1) / 2
    offset = torch.arange(samples, device=waveform.device, dtype=waveform.dtype) - center
    position = (rate[:, None] * offset + center).clamp(-1, samples)
    before = position.floor()
    padded = torch.nn.functional.pad(waveform, (1, 2))  # x[n] is padded[n + 1]
    index = before.long() + 1
    return torch.lerp(padded.gather(1, index), padded.gather(1, index + 1), position - before)


def random_gain(
    waveform: Float[Tensor, "B N"], max_db: float, generator: Generator
) -> Float[Tensor, "B N"]:
    """Make each example louder or softer: y = x · 10^(g / 20), g uniform in ± max_db."""
    _at_least_zero(max_db=max_db)
    if max_db == 0:
        return waveform
    return waveform * (10 ** (_uniform(waveform, -max_db, max_db, generator) / 20))[:, None]


def random_tilt(
    mel: Float[Tensor, "B T F"], max_db: float, generator: Generator
) -> Float[Tensor, "B T F"]:
    """Another microphone: a straight line over the bands of a log-mel, up to ± max_db end to end.

    y[t, f] = x[t, f] + g · (f / (F - 1) - 1/2), g uniform; the level in the middle stays.
    """
    _at_least_zero(max_db=max_db)
    if max_db == 0:
        return mel
    slope = _uniform(mel, -max_db, max_db, generator) * DECIBEL
    line = torch.linspace(-0.5, 0.5, mel.shape[2], device=mel.device, dtype=mel.dtype)
    return mel + (slope[:, None] * line)[:, None]


def band_limit(
    mel: Float[Tensor, "B T F"],
    min_bands: int,
    generator: Generator,
    *,
    probability: float = 0.5,
    floor: float = 1e-6,
) -> Float[Tensor, "B T F"]:
    """A narrower channel: keep the lowest k bands, k uniform in min_bands … F, with `probability`.

    The bands above lose 60 dB, down to ln(floor) at most: give the `floor` of the features.
    """
    _fraction(probability=probability)
    bands = mel.shape[2]
    if not 1 <= min_bands <= bands:
        raise ValueError(f"min_bands={min_bands} must be between 1 and the {bands} bands there are")
    if probability == 0 or min_bands == bands:
        return mel
    kept = _integers(mel, min_bands, bands, generator)
    kept = torch.where(_chosen(mel, probability, generator), kept, bands)
    above = torch.arange(bands, device=mel.device) >= kept[:, None]
    quiet = torch.minimum(mel, (mel - STOP_BAND_DB * DECIBEL).clamp(min=math.log(floor)))
    return torch.where(above[:, None], quiet, mel)


def warp_frequency(
    mel: Float[Tensor, "B T F"], max_warp: float, generator: Generator
) -> Float[Tensor, "B T F"]:
    """Another vocal tract: band f reads from band a · f, a uniform in 1 ± max_warp, interpolated.

    Beyond a knee the map is the line that ends at the last band, so that both ends stay. Jaitly and
    Hinton scale the frequencies of the filters, this the bands they gave: it needs no waveform.
    """
    _fraction(max_warp=max_warp)
    if max_warp == 0 or mel.shape[2] < 2:
        return mel
    factor = _uniform(mel, 1 - max_warp, 1 + max_warp, generator)[:, None]
    last = mel.shape[2] - 1
    band = torch.arange(mel.shape[2], device=mel.device, dtype=mel.dtype)
    knee = VTLP_KNEE * last / factor.clamp(min=1)
    rest = last - (last - band) * (last - factor * knee) / (last - knee)
    return mel @ _reading(torch.where(band <= knee, factor * band, rest))


def warp_time(
    mel: Float[Tensor, "B T F"],
    max_warp: float,
    generator: Generator,
    *,
    valid: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, "B T F"]:
    """Another tempo at the same pitch: frames are read 1 ± max_warp times as fast about the center.

    Linearly interpolated; the first and last frame fill what lies beyond them. With `valid`, whose
    True frames come first, these are the frames there are, and padding stays as it is.
    """
    _fraction(max_warp=max_warp)
    if max_warp == 0:
        return mel
    rate = _uniform(mel, 1 - max_warp, 1 + max_warp, generator)[:, None]
    frame = torch.arange(mel.shape[1], device=mel.device, dtype=mel.dtype)
    if valid is None:
        center = torch.full_like(rate, (mel.shape[1] - 1) / 2)
    else:
        center = (valid.sum(1, keepdim=True) - 1).clamp(min=0).to(mel.dtype) / 2
    position = (rate * (frame - center) + center).clamp(min=0).minimum(2 * center)
    if valid is None:
        return _reading(position).mT @ mel
    warped = _reading(position).mT @ mel.where(valid[:, :, None], 0)
    return warped.where(valid[:, :, None], mel)


def spec_augment(
    mel: Float[Tensor, "B T F"],
    generator: Generator,
    *,
    time_masks: int = 2,
    max_time: int = 25,
    freq_masks: int = 2,
    max_freq: int = 7,
    valid: Bool[Tensor, "B T"] | None = None,
) -> Float[Tensor, "B T F"]:
    """Fill `time_masks` spans of 0 … max_time frames, and spans of bands, with the example's mean.

    Widths and then places are uniform. With `valid`, whose True frames come first, spans lie within
    them, the mean is theirs and padding stays. The paper's time warping is left to `warp_time`.
    """
    _at_least_zero(
        time_masks=time_masks, max_time=max_time, freq_masks=freq_masks, max_freq=max_freq
    )
    if not (time_masks and max_time) and not (freq_masks and max_freq):
        return mel
    B, T, F = mel.shape
    frames = torch.full((B,), T) if valid is None else valid.sum(1).cpu()
    in_time = _spans(frames, T, time_masks, max_time, generator).to(mel.device)
    in_freq = _spans(torch.full((B,), F), F, freq_masks, max_freq, generator).to(mel.device)
    masked = torch.maximum(in_time[:, :, None].to(mel), in_freq[:, None].to(mel))  # 0 or 1
    if valid is None:
        mean = mel.mean((1, 2), keepdim=True)
    else:
        real = valid[:, :, None]
        masked = masked * real
        cells = (real.sum(1, keepdim=True) * F).clamp(min=1)
        mean = mel.where(real, 0).sum((1, 2), keepdim=True) / cells
    return torch.lerp(mel, mean, masked)  # torch.where takes ten times as long on a CPU


def mixup(
    x: Float[Tensor, "B *shape"], targets: Float[Tensor, "B C"], alpha: float, generator: Generator
) -> tuple[Float[Tensor, "B *shape"], Float[Tensor, "B C"]]:
    """Blend each example, and its target, with another one of the batch.

    y[b] = λ[b] · x[b] + (1 - λ[b]) · x[perm[b]], and so the targets; λ[b] from Beta(alpha, alpha),
    which for small alpha is mostly near 0 or 1.
    """
    _at_least_zero(alpha=alpha)
    if alpha == 0:
        return x, targets
    perm = torch.randperm(len(x), generator=generator).to(x.device)
    # a Beta draw is a ratio of Gamma draws; torch.distributions takes no generator
    gamma = standard_gamma(torch.full((2, len(x)), alpha, dtype=torch.float64), generator=generator)
    share = (gamma[0] / gamma.sum(0)).to(x.device)

    def blend(y: Tensor) -> Tensor:
        weight = share.to(y.dtype).view(-1, *[1] * (y.ndim - 1))
        return weight * y + (1 - weight) * y[perm]

    return blend(x), blend(targets)


def _middle(waveform: Tensor) -> Tensor:
    """(B,) the sample at which half of each example's energy has passed."""
    passed = waveform.square().cumsum(1)
    return (passed < passed[:, -1:] / 2).sum(1)


def _uniform(data: Tensor, low: float, high: float, generator: Generator) -> Tensor:
    """(B,) on `data`'s device, in its dtype: one draw for each example."""
    draws = low + (high - low) * torch.rand(len(data), generator=generator, dtype=torch.float64)
    return draws.to(data.device, data.dtype)


def _integers(data: Tensor, low: int, high: int, generator: Generator) -> Tensor:
    """(B,) on `data`'s device, int64, both ends included."""
    return torch.randint(low, high + 1, (len(data),), generator=generator).to(data.device)


def _chosen(data: Tensor, probability: float, generator: Generator) -> Tensor:
    """(B,) on `data`'s device, True with `probability`."""
    return (torch.rand(len(data), generator=generator) < probability).to(data.device)


def _chosen_rows(data: Tensor, probability: float, generator: Generator) -> Tensor:
    """The rows that `_chosen` is True of: found on the CPU, which need not wait for a device."""
    drawn = torch.rand(len(data), generator=generator) < probability
    return drawn.nonzero()[:, 0].to(data.device)


def _crops(waveform: Tensor, start: Tensor, samples: int) -> Tensor:
    """waveform[start[b] : start[b] + samples] for every b, (B, samples): rows of a view, copied."""
    return waveform.unfold(0, samples, 1).index_select(0, start)


def _reading(position: Tensor) -> Tensor:
    """Interpolation as a matrix: x @ _reading(p) reads x at p[b, j], in (B, n), for output j."""
    last = position.shape[1] - 1
    source = torch.arange(last + 1, device=position.device, dtype=position.dtype)
    return (1 - (position.clamp(0, last)[:, None] - source[:, None]).abs()).clamp(min=0)


def _spans(sizes: Tensor, length: int, count: int, widest: int, generator: Generator) -> Tensor:
    """(B, length) True in `count` random spans of 0 … widest cells within the first sizes[b]."""
    draws = torch.rand(2, len(sizes), count, generator=generator, dtype=torch.float64)
    place, stretch = draws[1].T[..., None], draws[0].T[..., None]  # (count, B, 1)
    sizes = sizes[:, None]
    width = (stretch * (sizes.clamp(max=widest) + 1)).long()
    start = (place * (sizes - width + 1)).long()
    cell = torch.arange(length)
    return ((start <= cell) & (cell < start + width)).any(0)


def _at_least_zero(**settings: float | int) -> None:
    for name, value in settings.items():
        if value < 0:
            raise ValueError(f"{name}={value} must not be negative")


def _fraction(**settings: float | int) -> None:
    for name, value in settings.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name}={value} must be between 0 and 1")

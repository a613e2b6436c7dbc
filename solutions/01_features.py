# %% [markdown]
# # 1. Sound to features
#
# **You will build** everything between a folder of recordings and the first layer of a network:
# clips of one length, spectrograms, MFCC, the official split, the twelve classes, and SpecAugment.
# Where torchaudio has the same function, your results will agree with its results.
# **You need** Python, a little linear algebra, and pencil and paper.
# **Time** about four hours; the notebook itself runs in under a minute, without a GPU or a
# download: the recordings are made by a speech synthesizer.
#
# Each **TODO** lists what is missing, in numbered steps. The cell below it checks your answer at
# once. Replace the line `raise NotImplementedError(...)` last, and keep the names of functions: the
# grader looks for them. Names *inside* them are yours to choose. torchaudio is the reference that
# you compare with, so an answer that calls it is refused. Answers use public names: nothing of a
# library that begins with `_`, no `torch.ops`, no `eval` or `inspect`, no file.
#
# Shape letters: `B` batch, `N` samples, `T` frames, `W` samples of a frame, `K` frequencies,
# `M` mel bands (in a formula: their number), `C` cepstral coefficients.

# %% tags=["export"]
import hashlib
import math
import random

import torch
import torch.nn.functional as F

SAMPLE_RATE = 16_000  # Hz
HOP = SAMPLE_RATE * 10 // 1000  # 160 samples, 10 ms: 100 frames a second
WINDOW = SAMPLE_RATE * 25 // 1000  # 400 samples, 25 ms: a few periods of the lowest voice

_ = torch.manual_seed(0)

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import torchaudio

from kws.audio.recordings import read_audio
from kws.course.checking import check, check_values, expect_close, expect_equal
from kws.course.diagrams import diagram
from kws.data.embedded.corpus import make_corpus
from kws.files import cache_dir
from kws.metrics import Proportion

folder = make_corpus(cache_dir() / "tiny-corpus", size="tiny", progress=False)  # seconds, once
names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("[a-z]*/*.wav"))
clips = [read_audio(folder / name) for name in names]
print(f"{len(names):,} clips, the first is {names[0]}: {len(clips[0]):,} samples")

# %%
diagram("log_mel")

# %% [markdown]
# ## 1.1 One second
#
# A batch is a tensor, so all clips in it have one length. In Speech Commands that is a second,
# 16,000 samples; about one clip in ten is shorter, and is padded with zeros at its **end**. Longer
# ones are cut at their end.
#
# **Before you go on:** how many bytes are 1,400 such clips, in float32?
#
# <details><summary>An answer</summary>
#
# $1400 \cdot 16{,}000 \cdot 4 = 89{,}600{,}000$ bytes, about 90 MB.
#
# </details>
#
# **Contract.** `pad_or_trim(waveform, num_samples)`: waveform (..., N), with any number of axes
# before the samples → (..., num_samples), in the dtype of the waveform, which is not modified. Use
# any tensor operations.


# %% tags=["export"]
def pad_or_trim(waveform, num_samples):
    """waveform (..., N) -> (..., num_samples): zeros appended, or the end cut off."""
    # BEGIN SOLUTION 1.1
    #: Keep the first num_samples of the last axis (fewer, if there are fewer).
    kept = waveform[..., :num_samples]
    #: Append as many zeros as are missing: F.pad(x, (left, right)) pads the last axis.
    return F.pad(kept, (0, num_samples - kept.shape[-1]))
    # END SOLUTION


# %% tags=["check"]
x = torch.tensor([1.0, 2, 3])
with check("1.1-pad-by-hand", "three samples become five, or two"):
    expect_close("pad_or_trim([1, 2, 3], 5)", pad_or_trim(x, 5), [1.0, 2, 3, 0, 0])
    expect_close("pad_or_trim([1, 2, 3], 2)", pad_or_trim(x, 2), [1.0, 2])
check_values("1.1-pad-values", pad_or_trim)
check_values("1.1-pad-dtype", pad_or_trim)

# %%
waveforms = torch.stack([pad_or_trim(clip, SAMPLE_RATE) for clip in clips])  # (1400, 16000)
shortest = min(range(len(clips)), key=lambda n: len(clips[n]))
figure, (above, below) = plt.subplots(2, 1, figsize=(6, 4.6), layout="constrained")
above.hist([len(clip) / SAMPLE_RATE for clip in clips], bins=24, color="tab:blue")
above.set(xlabel="length of the recording (s)", ylabel="clips", yscale="log")
seconds = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
below.plot(seconds, waveforms[shortest], linewidth=0.4)
below.axvspan(len(clips[shortest]) / SAMPLE_RATE, 1, color="lightgray", label="padding")
below.set(xlabel="time (s)", ylabel="amplitude", title=names[shortest].split("/")[0])
_ = below.legend(frameon=False)

# %% [markdown]
# **Think:** the padding is *exactly* zero, and a microphone is never that quiet. What could a
# network learn from that? (1.8 returns to this: some test sets contain digital zeros.)
#
# <details><summary>An answer</summary>
#
# How long the recording was, which has nothing to do with the word. If one class has more padding
# than others, the zeros are a shortcut: the network recognizes how a clip was recorded instead of
# what is said, and fails where the microphone is always on. Zeros are easy to detect, too: all
# frames of zeros have exactly the same features.
#
# </details>
#
# ## 1.2 Frames and a window
#
# Within 25 ms a mouth hardly moves, so we look at 25 ms at a time, every 10 ms. Frame $t$ is
# **centered** on sample $t \cdot \mathrm{hop}$; for the first and last frames the waveform is
# mirrored at its ends (the sample at the end itself is not repeated). So
#
# $$T = 1 + \lfloor N / \mathrm{hop} \rfloor$$
#
# A frame that begins and ends abruptly sounds like a click, which has all frequencies. A *Hann
# window* fades it in and out. Its period is $W$, so that $w_0 = 0$ but $w_{W-1} \ne 0$:
#
# $$w_n = \tfrac12 - \tfrac12 \cos\frac{2 \pi n}{W}, \qquad n = 0 \dots W - 1$$
#
# **Before you go on:** how many frames does one second have? And how many would there be without
# the mirrored ends?
#
# <details><summary>An answer</summary>
#
# $1 + \lfloor 16000 / 160 \rfloor = 101$. Without reflect padding a frame has to fit in as a whole:
# $1 + \lfloor (16000 - 400) / 160 \rfloor = 98$.
#
# </details>
#
# **Contract.** `hann(length)` → (length,), a float dtype. `frame(waveform, length, hop)`: waveform
# (B, N), length even, N > length / 2 → (B, T, length), in the dtype of the waveform. Use
# arithmetic, `F.pad` and `unfold`; the windows of torch and numpy (`torch.hann_window`,
# `torch.hamming_window`, `np.hanning`) do not count as an answer.


# %% tags=["export"]
def hann(length):
    """The periodic Hann window -> (length,)."""
    # BEGIN SOLUTION 1.2
    #: The places n = 0 ... length - 1, in float64.
    n = torch.arange(length, dtype=torch.float64)
    #: One half minus half a cosine, which has turned once after `length` places.
    return 0.5 - 0.5 * torch.cos(2 * math.pi * n / length)
    # END SOLUTION


def frame(waveform, length, hop):
    """waveform (B, N) -> (B, T, length), T = 1 + N // hop; length is even, N > length / 2."""
    # BEGIN SOLUTION 1.2
    #: Mirror length / 2 samples at both ends: F.pad(..., mode="reflect").
    mirrored = F.pad(waveform, (length // 2, length // 2), mode="reflect")
    #: Cut a frame out of it every `hop` samples: Tensor.unfold does that.
    return mirrored.unfold(-1, length, hop)
    # END SOLUTION


# %% [markdown]
# Five samples, frames of four, every two: mirrored by two at both ends, `0 1 2 3 4` is
# `2 1 0 1 2 3 4 3 2`.

# %% tags=["check"]
with check("1.2-hann-by-hand", "a window of four agrees with pencil and paper"):
    expect_close("hann(4)", hann(4), [0, 0.5, 1, 0.5])
check_values("1.2-hann-values", hann)

# %% tags=["check"]
with check("1.2-frames-by-hand", "five samples make three frames of four"):
    expected = torch.tensor([[[2.0, 1, 0, 1], [0, 1, 2, 3], [2, 3, 4, 3]]])
    actual = frame(torch.arange(5.0)[None], 4, 2)
    expect_close("frame([[0, 1, 2, 3, 4]], 4, 2)", actual, expected)
check_values("1.2-frame-values", frame)

# %% [markdown]
# ## 1.3 The power spectrum
#
# The Fourier transform compares a frame with waves of 0, 1, 2, ... periods per frame. We want to
# know how strong each of them is, not where it starts: its **power**, the squared magnitude.
#
# $$P_k = \Big| \sum_{n=0}^{W-1} w_n\, x_n\, e^{-2 \pi i\, k n / W} \Big|^2 ,
# \qquad k = 0 \dots W / 2$$
#
# The other frequencies of a real signal are mirror images of these.
#
# **Before you go on:** what is $K$ for $W = 400$? How many Hz lie between two neighboring
# frequencies?
#
# <details><summary>An answer</summary>
#
# $400 / 2 + 1 = 201$ frequencies from 0 to 8,000 Hz. Neighbors are $16000 / 400 = 40$ Hz apart.
#
# </details>
#
# **Contract.** `power_spectrum(frames)`: frames (B, T, W), W even or odd → (B, T, W // 2 + 1),
# real, in the dtype of the frames. Use your own window and `torch.fft`; `torch.stft` and the
# spectrograms of a library do not count as an answer.


# %% tags=["export"]
def power_spectrum(frames):
    """frames (B, T, W) -> (B, T, K), K = W // 2 + 1: the power of each windowed frame."""
    # BEGIN SOLUTION 1.3
    #: Multiply every frame by a Hann window of its own length (and of its dtype: .to(frames)).
    windowed = frames * hann(frames.shape[-1]).to(frames)
    #: Transform the last axis: torch.fft.rfft gives the K frequencies that we want.
    spectrum = torch.fft.rfft(windowed)
    #: Return the squared magnitude, which is real.
    return spectrum.abs().square()
    # END SOLUTION


# %% [markdown]
# The window of four makes $(0, 0, -2, 0)$ of the frame $(2, 0, -2, 0)$: a click of height 2. It has
# all frequencies, and all with power $2^2 = 4$.

# %% tags=["check"]
x = torch.tensor([[[2.0, 0, -2, 0], [2, 0, -2, 0]]])
with check("1.3-power-by-hand", "a click has the same power at all frequencies"):
    expected = [[[4.0, 4, 4], [4, 4, 4]]]
    expect_close("power_spectrum([[[2, 0, -2, 0]] * 2])", power_spectrum(x), expected)
check_values("1.3-power-values", power_spectrum)
check_values("1.3-power-dtype", power_spectrum)
check_values("1.3-power-tone", power_spectrum)

# %% [markdown]
# Does it agree with torchaudio? And what is the window for? Take a tone *between* two frequencies
# of the transform: cut off abruptly, it leaks into all others.

# %%
reference = torchaudio.transforms.Spectrogram(n_fft=WINDOW, hop_length=HOP).double()
few = waveforms[:8].double()
ours, theirs = power_spectrum(frame(few, WINDOW, HOP)).mT, reference(few)
difference = (ours - theirs).abs().max() / theirs.max()
print(f"torchaudio's spectrogram differs by {difference:.1e} of its largest value")
tone = torch.sin(2 * math.pi * 1020 * seconds[:WINDOW].double())
hz = torch.arange(WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for label, power in {
    "cut off": torch.fft.rfft(tone).abs().square(),
    "faded by a Hann window": power_spectrum(tone[None, None])[0, 0],
}.items():
    axes.plot(hz, 10 * (power / power.max()).log10(), label=label)
axes.set(xlabel="frequency (Hz)", ylabel="power (dB below the peak)", ylim=(-120, 5))
axes.set_title("a tone of 1,020 Hz, in one frame of 25 ms")
_ = axes.legend(frameon=False)

# %% [markdown]
# **Think:** the window widens the peak. Which two tones can a frame of 25 ms not separate? Would
# frames of 100 ms be better?
#
# <details><summary>An answer</summary>
#
# Two tones that are less than about 80 Hz apart, two steps of 40 Hz: their peaks merge into one. A
# frame of 100 ms would separate tones 20 Hz apart, but in 100 ms a mouth moves from one sound to
# the next, and the frame would show the average of both. Good resolution in frequency costs
# resolution in time.
#
# </details>
#
# ## 1.4 Mel bands
#
# The step from 100 to 200 Hz is an octave; the one from 7,100 to 7,200 Hz is nearly nothing. Pitch
# as we hear it is linear for low tones and logarithmic for high ones. The *mel* scale is a formula
# for it (this is HTK's; librosa's default is Slaney's):
#
# $$\mathrm{mel}(f) = 2595 \log_{10}\!\Big(1 + \frac{f}{700}\Big)$$
#
# So 201 frequencies become 40 bands. The bands are triangles: choose $M + 2$ edges
# $e_0 \dots e_{M+1}$ that divide `f_min` to `f_max` evenly *in mel*, and take them back to Hz. Band
# $m$ rises from 0 at $e_m$ to 1 at $e_{m+1}$ and falls to 0 at $e_{m+2}$.
#
# **Before you go on:** which frequency is half as high as 5,600 Hz, in mel? ($1 + 5600/700 = 9$.)
#
# <details><summary>An answer</summary>
#
# 1,400 Hz. $\log_{10} 9$ is twice $\log_{10} 3$, so we need $1 + f / 700 = 3$. In Hz, half would be
# 2,800.
#
# </details>
#
# **Contract.** `hz_to_mel(hz)`: a number → a number. `mel_filterbank(num_freqs, n_mels, f_min,
# f_max)`, 0 ≤ f_min < f_max ≤ 8,000 Hz → (num_freqs, n_mels), a float dtype. Use tensor operations
# and `math`; the filterbanks of a library do not count as an answer.


# %% tags=["export"]
def hz_to_mel(hz):
    """A frequency in Hz -> its pitch in mel; both are numbers."""
    # BEGIN SOLUTION 1.4
    #: Translate the formula: it is the logarithm to base 10.
    return 2595 * math.log10(1 + hz / 700)
    # END SOLUTION


def mel_filterbank(num_freqs, n_mels, f_min, f_max):
    """num_freqs frequencies, evenly from 0 Hz to SAMPLE_RATE / 2 -> (num_freqs, n_mels)."""
    # BEGIN SOLUTION 1.4
    #: The frequencies in Hz, as a column (num_freqs, 1), in float64.
    hz = torch.linspace(0, SAMPLE_RATE / 2, num_freqs, dtype=torch.float64)[:, None]
    #: The n_mels + 2 edges: evenly spaced between the ends in mel, then taken back to Hz.
    mel = torch.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mel / 2595) - 1)
    #: The lines that rise from e_m to e_(m+1), and those that fall from e_(m+1) to e_(m+2).
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (hz - left) / (center - left)
    falling = (right - hz) / (right - center)
    #: A triangle is the lower of the two lines, and nowhere below 0.
    return torch.minimum(rising, falling).clamp(min=0)
    # END SOLUTION


# %% [markdown]
# One band from 0 to 5,600 Hz: 9 is $3^2$, so the center is where $1 + f / 700 = 3$, at 1,400 Hz. Of
# eleven frequencies, 800 Hz apart, 800 Hz has the weight 8/14, and 1,600 Hz has 40/42.

# %% tags=["check"]
with check("1.4-mel-by-hand", "one band agrees with pencil and paper"):
    mel = hz_to_mel(700)
    mel = mel if mel is None else round(float(mel), 2)
    expect_equal("hz_to_mel(700), rounded", mel, 781.17)
    expected = torch.tensor([[0, 12, 20, 16, 12, 8, 4, 0, 0, 0, 0]]).T / 21
    actual = mel_filterbank(11, 1, 0, 5600)
    expect_close("mel_filterbank(11, 1, 0, 5600)", actual, expected)
check_values("1.4-mel-scale", hz_to_mel)
check_values("1.4-filterbank-values", mel_filterbank)

# %%
K = WINDOW // 2 + 1
figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
axes.plot(hz, mel_filterbank(K, 12, 20, 8000))
axes.set(xlabel="frequency (Hz)", ylabel="weight", title="twelve mel bands")
for n_mels in (40, 64, 80, 128):
    empty = (mel_filterbank(K, n_mels, 20, 8000).sum(dim=0) == 0).sum()
    print(f"{n_mels:3} bands over {K} frequencies: {empty} of them contain no frequency")

# %% [markdown]
# **Think:** why are some bands empty, and which ones? What would you change to use 128 bands
# nevertheless?
#
# <details><summary>An answer</summary>
#
# In Hz the lowest bands are the narrowest: with 128 of them the first triangles are less than 40 Hz
# wide, and some (numbers 2, 7 and 16) fit between two neighboring frequencies. More frequencies
# help: pad the frames with zeros to 800 samples, and no band is empty. So does a higher `f_min`:
# 300 Hz is enough.
#
# </details>
#
# ## 1.5 Log-mel spectrograms
#
# We hear loudness in ratios, too, so we take the logarithm. Silence would be minus infinity; a
# small *floor* keeps it finite:
#
# $$\mathrm{logmel} = \ln(\mathrm{mel} + \mathrm{floor})$$
#
# This is what most models of this course read. Frames come before bands, $(B, T, M)$, as
# Transformers expect; torchaudio has the opposite order.
#
# **Before you go on:** what is the log-mel spectrogram of a waveform of zeros?
#
# <details><summary>An answer</summary>
#
# $\ln 10^{-6} \approx -13.8$ everywhere: nothing but the floor.
#
# </details>
#
# **Contract.** `log_mel(waveform, n_mels=40, f_min=20.0, floor=1e-6)`: waveform (B, N), N > 200 →
# (B, 1 + N // 160, n_mels), in the dtype of the waveform; no example depends on another. Use your
# answers to 1.2 to 1.4; `torch.stft` and the spectrograms of a library do not count as an answer.


# %% tags=["export"]
def log_mel(waveform, n_mels=40, f_min=20.0, floor=1e-6):
    """waveform (B, N) -> (B, T, n_mels), by frames of WINDOW every HOP, bands up to 8 kHz."""
    # BEGIN SOLUTION 1.5
    #: Frames, then their power spectrum.
    power = power_spectrum(frame(waveform, WINDOW, HOP))
    #: Multiply it by the filterbank (in the dtype of the power): (B, T, K) becomes (B, T, M).
    filters = mel_filterbank(power.shape[-1], n_mels, f_min, SAMPLE_RATE / 2)
    mel = power @ filters.to(power)
    #: Return the natural logarithm of that plus the floor.
    return torch.log(mel + floor)
    # END SOLUTION


# %% [markdown]
# First silence before a click, by hand: only the windows of the last two of five frames contain the
# click. Then torchaudio is the reference, on noise from loud to nearly silent.

# %% tags=["check"]
with check("1.5-silence-by-hand", "silence is ln(floor), not minus infinity"):
    waveform = torch.zeros(1, 4 * HOP)
    waveform[0, -HOP // 2] = 1  # the click
    expected = torch.full((1, 3, 40), math.log(1e-6))
    expect_close("log_mel of the silent frames", log_mel(waveform)[:, :3], expected)
check_values("1.5-log-mel-silence", log_mel)
check_values("1.5-log-mel-values", log_mel)
check_values("1.5-log-mel-alone", log_mel)
check_values("1.5-log-mel-settings", log_mel)
reference = torchaudio.transforms.MelSpectrogram(
    sample_rate=SAMPLE_RATE, n_fft=WINDOW, hop_length=HOP, n_mels=40, f_min=20.0
).double()
noise = torch.randn(4, SAMPLE_RATE).double() * torch.tensor([[1], [1e-1], [1e-3], [1e-4]])
with check("1.5-like-torchaudio", "log_mel agrees with torchaudio"):
    expected = (reference(noise).mT + 1e-6).log()
    expect_close("log_mel(noise)", log_mel(noise), expected, atol=1e-4)

# %%
figure, axes = plt.subplots(1, 3, figsize=(6, 2.8), sharey=True, layout="constrained")
for place, word in zip(axes, ("yes", "stop", "seven"), strict=True):
    example = next(n for n, name in enumerate(names) if name.startswith(word + "/"))
    image = place.imshow(
        log_mel(waveforms[example : example + 1])[0].T.numpy(),
        origin="lower",
        aspect="auto",
        cmap="cividis",
        extent=(0, 1, 0, 40),
        vmin=math.log(1e-6),  # the floor: one scale for all three
        vmax=8,
    )
    place.set(xlabel="time (s)", title=word, xticks=(0, 0.5, 1))
axes[0].set_ylabel("mel band")
_ = figure.colorbar(image, ax=axes, label="ln(power)")

# %% [markdown]
# **Think:** find the hiss of the *s* in all three. What happens to the picture if the speaker comes
# closer, and every sample is ten times as large?
#
# <details><summary>An answer</summary>
#
# It is the bright area of the highest bands: at the end of *yes*, at the beginning of *stop* and
# *seven*. Ten times the amplitude is 100 times the power, so every value far above the floor grows
# by $\ln 100 \approx 4.6$: the picture becomes brighter, and keeps its shape. Values near the floor
# grow by less.
#
# </details>
#
# ## 1.6 MFCC
#
# Neighboring bands overlap, and a voice that is strong in one is strong in the next. Recognizers
# used to model each feature by itself (by Gaussians with a diagonal covariance), so the bands had
# to be *decorrelated*, by a cosine transform (DCT-II). Coefficient $c$ compares a frame with a
# cosine of $c / 2$ periods across the bands:
#
# $$\mathrm{mfcc}_c = s_c \sum_{m=0}^{M-1} \mathrm{logmel}_m \cos\frac{\pi\, c\, (m + \frac12)}{M},
# \qquad s_0 = \sqrt{\tfrac1M}, \quad s_{c > 0} = \sqrt{\tfrac2M}$$
#
# With these factors the columns are orthonormal. The first $C$ coefficients describe the shape of
# the mouth; the others, mostly the pitch of the voice.
#
# **Contract.** `dct_matrix(n_mfcc, n_mels)` → (n_mels, n_mfcc), a float dtype. `mfcc(waveform,
# n_mfcc=13, n_mels=40)`: waveform (B, N) → (B, T, n_mfcc), in its dtype. Use tensor operations and
# your `log_mel`; the DCT and MFCC of a library do not count as an answer.


# %% tags=["export"]
def dct_matrix(n_mfcc, n_mels):
    """The orthonormal DCT-II -> (n_mels, n_mfcc): a column for each coefficient."""
    # BEGIN SOLUTION 1.6
    #: Bands m as a column, coefficients c as a row, in float64.
    m = torch.arange(n_mels, dtype=torch.float64)[:, None]
    c = torch.arange(n_mfcc, dtype=torch.float64)
    #: The cosines, times the root of 2 / M.
    matrix = math.sqrt(2 / n_mels) * torch.cos(math.pi * c * (m + 0.5) / n_mels)
    #: Divide column 0 by the root of 2.
    matrix[:, 0] /= math.sqrt(2)
    return matrix
    # END SOLUTION


def mfcc(waveform, n_mfcc=13, n_mels=40):
    """waveform (B, N) -> (B, T, n_mfcc), of log_mel with its default f_min and floor."""
    # BEGIN SOLUTION 1.6
    #: The log-mel spectrogram with n_mels bands.
    mel = log_mel(waveform, n_mels)
    #: Multiply it by the DCT matrix, in its dtype.
    return mel @ dct_matrix(n_mfcc, n_mels).to(mel)
    # END SOLUTION


# %% [markdown]
# Three bands, two coefficients: the first is $\sqrt{1/3}$ everywhere, the second $\sqrt{2/3}$ times
# the cosines of 30°, 90° and 150°, which makes $\sqrt{1/2}$, 0 and $-\sqrt{1/2}$.

# %% tags=["check"]
with check("1.6-dct-by-hand", "three bands, two coefficients, with pencil and paper"):
    a, b = (1 / 3) ** 0.5, 0.5**0.5
    expected = torch.tensor([[a, b], [a, 0], [a, -b]])
    expect_close("dct_matrix(2, 3)", dct_matrix(2, 3), expected)
check_values("1.6-dct-values", dct_matrix)
check_values("1.6-mfcc-values", mfcc)
noise = torch.randn(4, SAMPLE_RATE).double() * torch.tensor([[1], [1e-1], [1e-3], [1e-4]])
with check("1.6-like-torchaudio", "mfcc agrees with torchaudio"):
    settings = {"n_fft": WINDOW, "hop_length": HOP, "n_mels": 40, "f_min": 20.0}
    reference = torchaudio.transforms.MFCC(n_mfcc=13, log_mels=True, melkwargs=settings).double()
    expect_close("mfcc(noise)", mfcc(noise), reference(noise).mT, atol=1e-4)

# %%
cepstra = torch.cat([mfcc(part) for part in waveforms.split(50)])  # a few at a time: less memory
bands = torch.cat([log_mel(part) for part in waveforms[::7].split(50)])
figure, axes = plt.subplots(1, 2, figsize=(6, 2.8), layout="constrained")
for place, features, label in (
    (axes[0], bands, "mel band"),
    (axes[1], cepstra, "coefficient"),
):
    correlation = torch.corrcoef(features.flatten(0, 1).T)
    image = place.imshow(correlation.numpy(), vmin=-1, vmax=1, cmap="RdBu_r", origin="lower")
    ticks = range(0, len(correlation), len(correlation) // 6)
    place.set(xlabel=label, ylabel=label, xticks=ticks, yticks=ticks)
_ = figure.colorbar(image, ax=axes, label="correlation, all frames")

# %% [markdown]
# **Think:** a network's first layer is a matrix too, and can learn a cosine transform if that
# helps. What does a convolution over the *bands* lose when it gets MFCC instead?
#
# <details><summary>An answer</summary>
#
# Neighborhood. Neighboring bands belong together, and a pattern that moves up by some bands, as for
# a higher voice, is still the same pattern: one small kernel finds it anywhere. Each coefficient
# depends on all bands, so neighboring coefficients are no more similar than distant ones. And the
# 13 that are kept do not contain the fine structure of the 40 bands.
#
# </details>
#
# ## 1.7 Who is in the test set?
#
# A clip's name begins with the ID of its speaker: `yes/c2d15ea5_nohash_3.wav` is the fourth *yes*
# of c2d15ea5. Speech Commands has a rule that sends **all** clips of a speaker to the same split,
# now and in every later version of the data. It needs no list: it hashes the speaker's ID to a
# percentage,
#
# $$p = 100 \cdot \frac{\mathrm{sha1}(\text{speaker}) \bmod 2^{27}}{2^{27} - 1}$$
#
# and takes the first 10 % for validation and the next 10 % for testing. In version 0.01, with 30
# words, 51,088 clips are then for training and 6,835 for testing.
#
# **Contract.** `which_split(name)`: a path with any number of folders, or none → "training",
# "validation" or "testing". The speaker's ID is the part of the name between its last / and the
# first `_nohash_`; without `_nohash_`, it extends to the end. Use `hashlib`; `kws.data.protocols`
# does not count as an answer.


# %% tags=["export"]
def which_split(name):
    """ "yes/c2d15ea5_nohash_3.wav" -> "training", "validation" or "testing"."""
    # BEGIN SOLUTION 1.7
    #: Drop the folder, then everything from "_nohash_" on: the rest is the speaker.
    speaker = name.split("/")[-1].split("_nohash_")[0]
    #: Convert the speaker's SHA-1 to a whole number: hashlib, .encode(), .hexdigest(), base 16.
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16)
    #: Take its remainder by 2 ** 27, and make a percentage of it.
    percent = 100 * (number % 2**27) / (2**27 - 1)
    #: Below 10 it is "validation", below 20 "testing", otherwise "training".
    return "validation" if percent < 10 else "testing" if percent < 20 else "training"
    # END SOLUTION


# %% [markdown]
# Five speakers of the real Speech Commands are at 8.71, 34.18, 15.50, 14.03 and 15.63 percent; the
# last eight of the list are invented.

# %% tags=["check"]
with check(
    "1.7-split-of-real-speakers", "five speakers of Speech Commands are in the right splits"
):
    speakers = ["c2d15ea5", "4a294341", "0487ba9b", "1093c8e7", "3df9a3d4"]
    speakers += [f"{number:08x}" for number in (2, 0, 7, 24, 38, 11, 45, 15, 13)]
    found = [which_split(f"yes/{speaker}_nohash_0.wav") for speaker in speakers]
    splits = ["validation", "training", "testing", "testing", "testing"]
    splits += [{"t": "testing", "v": "validation", "r": "training"}[split] for split in "tvvttvtvr"]
    expect_equal("the splits of yes/c2d15ea5_nohash_0.wav and 13 others", found, splits)
check_values("1.7-split-recordings", which_split)
check_values("1.7-split-values", which_split)
check_values("1.7-split-folders", which_split)

# %% [markdown]
# Is it worth the trouble? Try the simplest recognizer: find the most similar clip of the training
# split, and predict its word. Then split by *recording*: the same rule, but on the whole file name,
# so that a speaker is on both sides of the split.


# %%
def nearest_neighbor(splits):
    """How often the most similar training clip has the right word."""
    train = [n for n, split in enumerate(splits) if split == "training"]
    test = [n for n, split in enumerate(splits) if split != "training"]
    nearest = torch.cdist(profile[test], profile[train]).argmin(dim=1).tolist()
    right = sum(words[train[i]] == words[n] for i, n in zip(nearest, test, strict=True))
    return Proportion(correct=right, n=len(test))


# %%
words = [name.split("/")[0] for name in names]
profile = (cepstra - cepstra.mean(dim=1, keepdim=True))[..., 1:].flatten(1)  # no loudness, no room
results = {
    "by speaker": nearest_neighbor([which_split(name) for name in names]),
    "by recording": nearest_neighbor(
        [which_split(name.replace("_nohash_", "-")) for name in names]
    ),
}
for label, score in results.items():
    print(f"split {label}: {score}; chance {100 / 35:.1f} %")
figure, axes = plt.subplots(figsize=(5, 2), layout="constrained")
for label, score in results.items():
    axes.barh(label, 100 * score.value, color="tab:blue")
    axes.plot([100 * score.low, 100 * score.high], [label, label], color="black")
axes.axvline(100 / 35, color="gray", linestyle="--")
_ = axes.set(xlabel="accuracy (%, with 95 % interval; dashed: chance)", ylabel="split")

# %% [markdown]
# Nothing about the recognizer has improved; only the exam has become easier.
#
# **Think:** a user of your program is a new speaker. Which of the two accuracies will they get?
#
# <details><summary>An answer</summary>
#
# That of the split by speaker, the lower one. The other also measures how well the recognizer knows
# the voices of its training set.
#
# </details>
#
# ## 1.8 Silence and unknown
#
# The usual task has ten commands and two more classes: *silence*, and *unknown* for every other
# word. A student report on the Kaggle challenge relabeled all clips of other words as unknown. They
# were 60 % of its data, and its network predicted "unknown" for every clip. With only about 2,000
# of them it reached 97.32 % on validation clips.
#
# So the rule is: beside the clips of the ten commands, **10 %** of their number as unknown, and as
# many again as silence, both rounded up. Which clips are unknown is drawn at random, and must be
# the same for everybody who has the same seed: file systems list folders in any order they like.
#
# No clips of silence were recorded. A loader cuts them out of background noise; one published
# pipeline tests on digital zeros instead. So always state which silence an accuracy includes.
#
# `LABELS` assigns each output of a network to its class. Five different orders of these twelve are
# in use.
#
# **Contract.** `extra_count(wanted)`: a whole number → a whole number. `choose_clips(names,
# seed=0)`: a list of names, which is not modified → a list of pairs (name or None, index in
# `LABELS`), in any order; with the same seed the same clips. Use `random` or `torch`, not
# `kws.data.protocols`.


# %% tags=["export"]
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
LABELS = ("_silence_", "_unknown_", *COMMANDS)


def extra_count(wanted):
    """10 % of the number of wanted clips, rounded up."""
    # BEGIN SOLUTION 1.8
    #: Divide by ten and round up, never down.
    return math.ceil(wanted / 10)
    # END SOLUTION


def choose_clips(names, seed=0):
    """names of one split's clips, in any order -> a list of (name or None, index in LABELS)."""
    # BEGIN SOLUTION 1.8
    #: Every clip in the folder of a command, with the index of that command.
    words = {name: name.split("/")[0] for name in sorted(names)}
    chosen = [(name, LABELS.index(word)) for name, word in words.items() if word in COMMANDS]
    extra = extra_count(len(chosen))
    #: Sort the other names, shuffle them with a random.Random(seed) of your own, and take the
    #: first extra_count of them as unknown (or all, if they are fewer).
    others = [name for name, word in words.items() if word not in COMMANDS]
    random.Random(seed).shuffle(others)
    chosen += [(name, LABELS.index("_unknown_")) for name in others[:extra]]
    #: As silence, extra_count times (None, index): nothing is recorded for it.
    chosen += [(None, LABELS.index("_silence_"))] * extra
    return chosen
    # END SOLUTION


# %% [markdown]
# The training split of Speech Commands 0.02 has 30,769 clips of the ten commands, validation 3,703
# and testing 4,074. With unknown and silence they are 36,923, 4,445 and 4,890, the counts that
# papers report.

# %% tags=["check"]
with check("1.8-extra-by-hand", "10 % rounded up, as in the published counts"):
    for wanted, extra in ((30_769, 3_077), (3_703, 371), (4_074, 408), (20, 2)):
        expect_equal(f"extra_count({wanted})", extra_count(wanted), extra)
check_values("1.8-extra-count-values", extra_count)

# %% tags=["check"]
with check("1.8-choose-by-hand", "eleven clips of a command: two unknown and two silent ones"):
    some = [f"{word}/a_nohash_{n}.wav" for n in range(11) for word in ("go", "cat", "dog")]
    labels = [label for _, label in choose_clips(some) or ()]
    counts = tuple(labels.count(index) for index in range(12))
    expected = (2, 2, *[0] * 9, 11)
    expect_equal("clips of each label", counts, expected)
check_values("1.8-choose-counts", choose_clips)
check_values("1.8-choose-labels", choose_clips)
check_values("1.8-choose-drawn", choose_clips)
check_values("1.8-choose-same", choose_clips)

# %% [markdown]
# Do so many unknown clips really do harm? Train a small network for 200 steps, twice: once with
# *all* other words as unknown, once with your choice. Then test it on commands of speakers who are
# not in its training set.

# %%
row = {name: n for n, name in enumerate(names)}
inputs = F.adaptive_avg_pool2d(cepstra - cepstra.mean(1, keepdim=True), (25, 13)).flatten(1)
inputs = inputs / inputs.std()
commands = [name for name in names if name.split("/")[0] in COMMANDS]
held_out = [name for name in commands if which_split(name) != "training"]
truth = torch.tensor([LABELS.index(name.split("/")[0]) for name in held_out])


def score(answer):
    """How many of the commands are right."""
    return Proportion(correct=int((answer == truth).sum()), n=len(held_out))


# %%
def answers(pairs):
    """The predictions for the commands of a network trained on these pairs for 200 steps."""
    torch.manual_seed(0)
    silent = torch.zeros(inputs.shape[1])
    x = torch.stack([silent if name is None else inputs[row[name]] for name, _ in pairs])
    y = torch.tensor([label for _, label in pairs])
    network = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], 64), torch.nn.ReLU(), torch.nn.Linear(64, 12)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(200):
        batch = torch.randint(len(x), (32,))
        loss = F.cross_entropy(network(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network(inputs[[row[name] for name in held_out]]).argmax(dim=1)


# %%
train = [name for name in names if which_split(name) == "training"]
every = [(name, LABELS.index(name.split("/")[0]) if name in commands else 1) for name in train]
predicted = {"all other words": answers(every), "10 %": answers(choose_clips(train))}
figure, axes = plt.subplots(figsize=(6, 2.2), layout="constrained")
for label, answer in predicted.items():
    print(f"unknown is {label}: {score(answer)} of the commands right")
    right, unknown = 100 * score(answer).value, 100 * (answer == 1).double().mean().item()
    axes.barh(label, right, color="tab:blue")
    axes.barh(label, unknown, left=right, color="lightgray")
    axes.barh(label, 100 - right - unknown, left=right + unknown, color="tab:orange")
_ = axes.legend(["right", "unknown", "another word"], ncols=3, frameon=False, loc=(0, 1))
axes.set(xlabel="commands, by speakers not in training (%)", ylabel="unknown is", xlim=(0, 100))
alphabet = torch.tensor(sorted(range(12), key=lambda index: LABELS[index]))
print(f"10 %, read with labels in alphabetical order: {score(alphabet[predicted['10 %']])}")

# %% [markdown]
# The first network did minimize its loss: of *its* training clips seven in ten are unknown, so
# "unknown" for every clip is right seven times in ten. (In the real archive about six in ten.) And
# the last line: the same network and predictions, with another order of labels. Nothing crashes. A
# checkpoint without its labels is worthless.
#
# **Think:** more than 10 % of what users say will be other words. What does the network do with
# *"Sunday"*? What would you change: the training data, or a threshold on its confidence?
#
# <details><summary>An answer</summary>
#
# It has to choose one of twelve classes. With luck that is unknown; but *"Sunday"* was not among
# the training words, so it may well be the command that sounds most similar. More *different*
# unknown words in training help most, as the network then learns what is not a command. A threshold
# can be chosen after training, but it rejects commands, too, and networks are often confident when
# they are wrong (notebook 5 measures it).
#
# </details>
#
# ## 1.9 SpecAugment
#
# Mask a few frames and a few bands of every training example, different ones each time, and a
# network learns not to rely on any of them. Masked values become the mean of their own example.
# (Not 0: in a log-mel spectrogram, 0 is *loud*.)
#
# Beware of a popular implementation: torchaudio's `TimeMasking` draws **one** mask for a whole
# batch, unless `iid_masks=True`. 1,280 training clips, in batches of 32, would then get only 40
# different masks in an epoch.
#
# **Contract.** `random_spans(num_examples, length, widest)`, widest ≤ length → (num_examples,
# length) bool, every width, and every place for it, as likely as any other. `spec_augment(mel,
# max_time, max_freq)`: mel (B, T, M), which is not modified → the same shape and dtype.
# torchaudio's masks do not count as an answer.


# %% tags=["export"]
def random_spans(num_examples, length, widest):
    """-> (num_examples, length) bool: a span of 0 ... widest cells is True in every row."""
    # BEGIN SOLUTION 1.9
    #: A width for each example, whole numbers from 0 to widest, both included: (B, 1).
    width = torch.randint(0, widest + 1, (num_examples, 1))
    #: A start for each, from 0 to length - width, both included.
    start = (torch.rand(num_examples, 1) * (length - width + 1)).long()
    #: True where start <= cell < start + width.
    cell = torch.arange(length)
    return (start <= cell) & (cell < start + width)
    # END SOLUTION


def spec_augment(mel, max_time, max_freq):
    """mel (B, T, M) -> the same shape: a span of frames and one of bands are set to the mean."""
    # BEGIN SOLUTION 1.9
    #: One span of frames and one of bands for every example, as (B, T, 1) and (B, 1, M).
    B, T, M = mel.shape
    frames = random_spans(B, T, max_time)[:, :, None]
    bands = random_spans(B, M, max_freq)[:, None, :]
    #: The mean of every example by itself: (B, 1, 1).
    mean = mel.mean(dim=(1, 2), keepdim=True)
    #: A new tensor: the mean where either span is True, mel elsewhere. (Do not modify mel.)
    return torch.where(frames | bands, mean, mel)
    # END SOLUTION


# %% tags=["check"]
with check("1.9-covered-by-hand", "an example that is 5 (or -3) everywhere does not change"):
    flat = torch.tensor([5.0, -3.0]).repeat(50)[:, None, None].expand(100, 5, 7)
    values = tuple(spec_augment(flat.clone(), 3, 4).unique().tolist())
    expect_equal("the set of values", values, (-3.0, 5.0))
check_values("1.9-spans-values", random_spans)
check_values("1.9-augment-masks", spec_augment)
check_values("1.9-augment-mean", spec_augment)
check_values("1.9-augment-given", spec_augment)

# %% [markdown]
# Four copies of the same clip, masked by torchaudio (above) and by your function (below).

# %%
four = log_mel(waveforms[:1]).expand(4, -1, -1).clone()
one_mask = torchaudio.transforms.TimeMasking(25)
one_mask = one_mask(
    torchaudio.transforms.FrequencyMasking(10)(four.mT, four.mean()), four.mean()
).mT
figure, axes = plt.subplots(2, 4, figsize=(6, 3.2), sharex=True, sharey=True, layout="constrained")
for line, batch in zip(axes, (one_mask, spec_augment(four, 25, 10)), strict=True):
    for place, example in zip(line, batch, strict=True):
        place.imshow(example.T.numpy(), origin="lower", aspect="auto", cmap="cividis")
figure.supxlabel("frame (10 ms)", fontsize="medium")
axes[0, 0].set_ylabel("mel band\n(torchaudio)")
_ = axes[1, 0].set_ylabel("mel band\n(yours)")

# %% [markdown]
# **Think:** may you mask the *validation* clips as well? And what is the mean if three quarters of
# an example are padding?
#
# <details><summary>An answer</summary>
#
# No: validation measures what users get, and their clips are not masked. With masks the accuracy
# would usually be lower, and different each time. If three quarters are padding, the mean is nearly
# that of padding: masked parts look like silence, and many masks lie in the padding, where they
# change nothing. Take the mean, and draw the spans, over the real frames only.
#
# </details>
#
# ## Now your own voice
#
# Optional, without points. Record a word, save it as `my_word.wav` beside this notebook, and run
# this cell: your function shows what every model of this course gets to see of it.

# %%
recording = Path("my_word.wav")
if recording.is_file():
    mine = pad_or_trim(read_audio(recording, resample=True), SAMPLE_RATE)
    figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
    axes.imshow(log_mel(mine[None])[0].T, origin="lower", aspect="auto", cmap="cividis")
    axes.set(title="your voice", xlabel="frame (10 ms)", ylabel="mel band")
else:
    print("there is no my_word.wav yet")

"""The fast twin of `kws.audio.features.filtered_power`: equal, and several times as fast on a CPU.

Three things make the difference. Frames go through in blocks that stay in the processor's cache; a
long recording needs little memory that way, too. Real and imaginary parts are squared where they
lie and added by the filters, each of which has every row twice. And neighboring filters are applied
together to the few frequencies that they need: triangles are almost all zeros.

What is left is the FFT, half of the time. Its alternatives were measured and lost, on an AMD EPYC
(Zen 4): as a product of matrices, folded twice by symmetry, it takes three times as long; in two
steps of 20 and 20 twice as long; two frames in one complex FFT are no faster. A graph that is
exported has no FFT, and computes that product.

Shape letters: B batch   N samples   T frames   F features   K frequencies of the FFT
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

BANDS = 8  # filters applied at a time
BLOCK_FRAMES = 808  # computed at a time on a CPU, eight seconds: 1.3 MB of spectrum


def dft_kernels(window: Float[Tensor, "W"]) -> Float[Tensor, "rows 1 W"]:
    """Real, then imaginary part of the DFT as rows to multiply a frame by, the window included."""
    n = torch.arange(len(window), dtype=torch.float64)
    angle = 2 * math.pi / len(window) * (n[: len(window) // 2 + 1, None] * n % len(window))
    rows = torch.cat([angle.cos(), -angle.sin()]) * window.cpu()
    return rows[:, None].to(window)


class FilteredPower:
    """`filtered_power` with its window and filterbank prepared once: callable on waveforms."""

    def __init__(
        self, window: Float[Tensor, "W"], filterbank: Float[Tensor, "K F"], hop: int
    ) -> None:
        self.window, self.filterbank, self.hop = window, filterbank, hop
        self.kernels = dft_kernels(window)
        self.num_freqs, self.num_filters = filterbank.shape
        # rows of the spectrum are real and imaginary parts in turn, so each filter has them twice
        filters = filterbank.repeat_interleave(2, dim=0).T
        self.bands: list[tuple[int, int, Tensor]] = []  # low, high, weights (bands, high - low)
        for band in filters.split(BANDS):
            used = band.any(0).nonzero()[:, 0].tolist() or [0]
            low, high = used[0], used[-1] + 1
            self.bands.append((low, high, band[:, low:high].contiguous()))

    def __call__(self, waveform: Float[Tensor, "B N"]) -> Float[Tensor, "B T F"]:
        """Power of each filter in each frame."""
        if torch.compiler.is_exporting():
            return self.by_convolution(waveform)
        half = len(self.window) // 2
        num_frames = 1 + waveform.shape[1] // self.hop
        block = BLOCK_FRAMES if waveform.is_cpu else 1 << 31
        power = waveform.new_empty(len(waveform) * num_frames, self.num_filters)
        done = 0
        for rows in waveform.split(max(1, block // num_frames)):
            left, right = rows[:, 1 : half + 1].flip(1), rows[:, -half - 1 : -1].flip(1)
            reflected = torch.cat([left, rows, right], dim=1)
            for frames in reflected.unfold(1, len(self.window), self.hop).split(block, dim=1):
                part = self._of_frames(frames)
                power[done : done + len(part)] = part
                done += len(part)
        return power.view(len(waveform), num_frames, self.num_filters)

    def by_convolution(self, waveform: Float[Tensor, "B N"]) -> Float[Tensor, "B T F"]:
        """The same in operations that every runtime has: what an exported graph computes.

        ONNX knows complex spectra by its operator STFT alone, which takes seconds in a browser
        (https://github.com/microsoft/onnxruntime/issues/20997). Here a frame's spectrum is a
        convolution with windowed cosines and sines, of stride `hop`.
        """
        half = len(self.window) // 2
        padded = F.pad(waveform[:, None], (half, half), mode="reflect")
        squares = F.conv1d(padded, self.kernels, stride=self.hop).square()  # (B, 2K, T)
        power = squares[:, : self.num_freqs] + squares[:, self.num_freqs :]
        return power.mT @ self.filterbank

    def _of_frames(self, frames: Float[Tensor, "R T W"]) -> Float[Tensor, "R*T F"]:
        spectrum = torch.fft.rfft(frames * self.window)  # (R, T, K), complex
        squares = torch.view_as_real(spectrum).square_().view(-1, 2 * self.num_freqs).T
        with torch.autocast(frames.device.type, enabled=False):  # 16 bits are too few for power
            return torch.cat([band @ squares[low:high] for low, high, band in self.bands]).T

"""A small codec: log-mels become 25 codes a second, and codes log-mels again.

Source: the one-dimensional encoder and decoder of Dhariwal et al. 2020, "Jukebox", section 3
(https://arxiv.org/abs/2005.00341), in two steps, and over log-mels in place of a waveform.

Shape letters: B batch   T frames   F mel bands   t codes (T / 4)   W channels
               D width of a code's vector   K codes
"""

from jaxtyping import Float, Int
from torch import Tensor, nn

from kws.models.codebook import Codebook
from kws.settings import Size

STRIDE = 4  # frames that become one code


def _conv(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(channels, out, 3, padding=1), nn.ReLU())


class Codec(nn.Module):
    """Two convolutions of stride 2, a codebook, and two transposed convolutions.

    Args:
        n_mels: F.
        width: W, channels of the convolutions.
        code_width: width of a code's vector.
        num_codes: K.

    Raises:
        ValueError: if there are fewer than two codes.
    """

    def __init__(
        self, n_mels: Size = 40, width: Size = 128, code_width: Size = 32, num_codes: Size = 128
    ):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(n_mels, width, 4, 2, 1),
            nn.ReLU(),
            _conv(width, width),
            nn.Conv1d(width, width, 4, 2, 1),
            nn.ReLU(),
            _conv(width, width),
            nn.Conv1d(width, code_width, 1),
        )
        self.codebook = Codebook(num_codes, code_width)
        self.decoder = nn.Sequential(
            _conv(code_width, width),
            nn.ConvTranspose1d(width, width, 4, 2, 1),
            nn.ReLU(),
            _conv(width, width),
            nn.ConvTranspose1d(width, width, 4, 2, 1),
            nn.ReLU(),
            nn.Conv1d(width, n_mels, 3, padding=1),
        )

    def forward(
        self, mel: Float[Tensor, "B T F"]
    ) -> tuple[Float[Tensor, "B T F"], Int[Tensor, "B t"], Float[Tensor, ""]]:
        """Reconstruction, codes and commitment loss. ValueError: T is 0, or not a multiple of 4."""
        q, codes, loss = self.codebook(self._encoded(mel))
        return self._decoded(q), codes, loss

    def encode(self, mel: Float[Tensor, "B T F"]) -> Int[Tensor, "B t"]:
        """The codes alone; the codebook does not change in either mode. Errors as `forward`."""
        return self.codebook.nearest(self._encoded(mel))

    def decode(self, codes: Int[Tensor, "B t"]) -> Float[Tensor, "B T F"]:
        """Decode codes to log-mels."""
        return self._decoded(self.codebook.vectors[codes])

    def _encoded(self, mel: Float[Tensor, "B T F"]) -> Float[Tensor, "B t D"]:
        if mel.shape[1] % STRIDE or not mel.shape[1]:
            raise ValueError(
                f"{mel.shape[1]} frames are not {STRIDE}, {2 * STRIDE}, …: cut or pad the mels"
            )
        return self.encoder(mel.mT).mT

    def _decoded(self, q: Float[Tensor, "B t D"]) -> Float[Tensor, "B T F"]:
        return self.decoder(q.mT).mT

"""A spectrogram cut into patches, as an image is: each patch becomes one token.

Source: Gong et al. 2021, "AST: Audio Spectrogram Transformer", section 2.1
(https://arxiv.org/abs/2104.01778): 16 x 16 patches at stride 10, of 128 bands and 1,024 frames
12 x 101 = 1,212. Parity: `F.unfold`, and `nn.Conv2d` with the patch as its kernel, float64, 1e-12.

Neither axis is padded: bands and frames behind the last whole patch are in none. A patch of a
padded clip is real if all of its frames are, so a clip has the same patches alone.

Shape letters: B batch   T frames   F mel bands   D model width   N patches, f rows of t columns
               P pixels of a patch, its bands times its frames
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from kws.models.frontend import maps_of, valid_after, zero_padding

Pair = tuple[int, int]  # of bands, and of frames


def count_patches(bands: int, frames: int, patch: Pair, stride: Pair) -> Pair:
    """Rows and columns of the grid: (n - p) // s + 1 along either axis.

    >>> count_patches(128, 1024, (16, 16), (10, 10))
    (12, 101)

    Raises:
        ValueError: if no patch fits.
    """
    if min(*patch, *stride) < 1:
        raise ValueError(f"patch={patch} and stride={stride}: all four must be at least 1")
    if bands < patch[0] or frames < patch[1]:
        raise ValueError(
            f"{bands} bands x {frames} frames are smaller than a patch of "
            f"{patch[0]} x {patch[1]}: take longer clips or a smaller patch"
        )
    return (bands - patch[0]) // stride[0] + 1, (frames - patch[1]) // stride[1] + 1


def cut_patches(mel: Float[Tensor, "B T F"], patch: Pair, stride: Pair) -> Float[Tensor, "B N P"]:
    """All patches, band row by band row from the lowest, in time. ValueError if no patch fits."""
    count_patches(mel.shape[2], mel.shape[1], patch, stride)
    image = mel.mT.unfold(1, patch[0], stride[0]).unfold(2, patch[1], stride[1])
    return image.flatten(3).flatten(1, 2)


class PatchEmbedding(nn.Module):
    """The same linear layer for every patch, as a convolution whose stride may overlap.

    P D + D parameters.

    Args:
        d_model: width of a token.
        patch: bands and frames of a patch.
        stride: bands and frames from one patch to the next; smaller than the patch, they overlap.
    """

    def __init__(self, d_model: int, patch: Pair, stride: Pair):
        super().__init__()
        self.patch, self.stride = patch, stride
        self.project = nn.Conv2d(1, d_model, patch, stride)

    def forward(
        self, mel: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B D f t"], Bool[Tensor, "B t"] | None]:
        """mel (B, T, F) -> a token a patch, and which are real. ValueError if no patch fits."""
        count_patches(mel.shape[2], mel.shape[1], self.patch, self.stride)
        after = valid_after(valid, kernel_size=self.patch[1], stride=self.stride[1])
        return self.project(zero_padding(maps_of(mel), valid)), after

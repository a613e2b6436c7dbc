"""`nn.Conv1d` with a faster route for depthwise kernels on a CPU.

Where frames lie one after the other in memory, as in a Transformer's (B, T, D) seen as (B, D, T),
oneDNN has a kernel for images but none for sequences. So here the sequence is an image of height 1.
Same parameters, same state dict, same result within rounding; other convolutions and other devices
take the route of `nn.Conv1d`.

Shape letters: B batch   D channels   T frames
               E, T2 channels and frames that go out
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class DepthwiseConv(nn.Conv1d):
    """`nn.Conv1d`, as an image of height 1 where it is depthwise."""

    def forward(self, input: Float[Tensor, "*B D T"]) -> Float[Tensor, "*B E T2"]:
        if not (input.is_cpu and input.ndim == 3 and _is_plain(self)):
            return super().forward(input)
        image, kernel = input[:, :, None], self.weight[:, :, None]
        padding = (0, int(self.padding[0]))
        return F.conv2d(image, kernel, self.bias, padding=padding, groups=self.groups)[:, :, 0]


def _is_plain(conv: nn.Conv1d) -> bool:
    """Depthwise with stride and dilation 1, and zeros as padding."""
    return (
        conv.groups == conv.in_channels == conv.out_channels
        and conv.stride == conv.dilation == (1,)
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )

"""A codec and a prior over its codes in one model, as a run folder has them.

Shape letters: B words   t codes of a clip
"""

from collections.abc import Mapping

from jaxtyping import Float, Int
from torch import Tensor, nn

from kws.models.code_prior import CodePrior
from kws.models.codec import Codec


class CodedWords(nn.Module):
    """A codec that learns no more, and a prior that does."""

    def __init__(self, codec: Codec, prior: CodePrior):
        super().__init__()
        self.codec, self.prior = codec.requires_grad_(False), prior

    def forward(
        self, words: Int[Tensor, "B"], codes: Int[Tensor, "B t"]
    ) -> Float[Tensor, "B t+1 K"]:
        """The prior's logits; errors as there."""
        return self.prior(words, codes)


def codec_like(weights: Mapping[str, Tensor]) -> Codec:
    """A codec of the sizes of these weights, with them. RuntimeError: not a codec's."""
    try:
        first, vectors = weights["encoder.0.weight"], weights["codebook.vectors"]
        width, n_mels, _ = first.shape
        num_codes, code_width = vectors.shape
    except (KeyError, ValueError) as error:
        raise RuntimeError("these are not the weights of a codec") from error
    codec = Codec(n_mels, width, code_width, num_codes)
    codec.load_state_dict(dict(weights))
    return codec

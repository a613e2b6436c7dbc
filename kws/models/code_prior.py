"""A language model of codes: given a word and the codes so far, how probable is each next one?

Source: the prior of Dhariwal et al. 2020, "Jukebox", section 4
(https://arxiv.org/abs/2005.00341): an autoregressive Transformer whose first input names what
is wanted (there artist and genre, here a word). Pre-norm layers; Vaswani et al. 2017, section 3.1.

Shape letters: B batch   t codes so far   L codes of a clip   K codes   D model width
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kws.models.decoder import CrossAttention
from kws.models.transformer import FeedForward
from kws.settings import Fraction, Layers, Size


class CausalLayer(nn.Module):
    """Causal self-attention and a feed-forward network; pre-norm.

    4 D² + 9 D + 2 D E + E parameters. Raises ValueError if `num_heads` does not divide `d_model`.
    """

    def __init__(self, d_model: int, num_heads: int, d_ff: int, dropout: float = 0.1):
        super().__init__()
        self.attention = CrossAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff, dropout, "gelu")
        self.norm_attention, self.norm_feed_forward = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B t D"]) -> Float[Tensor, "B t D"]:
        """Outputs up to a place depend on inputs up to that place alone."""
        y = self.norm_attention(x)
        x = x + self.dropout(self.attention(y, y, causal=True))
        return x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))


class CodePrior(nn.Module):
    """The word, then the codes so far → logits of each next code, the first one among them.

    Args:
        num_words: how many words can be asked for.
        num_codes: K.
        length: L, the most codes that are predicted.
        d_model, num_heads, d_ff, num_layers, dropout: of the layers.
    """

    def __init__(
        self,
        num_words: Size,
        num_codes: Size = 128,
        length: Size = 25,
        d_model: Size = 128,
        num_heads: Size = 4,
        d_ff: Size = 256,
        num_layers: Layers = 3,
        dropout: Fraction = 0.1,
    ):
        super().__init__()
        self.words = nn.Embedding(num_words, d_model)
        self.codes = nn.Embedding(num_codes, d_model)
        self.places = nn.Parameter(0.02 * torch.randn(length, d_model))
        for table in (self.words, self.codes):
            nn.init.normal_(table.weight, std=0.5)
        self.layers = nn.ModuleList(
            CausalLayer(d_model, num_heads, d_ff, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, num_codes)

    def forward(
        self, words: Int[Tensor, "B"], codes: Int[Tensor, "B t"]
    ) -> Float[Tensor, "B t+1 K"]:
        """Logits of each code, given word and codes before. ValueError: t + 1 > `length`."""
        x = torch.cat([self.words(words)[:, None], self.codes(codes)], dim=1)
        if x.shape[1] > len(self.places):
            raise ValueError(
                f"code {x.shape[1]} is asked for, and there are {len(self.places)} places: "
                "give fewer codes, or build a prior of another length"
            )
        x = x + self.places[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))

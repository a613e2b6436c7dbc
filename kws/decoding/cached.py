"""A decoder that keeps the keys and values of what was written: the same logits, sooner.

Without it, each new symbol sends the whole text through the decoder again, and projects the memory
again: U symbols cost on the order of U² T + U³. With it a symbol is one query a layer. Equal to
`SpeechTransformer.decode` at the last place, float64, 1e-12. `benchmarks/decoding.py` times both.

Shape letters: B texts   U symbols so far   T frames of the memory   D model width   H heads
               K width of one head   V symbols
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kws.models.attention import attend_fused
from kws.models.decoder import DecoderLayer
from kws.models.positional import sinusoids
from kws.models.speech_transformer import SpeechTransformer


class CachedDecoder:
    """A `Step`, (B, U) symbols -> (B, V) logits of the next, for texts that grow by one symbol.

    A call continues texts of the last one: in any order, some several times, some not at all.

    Args:
        model: in evaluation mode.
        memory: of one utterance for all texts, or of one for each.
        valid: its real frames.

    Raises:
        ValueError: a text does not continue one of the last call.
    """

    def __init__(
        self,
        model: SpeechTransformer,
        memory: Float[Tensor, "_ T D"],
        valid: Bool[Tensor, "_ T"] | None = None,
    ):
        self.model, self.valid = model, valid
        self.layers = [layer for layer in model.decoder if isinstance(layer, DecoderLayer)]
        self.frames = [layer.cross_attention.project(memory, memory)[1:] for layer in self.layers]
        self.texts: list[list[int]] = []
        self.written: list[tuple[Tensor, Tensor]] = []  # keys and values of each layer, (B H U K)

    def __call__(self, symbols: Int[Tensor, "B U"]) -> Float[Tensor, "B V"]:
        """Logits of the symbol after each text."""
        texts = symbols.tolist()
        parents = self._parents(texts)
        model, at = self.model, symbols.shape[1] - 1
        y = model.embed(symbols[:, -1:])
        place = torch.tensor([at], device=y.device, dtype=torch.float64)
        y = y + sinusoids(place, y.shape[-1]).to(y.dtype)
        valid = None if self.valid is None else self.valid.expand(len(texts), -1)
        for number, layer in enumerate(self.layers):
            z = layer.norm_self(y)
            q, k, v = layer.self_attention.project(z, z)
            if at:
                before = (kept[parents] for kept in self.written[number])
                k, v = (torch.cat(pair, 2) for pair in zip(before, (k, v), strict=True))
            self.written[number : number + 1] = [(k, v)]
            y = y + layer.self_attention.out(_joined(attend_fused(q, k, v)))
            z = layer.norm_cross(y)
            q, *_ = layer.cross_attention.project(z, z[:, :0])
            keys, values = (kept.expand(len(texts), -1, -1, -1) for kept in self.frames[number])
            y = y + layer.cross_attention.out(_joined(attend_fused(q, keys, values, valid)))
            y = y + layer.feed_forward(layer.norm_feed_forward(y))
        self.texts = texts
        return model.write(model.norm(y))[:, 0]

    def _parents(self, texts: list[list[int]]) -> list[int]:
        """The row of the last call that each text continues."""
        if len(texts[0]) == 1:
            return []
        if [text[:-1] for text in texts] == self.texts:  # equal texts may belong to other memories
            return list(range(len(texts)))
        rows = {tuple(text): row for row, text in enumerate(self.texts)}
        if any(tuple(text[:-1]) not in rows for text in texts):
            raise ValueError("a text does not continue one of the last call")
        return [rows[tuple(text[:-1])] for text in texts]


def _joined(heads: Float[Tensor, "B H U K"]) -> Float[Tensor, "B U D"]:
    return heads.transpose(1, 2).flatten(2)

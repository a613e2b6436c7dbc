"""The decoder with a cache gives the logits of the decoder without one."""

import pytest
import torch

from kws.decoding.cached import CachedDecoder
from kws.models.fast import use_fast_layers
from kws.models.speech_transformer import SpeechTransformer, SpeechTransformerConfig


@pytest.fixture(params=[False, True], ids=["torch", "fast"])
def model(request):
    torch.manual_seed(0)
    config = SpeechTransformerConfig(num_classes=7, num_features=5, d_model=6, num_heads=3, d_ff=11)
    model = SpeechTransformer(config).eval().double()
    return use_fast_layers(model) if request.param else model


def test_logits_equal_those_of_whole_texts_as_a_beam_continues_them(model):
    memory, valid = torch.randn(1, 13, 6, dtype=torch.float64), torch.ones(1, 13).bool()
    valid[0, 10:] = False
    step, symbols = CachedDecoder(model, memory, valid), torch.tensor([[1]])
    for parents in ([], [0, 0, 0], [2, 0, 2], [1], [0, 0]):
        if parents:
            new = torch.arange(len(parents)) + 2
            symbols = torch.cat([symbols[parents], new[:, None]], dim=1)
        many = (memory.expand(len(symbols), -1, -1), valid.expand(len(symbols), -1))
        expected = model.decode(symbols, *many)[:, -1]
        torch.testing.assert_close(step(symbols), expected, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="does not continue"):
        step(symbols)


def test_equal_texts_of_several_utterances_have_their_own_memories(model):
    memory = torch.randn(3, 13, 6, dtype=torch.float64)
    step, symbols = CachedDecoder(model, memory), torch.ones(3, 1).long()
    for _ in range(3):
        expected = model.decode(symbols, memory)[:, -1]
        torch.testing.assert_close(step(symbols), expected, rtol=0, atol=1e-12)
        symbols = torch.cat([symbols, torch.full((3, 1), 4)], dim=1)

"""The Speech-Transformer and its recurrent rival: padding, causality, what it hears, two halves."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from kws.audio.features import with_deltas
from kws.models.counts import count_parameters
from kws.models.speech_gru import SpeechGru, SpeechGruConfig
from kws.models.speech_transformer import (
    MODULES,
    ConvSubsampling,
    SpeechTransformer,
    SpeechTransformerConfig,
    count_subsampled,
)
from tests.tolerances import ROUNDING, SAME_SUMS

SMALL = SpeechTransformerConfig(
    num_classes=7, num_features=10, channels=3, d_model=8, num_heads=2, d_ff=11
)


def small(**changes: Any) -> SpeechTransformer:
    torch.manual_seed(0)
    return SpeechTransformer(replace(SMALL, **changes)).double().eval()


def wanted() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    valid = torch.arange(21) < torch.tensor([[21], [9], [1]])
    return torch.randn(3, 21, 10).double(), valid, torch.randint(7, (3, 5))


def test_a_quarter_of_the_frames_is_left_and_every_one_of_a_million_parameters_learns():
    module = ConvSubsampling(10, 8, 3)
    for frames in range(1, 10):
        x, valid = module(torch.randn(1, frames, 10), torch.ones(1, frames, dtype=torch.bool))
        assert x.shape[1] == count_subsampled(frames) == -(-frames // 4)
        assert valid is not None
        assert valid.shape[1] == x.shape[1]
    model = SpeechTransformer(SpeechTransformerConfig())
    assert count_parameters(model) == 825_942
    logits, ctc = model(torch.randn(2, 30, 40), None, torch.randint(19, (2, 4)))
    (logits.square().sum() + ctc.square().sum()).backward()
    assert all(p.grad is not None for p in model.parameters())


def small_gru() -> SpeechGru:
    torch.manual_seed(0)
    sizes = {"num_classes": 7, "num_features": 10, "channels": 3, "d_model": 8}
    return SpeechGru(SpeechGruConfig(**sizes, num_heads=2, hidden_size=5, deltas=1)).double().eval()


def test_padding_moves_no_logit_of_any_recognizer():
    modules = [small(module=module, num_modules=2) for module in MODULES]
    for model in (small(deltas=2), *modules, small_gru()):
        mel, valid, symbols = wanted()
        logits, ctc = model(mel, valid, symbols)
        loud = mel.masked_fill(~valid[..., None], torch.nan)
        again, ctc_again = model(loud, valid, symbols)
        torch.testing.assert_close(again, logits, rtol=0, atol=SAME_SUMS)
        for row, frames in enumerate([21, 9, 1]):
            one = slice(row, row + 1)
            alone, ctc_alone = model(mel[one, :frames], None, symbols[one])
            torch.testing.assert_close(alone, logits[one], rtol=0, atol=ROUNDING)
            left = count_subsampled(frames)
            torch.testing.assert_close(ctc_alone, ctc[one, :left], rtol=0, atol=ROUNDING)
            torch.testing.assert_close(ctc_again[one, :left], ctc_alone, rtol=0, atol=ROUNDING)


def test_derivatives_are_further_channels_of_the_first_convolution():
    module, mel = ConvSubsampling(10, 8, 3, deltas=2).double(), torch.randn(2, 21, 10).double()
    channels = with_deltas(mel, 2).unflatten(2, (3, 10)).permute(0, 2, 3, 1)
    expected = F.conv2d(channels, module.first.weight, module.first.bias, stride=2, padding=1)
    convolved = []
    module.first.register_forward_hook(lambda _, __, out: convolved.append(out))
    module(mel)
    torch.testing.assert_close(convolved[0], expected, rtol=0, atol=SAME_SUMS)


def test_it_looks_at_no_symbol_ahead_and_hears_its_own_memory():
    for model in (small(), small_gru()):
        mel, valid, symbols = wanted()
        logits, _ = model(mel, valid, symbols)
        other = symbols.clone()
        other[:, 3:] = (other[:, 3:] + 1) % 7
        changed, _ = model(mel, valid, other)
        torch.testing.assert_close(changed[:, :3], logits[:, :3], rtol=0, atol=SAME_SUMS)
        assert not torch.allclose(changed[:, 3], logits[:, 3])
        memory, shown = model.encode(mel, valid)
        again = model.decode(symbols, memory, shown)
        torch.testing.assert_close(again, logits, rtol=0, atol=SAME_SUMS)
        assert not torch.allclose(model.decode(symbols, memory.roll(1, 0), shown), logits)

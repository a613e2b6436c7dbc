"""FastSpeech: lengths, padding, parity."""

import pytest
import torch

from kws.models.duration_predictor import DurationPredictor
from kws.models.fastspeech import FastSpeech, FastSpeechConfig, fastspeech_loss, pad_phonemes
from kws.models.fft_block import FftBlock, duration_loss, frames_from
from kws.models.length_regulator import regulate, scale_durations
from kws.models.scaled_positions import ScaledPositions
from tests.tolerances import ROUNDING, SAME_SUMS

B, U, D, H, E = 2, 7, 12, 3, 5
SMALL = FastSpeechConfig(
    num_symbols=11, n_mels=5, d_model=D, num_heads=H, d_ff=E, longest=50, mean=2.0, deviation=3.0
)


def texts() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    symbols = torch.randint(1, 11, (B, U), generator=generator)
    stresses = torch.randint(3, (B, U), generator=generator)
    phonemes = torch.stack([symbols, stresses], dim=-1)
    return pad_phonemes([phonemes[0], phonemes[1, : U - 3]])


def test_regulate_equals_repeat_interleave_and_its_gradient_the_sum_of_copies(float64):
    x, durations = torch.randn(B, U, D), torch.randint(0, 5, (B, U))
    y, valid = regulate(x, durations)
    for row, copies, times, real in zip(y, x, durations, valid, strict=True):
        torch.testing.assert_close(row[real], copies.repeat_interleave(times, dim=0))
        assert not row[~real].any()
    x = torch.randn(1, 3, 2, requires_grad=True)
    y, _ = regulate(x, torch.tensor([[2, 0, 3]]))
    y.sum().backward()
    assert x.grad is not None
    assert x.grad[0, :, 0].tolist() == [2, 0, 3]


@pytest.mark.parametrize(("durations", "why"), [([[-1, 3]], "negative"), ([[0, 0]], "no frames")])
def test_durations_that_say_nothing_are_refused(durations, why):
    with pytest.raises(ValueError, match=why):
        regulate(torch.zeros(1, 2, 1), torch.tensor(durations))


def test_the_block_does_not_let_padding_through_nor_fastspeech_say_a_text_otherwise_beside_another(
    float64,
):
    block = FftBlock(D, H, E, 5).eval()
    x, valid = torch.randn(1, U, D), torch.arange(U)[None] < U - 3
    y = block(x * valid[..., None], valid)
    torch.testing.assert_close(
        y[:, : U - 3], block(x[:, : U - 3], torch.ones(1, U - 3).bool()), atol=SAME_SUMS, rtol=0
    )
    assert not y[~valid].any()
    with pytest.raises(ValueError, match="even"):
        FftBlock(D, H, E, 4)
    model = FastSpeech(SMALL).eval()
    phonemes, valid = texts()
    mel, frames, logs = model(phonemes, valid)
    alone, _, its_logs = model(phonemes[1:, : U - 3], valid[1:, : U - 3])
    torch.testing.assert_close(mel[1:, : alone.shape[1]], alone, atol=ROUNDING, rtol=0)
    torch.testing.assert_close(logs[1:, : U - 3], its_logs, atol=ROUNDING, rtol=0)
    assert frames.sum(dim=1).tolist() == frames_from(logs, valid).sum(dim=1).tolist()


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_parameters_by_formula(kernel_size):
    k, block = kernel_size, FftBlock(D, H, E, kernel_size)
    formula = 4 * D**2 + 9 * D + k * D * E + E + E * D
    assert sum(p.numel() for p in block.parameters()) == formula
    predictor = DurationPredictor(D, kernel_size)
    formula = 2 * (k * D**2 + D) + 4 * D + D + 1
    assert sum(p.numel() for p in predictor.parameters()) == formula


def test_durations_are_those_whose_logarithm_is_predicted_at_the_pace():
    durations = torch.tensor([[1, 7, 30]])
    valid = torch.tensor([[True, True, False]])
    logs = (durations + 1.0).log()
    assert frames_from(logs, valid).tolist() == [[1, 7, 0]]
    assert duration_loss(logs, torch.tensor([[1, 7, 99]]), valid) == 0
    durations = torch.arange(20)[None]
    assert scale_durations(durations, 1.0).equal(durations)
    assert scale_durations(durations, 0.5).tolist()[0][:5] == [0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="not above 0"):
        scale_durations(durations, 0.0)


def test_fastspeech_has_as_many_frames_as_told_and_its_loss_trains_all_but_for_durations():
    model = FastSpeech(SMALL).eval()
    phonemes, valid = texts()
    mel, frames, _ = model(phonemes, valid, 2 * valid.long())
    assert mel.shape == (B, 2 * U, 5)
    assert frames.sum(dim=1).tolist() == [2 * U, 2 * (U - 3)]
    with pytest.raises(ValueError, match="positions for 50"):
        model(phonemes, valid, 8 * valid.long())
    model = FastSpeech(SMALL)
    phonemes, valid = texts()
    durations = 2 * valid.long()
    model(phonemes, valid, durations)[2].sum().backward()
    assert model.symbols.weight.grad is None
    fastspeech_loss(model, phonemes, valid, durations, torch.randn(B, 2 * U, 5)).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_alpha_weighs_the_positions():
    positions = ScaledPositions(6, 9)
    x = torch.randn(1, 9, 6)
    added = positions(x) - x
    with torch.no_grad():
        positions.alpha.fill_(0.5)
    torch.testing.assert_close(positions(x) - x, added / 2)
    with pytest.raises(ValueError, match="10 places"):
        positions(torch.zeros(1, 10, 6))


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda x, valid: FftBlock(D, H, E).eval()(x, valid), id="block"),
        pytest.param(lambda x, valid: DurationPredictor(D).eval()(x, valid), id="durations"),
        pytest.param(lambda x, valid: frames_from(x[..., 0], valid), id="frames"),
        pytest.param(
            lambda x, valid: regulate(x, valid.long().cumsum(dim=1) * valid)[0], id="regulator"
        ),
    ],
)
def test_nan_in_the_padding_reaches_no_real_frame(read):
    x, valid = torch.randn(B, U, D), torch.arange(U) < torch.tensor([[U], [U - 3]])
    results = []
    for padding in (0.0, torch.nan):
        torch.manual_seed(0)  # the weights
        results.append(read(x.masked_fill(~valid[..., None], padding), valid))
    assert torch.equal(*results)
    assert results[1].isfinite().all()

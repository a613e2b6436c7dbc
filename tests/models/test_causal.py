"""Models with state: pieces equal the whole, nothing waits, clips are the last of their steps."""

import dataclasses
import itertools

import pytest
import torch

from kws.models.causal_conformer import CausalConformer, CausalConformerConfig
from kws.models.causal_crnn import CausalCrnn, CausalCrnnConfig
from tests.models.conftest import awaken
from tests.tolerances import ROUNDING

SIZES = {"num_classes": 5, "num_features": 11, "channels": (4, 6, 7), "window": 7, "carry": 0.0}
WIDTHS = {"d_model": 12, "num_heads": 3, "d_ff": 14, "layer_dropout": 0.0, **SIZES}
KINDS = {
    "crnn": (CausalCrnn, CausalCrnnConfig(hidden_size=5, **SIZES)),
    **{
        f"conformer {layers} {past} {kernel}": (
            CausalConformer,
            CausalConformerConfig(num_layers=layers, past=past, kernel_size=kernel, **WIDTHS),
        )
        for layers, past, kernel in ((1, 5, 3), (3, 2, 5), (2, 17, 1))
    },
}


@pytest.fixture(params=KINDS)
def causal(float64, request):
    kind, config = KINDS[request.param]
    return awaken(kind(config), torch.randn(5, 30, 11)).eval(), torch.randn(2, 39, 11)


@pytest.mark.parametrize("cuts", [range(3, 39, 3), (6, 33), (21,)])
def test_pieces_give_the_logits_of_the_whole(causal, cuts):
    model, features = causal
    whole, _ = model.step(features, model.start(2))
    assert whole.shape == (2, 13, 5)
    state, found = model.start(2), []
    for a, b in itertools.pairwise((0, *cuts, 39)):
        logits, after = model.step(features[:, a:b], state)
        assert [x.shape for x in after] == [x.shape for x in state]
        found, state = [*found, logits], after
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=0, atol=ROUNDING)


def test_a_clip_is_the_last_of_its_steps(causal):
    model, features = causal
    whole, _ = model.step(features, model.start(2))
    for steps in (2, 13):  # fewer than are pooled, and more
        alone = model(features[:, : 3 * steps + 2])  # two frames are no step
        torch.testing.assert_close(alone, whole[:, steps - 1], rtol=0, atol=ROUNDING)


def test_no_step_depends_on_what_comes_later_and_half_a_step_is_refused(causal):
    model, features = causal
    whole, _ = model.step(features, model.start(2))
    later = features.clone()
    later[:, 21:] += 1
    changed, _ = model.step(later, model.start(2))
    torch.testing.assert_close(changed[:, :7], whole[:, :7], rtol=0, atol=ROUNDING)
    assert (changed[:, 7] - whole[:, 7]).abs().max() > 1e-4
    with pytest.raises(ValueError, match="38 frames are not steps of 3"):
        model.step(features[:, :38], model.start(2))


def test_a_conformer_sees_what_its_layers_keep_and_no_more(float64):
    kind, config = KINDS["conformer 1 5 3"]
    model = awaken(kind(dataclasses.replace(config, window=1)), torch.randn(5, 30, 11)).eval()
    x = torch.randn(1, 13, 7).requires_grad_()
    y, _ = model.encode(x, None, model.start_encoder(1))
    y[0, 9].sum().backward()
    seen = x.grad[0].abs().amax(1).nonzero().flatten().tolist()
    assert seen == [3, 4, 5, 6, 7, 8, 9]  # two by the convolution, each with its last five


def test_in_training_some_clips_begin_where_others_ended(causal):
    model, features = causal[0], causal[1][:, :12]  # few steps, to whose end the first ones reach
    other = features.clone()
    other[0] += 1
    model.training = True  # and no part of it: statistics of a batch would join the clips, too
    moved = {}
    for carry in (0.0, 1.0):
        model.config = dataclasses.replace(model.config, carry=carry)
        moved[carry] = (model(features)[1] - model(other)[1]).detach().abs().max()
    assert moved[0.0] < ROUNDING < 1e-4 < moved[1.0]

"""A model with state: pieces equal the whole, nothing waits, clips are the last of their steps."""

import dataclasses
import itertools

import pytest
import torch

from kws.models.causal_crnn import CausalCrnn, CausalCrnnConfig
from tests.models.conftest import awaken
from tests.tolerances import ROUNDING

CONFIG = CausalCrnnConfig(
    num_classes=5, num_features=11, channels=(4, 6, 7), hidden_size=5, window=7, carry=0.0
)


@pytest.fixture
def causal(float64):
    model = CausalCrnn(CONFIG)
    return awaken(model, torch.randn(5, 30, 11)).eval(), torch.randn(2, 39, 11)


@pytest.mark.parametrize("cuts", [range(3, 39, 3), (6, 33)])
def test_pieces_give_the_logits_of_the_whole(causal, cuts):
    model, features = causal
    whole, _ = model.step(features, model.start(2))
    assert whole.shape == (2, 13, 5)
    state, found = model.start(2), []
    for a, b in itertools.pairwise((0, *cuts, 39)):
        logits, state = model.step(features[:, a:b], state)
        found.append(logits)
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
    model, features = causal
    with pytest.raises(ValueError, match="38 frames are not steps of 3"):
        model.step(features[:, :38], model.start(2))


def test_in_training_some_clips_begin_where_others_ended(causal):
    model, features = causal
    other = features.clone()
    other[0] += 1
    moved = {}
    for carry in (0.0, 1.0):
        model.config = dataclasses.replace(CONFIG, carry=carry)
        outputs = []
        for given in (features, other):
            model.train()
            for part in model.modules():  # statistics of a batch would join the clips, too
                if part is not model and not isinstance(part, torch.nn.GRU):
                    part.eval()
            outputs.append(model(given)[1])
        moved[carry] = (outputs[0] - outputs[1]).detach().abs().max()
    assert moved[0.0] < ROUNDING < 1e-4 < moved[1.0]

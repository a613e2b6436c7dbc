"""Optimisers: which parameters decay, what each knob does, and the average of the weights."""

import pytest
import torch
from torch import nn

from kws.optimiser import AveragedWeights, build_optimiser, set_learning_rate
from kws.recipe import Train


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def stepped(model, train: Train) -> torch.Tensor:
    """All weights after three steps with the gradient 1, 2, 3."""
    optimiser = build_optimiser(model, train)
    for value in (1.0, 2.0, 3.0):
        for p in model.parameters():
            p.grad = torch.full_like(p, value)
        optimiser.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def fresh() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(5, 3)


def test_biases_and_normalisations_do_not_decay(model):
    optimiser = build_optimiser(model, Train(lr=0.1, weight_decay=0.5))
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    before = [p.detach().clone() for p in model.parameters()]
    optimiser.step()
    for old, new in zip(before, model.parameters(), strict=True):
        expected = old * (1 - 0.1 * 0.5) if old.ndim > 1 else old
        assert torch.allclose(new, expected)


def test_every_optimiser_makes_different_steps():
    names = ("adamw", "adam", "sgd", "rmsprop", "adamax")
    ends = [stepped(fresh(), Train(optimiser=name, lr=0.1, weight_decay=0.1)) for name in names]
    for i, a in enumerate(ends):
        assert torch.isfinite(a).all()
        assert not any(torch.allclose(a, b) for b in ends[i + 1 :])


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_momentum_is_used(name):
    ends = [stepped(fresh(), Train(optimiser=name, momentum=m)) for m in (0.0, 0.9)]
    assert not torch.allclose(*ends)


def test_the_learning_rate_is_set_for_both_groups(model):
    optimiser = build_optimiser(model, Train())
    set_learning_rate(optimiser, 0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]


def test_frozen_parameters_are_left_out(model):
    model[0].requires_grad_(False)
    optimiser = build_optimiser(model, Train())
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 4


def test_the_average_follows_with_its_decay_and_forgets_early_steps(model):
    averaged = AveragedWeights(model, decay=0.5)
    start = model[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight += 1
        model[1].running_mean += 3
    averaged.update(model, step=0)  # (1 + 0) / (10 + 0) = 0.1 is less than 0.5
    assert torch.allclose(averaged.model[0].weight, start + 0.9)
    assert torch.equal(averaged.model[1].running_mean, model[1].running_mean)
    averaged.update(model, step=10**6)
    assert torch.allclose(averaged.model[0].weight, start + 0.95)


def test_the_average_is_a_model_of_its_own(model):
    averaged = AveragedWeights(model, decay=0.5)
    assert not averaged.model.training
    assert not any(p.requires_grad for p in averaged.model.parameters())
    with torch.no_grad():
        model[0].weight.zero_()
    assert averaged.model[0].weight.abs().sum() > 0

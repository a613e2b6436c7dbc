"""Optimizers: which parameters decay, what each knob does, and the average of the weights."""

import pytest
import torch
from torch import nn

from kws.training.optimizer import AveragedWeights, build_optimizer, set_learning_rate
from kws.training.recipe import Train


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def stepped(model, train: Train) -> torch.Tensor:
    """All weights after three steps with the gradient 1, 2, 3."""
    optimizer = build_optimizer(model, train)
    for value in (1.0, 2.0, 3.0):
        for p in model.parameters():
            p.grad = torch.full_like(p, value)
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def fresh() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(5, 3)


def test_every_optimizer_makes_different_steps():
    names = ("adamw", "adam", "sgd", "rmsprop", "adamax")
    ends = [stepped(fresh(), Train(optimizer=name, lr=0.1, weight_decay=0.1)) for name in names]
    for i, a in enumerate(ends):
        assert torch.isfinite(a).all()
        assert not any(torch.allclose(a, b) for b in ends[i + 1 :])
    for name in ("sgd", "rmsprop"):
        ends = [stepped(fresh(), Train(optimizer=name, momentum=m)) for m in (0.0, 0.9)]
        assert not torch.allclose(*ends)


def test_the_learning_rate_is_set_for_both_groups_and_frozen_parameters_are_left_out(model):
    optimizer = build_optimizer(model, Train())
    set_learning_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
    model[0].requires_grad_(False)
    optimizer = build_optimizer(model, Train())
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4


def test_the_average_is_a_model_of_its_own_that_follows_and_forgets_early_steps(model):
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
    averaged = AveragedWeights(model, decay=0.5)
    assert not averaged.model.training
    assert not any(p.requires_grad for p in averaged.model.parameters())
    with torch.no_grad():
        model[0].weight.zero_()
    assert averaged.model[0].weight.abs().sum() > 0


@pytest.mark.parametrize("decay", ["matrices", "all"])
def test_biases_and_normalizations_decay_only_if_all_do(model, decay):
    assert Train().decay == "matrices"
    optimizer = build_optimizer(model, Train(lr=0.1, weight_decay=0.5, decay=decay))
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    for old, new in zip(before, model.parameters(), strict=True):
        expected = old * (1 - 0.1 * 0.5) if old.ndim > 1 or decay == "all" else old
        assert torch.allclose(new, expected)

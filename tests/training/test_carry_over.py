"""Weights carried over: what fits comes, positions are resized, the head is new, else an error."""

import pytest
import torch
from torch import nn

from kws.errors import UsageError
from kws.models.positions_2d import resize
from kws.models.registry import build_model
from kws.training.carry_over import carry_over, groups

SMALL = {"d_model": 12, "num_heads": 3, "d_ff": 14, "num_layers": 2, "patch": (16, 4)}


def model(classes: int = 5, **changes) -> nn.Module:
    settings = {**SMALL, "stride": (16, 4), "num_frames": 40, **changes}
    return build_model("ast-small", num_features=32, num_classes=classes, **settings)


def test_all_but_the_head_comes_over_and_every_name_is_told():
    source, target = model(5), model(7)
    head = target.classify.weight.clone()
    report = carry_over(source.state_dict(), target)
    assert report.new == ("classify.bias", "classify.weight")
    assert report.resized == ()
    assert sorted((*report.loaded, *report.new)) == sorted(target.state_dict())
    for name in report.loaded:
        assert torch.equal(target.state_dict()[name], source.state_dict()[name]), name
    assert torch.equal(target.classify.weight, head)
    assert str(report) == f"{len(report.loaded)} tensors loaded, 0 resized, 2 new"


def test_positions_of_another_grid_are_resized():
    source, target = model(), model(stride=(8, 3))
    report = carry_over(source.state_dict(), target)
    assert report.resized == ("positions.table",)
    expected = resize(source.positions.table, tuple(target.positions.table.shape[1:]))
    assert torch.equal(target.positions.table, expected)


@pytest.mark.parametrize(
    ("change", "output"),
    [
        ({"patch": (8, 4)}, r"embed\.project\.weight is \(12, 1, 16, 4\) in the weights and"),
        ({"num_layers": 3}, r"encoder\.layers\.2\.\S+ is not in the weights"),
        ({"num_layers": 1}, r"encoder\.layers\.1\.\S+ is not in the model"),
    ],
)
def test_weights_of_another_model_are_refused_and_leave_it_as_it_was(change, output):
    source, target = model(), model(**change)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    with pytest.raises(UsageError, match=output):
        carry_over(source.state_dict(), target)
    assert all(torch.equal(before[name], now) for name, now in target.state_dict().items())


def test_each_parameter_is_in_one_group_with_its_rate():
    target = model()
    body, head = groups(target, lr=0.5, factor=0.25)
    assert (body["lr"], head["lr"]) == (0.125, 0.5)
    assert {id(p) for p in head["params"]} == {id(p) for p in target.classify.parameters()}
    both = [id(p) for group in (body, head) for p in group["params"]]
    assert sorted(both) == sorted(id(p) for p in target.parameters())

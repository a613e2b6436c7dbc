"""A new last layer: softmax regression at its minimum, and a body that stays as it is."""

import pytest
import torch

from kws.errors import UsageError
from kws.models.registry import build_model
from kws.training.batches import Batch
from kws.training.new_head import embed, fit_softmax, head_of, train_head

CLASSES = 3
COUNTS = (40, 5, 11)
SMALL = {"channels": (2, 3, 3), "hidden_size": 5, "dropout": 0.5}


def clips(width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Overlapping clouds of points, of unequal classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(CLASSES).repeat_interleave(torch.tensor(COUNTS))
    centers = torch.randn(CLASSES, width, generator=generator)
    return centers[labels] + torch.randn(len(labels), width, generator=generator), labels


def test_no_step_lowers_the_loss_that_the_module_states():
    x, labels = clips(7)
    weight, bias = (p.requires_grad_() for p in fit_softmax(x, labels, CLASSES))
    chosen = (x.double() @ weight.mT + bias).log_softmax(1)[torch.arange(len(x)), labels]
    by_class = torch.stack([chosen[labels == c].mean() for c in range(CLASSES)])
    loss = -len(x) / CLASSES * by_class.sum() + weight.square().sum() / 2
    loss.backward()
    assert weight.grad is not None
    assert bias.grad is not None
    assert max(weight.grad.abs().max(), bias.grad.abs().max()) < 1e-3  # of sums of 56 terms
    assert float(loss.detach()) < 0.9 * len(x) * torch.tensor(CLASSES).log()  # that of zeros


def test_the_body_stays_and_its_embeddings_are_what_the_layer_reads():
    model = build_model("crnn-small", num_features=40, num_classes=CLASSES, **SMALL)
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(20, 30, 40, generator=generator)
    labels = torch.arange(20) % CLASSES
    batches = [
        Batch(features=features[i], valid=None, labels=labels[i], index=i)
        for i in torch.arange(20).split(8)
    ]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    head = head_of(model)
    embeddings = embed(model, batches)
    model.eval()  # as embeddings are, whatever mode it was in
    torch.testing.assert_close(head(embeddings), model(features))
    train_head(model, batches)
    changed = {name for name, old in before.items() if not old.equal(model.state_dict()[name])}
    assert changed == {"classify.logits.weight", "classify.logits.bias"}
    expected, _ = fit_softmax(embeddings, labels, CLASSES)
    torch.testing.assert_close(head.weight.double(), expected, atol=1e-6, rtol=1e-6)  # float32


def test_what_cannot_be_trained_is_refused():
    x, labels = clips(4)
    with pytest.raises(UsageError, match="1 of 4 classes have no clip"):
        fit_softmax(x, labels, 4)
    cosines = build_model("crnn-small", num_features=40, num_classes=CLASSES, **SMALL)
    cosines.classify.logits = torch.nn.Identity()  # pyright: ignore
    with pytest.raises(UsageError, match="Crnn does not end in one linear layer"):
        head_of(cosines)

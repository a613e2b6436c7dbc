"""A new classifier on a frozen body: softmax regression on what the last layer reads.

The embedding e (D,) of a clip is the input of the model's last layer, `classify`. Its weights W
(C, D) and b (C,) minimize

    Σ_i w_i · -ln softmax(W e_i + b)[y_i] + ‖W‖² / 2,    w_i = n / (C · clips of the class of i)

so a class of ten clips weighs as much as one of a thousand. The loss is convex: the answer depends
on no seed and on no optimizer (here L-BFGS), and kws/web/train.js finds the same one.

Source: Kornblith et al. 2019, "Do better ImageNet models transfer better?", section 3.1
(https://arxiv.org/abs/1805.08974), logistic regression on a fixed network. Deviation: balanced
classes, weight 1 for the penalty in place of one that is chosen on validation clips.

Shape letters: B batch   n clips   D width of an embedding   C classes
"""

import copy
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kws.errors import UsageError
from kws.models.classifier import Classifier
from kws.training.batches import Batch
from kws.training.other_words import SeparateOtherWords, without_parts

HEAD = "classify"  # the part that gives logits, as the models of kws call it
STEPS = 200  # of L-BFGS, at most


def head_of(model: nn.Module) -> nn.Linear:
    """The linear layer that outputs the logits. UsageError: the model does not end in one."""
    head = getattr(without_parts(model), HEAD, None)
    head = head.logits if isinstance(head, Classifier) else head
    if not isinstance(head, nn.Linear):
        raise UsageError(
            f"{type(model).__name__} does not end in one linear layer: train all of it, without "
            "--head-only, or choose another recipe, such as keywords"
        )
    return head


def split_head(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Copies of the body, which outputs embeddings, and of the last layer.

    A model without a single last layer has its logits as the embedding.
    """
    body = copy.deepcopy(without_parts(model))
    try:
        head = head_of(body)
    except UsageError:
        return copy.deepcopy(model), nn.Identity()
    classify = getattr(body, HEAD)
    if isinstance(classify, Classifier):
        classify.set_submodule("logits", nn.Identity())
    else:
        setattr(body, HEAD, nn.Identity())
    if isinstance(model, SeparateOtherWords):
        return body, nn.Sequential(head, MergeOtherWords(model))
    return body, nn.Sequential(head)


class MergeOtherWords(nn.Module):
    """What `SeparateOtherWords` does with its logits, in evaluation mode."""

    def __init__(self, parts: SeparateOtherWords):
        super().__init__()
        self.merge = parts.merge

    def forward(self, logits: Float[Tensor, "B P"]) -> Float[Tensor, "B C"]:
        """One logit for all other words."""
        return self.merge(logits)


@torch.no_grad()
def embed(model: nn.Module, batches: Iterable[Batch]) -> Float[Tensor, "n D"]:
    """What the last layer of `model`, in evaluation mode, reads of each clip; on the CPU."""
    body = split_head(model)[0].eval()
    found = [body(batch.features, batch.valid).float().cpu() for batch in batches]
    return torch.cat(found)


def fit_softmax(
    embeddings: Float[Tensor, "n D"], labels: Int[Tensor, "n"], num_classes: int
) -> tuple[Float[Tensor, "C D"], Float[Tensor, "C"]]:
    """Weights and biases of this regression, float64. UsageError: a class without a clip."""
    counts = labels.bincount(minlength=num_classes)
    if not counts.all():
        raise UsageError(
            f"{int((counts == 0).sum())} of {num_classes} classes have no clip to train on: record "
            "more"
        )
    x, each = embeddings.double(), (len(labels) / (num_classes * counts)).double()
    weight = torch.zeros(num_classes, x.shape[1], dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=STEPS, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        losses = F.cross_entropy(x @ weight.mT + bias, labels, reduction="none")
        total = (each[labels] * losses).sum() + weight.square().sum() / 2
        total.backward()
        return total

    optimizer.step(loss)  # pyright: ignore[reportArgumentType]
    return weight.detach(), bias.detach()


def train_head(model: nn.Module, batches: Iterable[Batch]) -> None:
    """Replace the last layer's weights by those that fit `batches`; the rest stays as it is."""
    head, kept = head_of(model), list(batches)
    embeddings = embed(model, kept)
    labels = torch.cat([batch.labels for batch in kept]).cpu()
    weight, bias = fit_softmax(embeddings, labels, head.out_features)
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)

"""Other words as classes of their own in training, and as one class in evaluation.

The words in `_unknown_` have little in common, so a clip teaches more as an example of its own word
than as one of "everything else". The classifier has a logit for each other word in place of the one
for unknown; in evaluation mode their probabilities are summed, and the labels are the protocol's.
`benchmarks/people.py` measures the effect. A protocol without other words is unchanged.

Shape letters: B batch   C labels of the protocol   P parts: labels, other words in place of unknown
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kws.data.clips import ClipSplit
from kws.data.protocols import Protocol, get_protocol


class SeparateOtherWords(nn.Module):
    """Logits (B, P) of `model` in training; in evaluation (B, C), other words summed into one.

    Column `unknown` is that of the first other word, the others come last. The logit of a sum of
    probabilities is ln Σ exp of their logits.
    """

    def __init__(self, model: nn.Module, num_classes: int, unknown: int):
        super().__init__()
        self.model = model
        self.num_classes = num_classes
        self.unknown = unknown

    def forward(
        self, features: Float[Tensor, "B T F"], valid: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B ..."]:
        """features (B, T, F) -> logits (B, P) in training, (B, C) in evaluation."""
        logits = self.model(features, valid)
        return logits if self.training else self.merge(logits)

    def merge(self, logits: Float[Tensor, "B P"]) -> Float[Tensor, "B C"]:
        """One logit for all other words."""
        labels, rest = logits[:, : self.num_classes], logits[:, self.num_classes :]
        before, first, after = labels.tensor_split([self.unknown, self.unknown + 1], dim=1)
        unknown = torch.cat([first, rest], dim=1).logsumexp(dim=1, keepdim=True)
        return torch.cat([before, unknown, after], dim=1)


def without_parts(model: nn.Module) -> nn.Module:
    """The model whose outputs are added up, where some are."""
    return model.model if isinstance(model, SeparateOtherWords) else model


def split_other_words(split: ClipSplit) -> ClipSplit:
    """The same clips under P labels, one for each other word; unlisted words share the first."""
    protocol = get_protocol(split.protocol)
    if not protocol.unknown_words:
        return split
    rest = protocol.unknown_words[1:]
    place = {word: len(protocol.labels) + i for i, word in enumerate(rest)}
    labels = [
        place.get(name.removeprefix("spare/").partition("/")[0], label)
        for name, label in zip(split.names, split.labels.tolist(), strict=True)
    ]
    return replace(
        split,
        labels=torch.tensor(labels, device=split.labels.device),
        label_names=(*split.label_names, *rest),
    )


def labels_of_parts(protocol: Protocol) -> Int[Tensor, "P"]:
    """Which label of the protocol each part counts as."""
    rest = [unknown_of(protocol) for _ in protocol.unknown_words[1:]]
    return torch.tensor([*range(len(protocol.labels)), *rest])


def unknown_of(protocol: Protocol) -> int:
    """Index of the label for other words. ValueError: the protocol has none."""
    return protocol.labels.index(protocol.unknown_label or "")

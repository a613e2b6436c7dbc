"""Two more classes for a model of words only, given by low confidence.

A report on the challenge trained on 30 words and let confidence decide the rest: below 0.3 silence,
below 0.5 unknown. Here this is a rule of evaluation, so that it can be tried on any model of words.

Confidence is the largest softmax. The model's answer for a clip becomes, in this order:

    silence     where the confidence is below `silence`
    unknown     where it is below `unknown`
    its label   where the protocol counts that as a class (a wanted word, or silence)
    unknown     for every other word

A confidence that equals a threshold is not below it. Deviation: the source says nothing of the
words that are not wanted; they can only be unknown.

Shape letters: B batch   K labels of the model
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kws.data.protocols import Protocol
from kws.errors import UsageError, did_you_mean
from kws.inference.submission import KAGGLE_LABELS


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Confidences from 0 to 1 below which a clip is unknown or silence; `silence` is the lower."""

    unknown: float = 0.5
    silence: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.silence <= self.unknown <= 1:
            raise UsageError(
                f"thresholds unknown={self.unknown:g} and silence={self.silence:g}: give "
                "0 <= silence <= unknown <= 1, silence is what the model is least sure of"
            )

    def __str__(self) -> str:
        """
        >>> str(Thresholds())
        'unknown below 0.5, silence below 0.3'
        """
        return f"unknown below {self.unknown:g}, silence below {self.silence:g}"

    def decide(
        self, logits: Float[Tensor, "B K"], labels: Sequence[str], protocol: Protocol
    ) -> Int[Tensor, "B"]:
        """Classes of `protocol`, as indices into its labels, of logits over `labels`."""
        check_labels(labels, protocol)
        index = {label: i for i, label in enumerate(protocol.labels)}
        unknown, silence = index[protocol.unknown_label or ""], index[protocol.silence_label or ""]
        classes = torch.tensor([index.get(label, unknown) for label in labels])
        confidence, best = logits.softmax(dim=1).max(dim=1)
        answers = classes.to(best.device)[best]
        answers = answers.masked_fill(confidence < self.unknown, unknown)
        return answers.masked_fill(confidence < self.silence, silence)

    def instead_of(self, label: str, confidence: float) -> str:
        """The class of one clip: its label, or "unknown" or "silence" for low confidence.

        >>> [Thresholds().instead_of("yes", confidence) for confidence in (0.5, 0.4, 0.2)]
        ['yes', 'unknown', 'silence']
        """
        if confidence < self.silence:
            return "silence"
        return "unknown" if confidence < self.unknown else label


def kaggle_label(label: str) -> str:
    """The challenge's name for a label of any protocol: no underscores, other words are unknown.

    >>> kaggle_label("_silence_"), kaggle_label("stop"), kaggle_label("marvin")
    ('silence', 'stop', 'unknown')
    """
    bare = label.strip("_")
    return bare if bare in KAGGLE_LABELS else "unknown"


def parse_thresholds(text: str) -> Thresholds:
    """What the command line is given.

    >>> parse_thresholds("unknown=0.6,silence=0.2")
    Thresholds(unknown=0.6, silence=0.2)

    Raises:
        UsageError: another form, another name, no number, or numbers that do not fit.
    """
    values: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in ("unknown", "silence"):
            near = did_you_mean(name, ("unknown", "silence"))
            raise UsageError(f"thresholds {text!r}: {name!r}{near}: write unknown=0.5,silence=0.3")
        try:
            values[name] = float(number)
        except ValueError:
            raise UsageError(
                f"thresholds {text!r}: {number!r} is not a number: write unknown=0.5,silence=0.3"
            ) from None
    return Thresholds(**values)


def check_labels(labels: Sequence[str], protocol: Protocol, where: str = "the model") -> None:
    """UsageError unless a model of `labels` can be counted under `protocol` by its confidence."""
    if not protocol.unknown_label or not protocol.silence_label:
        raise UsageError(
            f"protocol {protocol.name} has no classes for unknown and silence, which thresholds "
            "are for: choose a 12-class protocol"
        )
    if missing := [word for word in protocol.words if word not in labels]:
        raise UsageError(
            f"{where}: has no class for {', '.join(missing)}, as protocol {protocol.name} asks: "
            "choose a model trained on all words, as under v1-30 or v2-35"
        )

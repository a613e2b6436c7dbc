"""Measure a trained model on one split of a data set, and keep the result beside it.

Keyword models are measured on clips, speaker models on whole utterances and on one crop of each:
two results that differ by several points and are never averaged.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from kws import plots
from kws.data.clips import ClipSplit
from kws.data.frames import FrameSplit
from kws.data.protocols import SPLITS, get_protocol
from kws.data.speech_commands import load_speech_commands
from kws.errors import UsageError, did_you_mean
from kws.files import write_text
from kws.inference.confusion import confusion_matrix
from kws.inference.detector import NOT_WORDS
from kws.inference.thresholds import Thresholds, check_labels
from kws.metrics import ClassScore, Proportion, per_class
from kws.training.batches import evaluation_batches
from kws.training.checkpoint import Trained
from kws.training.recipe import Recipe
from kws.training.splits import load_speaker_data

CLIPS, UTTERANCES, CROPS = "clips", "utterances", "crops"


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A model's answers on one split; all figures follow from them.

    `view` is the form of the examples: "clips", whole "utterances", or "crops"; `on` names it for
    the report where needed. `conditions` are what else the accuracy depends on, as printed.
    """

    view: str
    on: str
    split: str
    labels: tuple[str, ...]
    expected: Int[Tensor, "n"]  # index of the label, in the order of the split
    given: Int[Tensor, "n"]
    conditions: dict[str, str]

    @cached_property
    def matrix(self) -> Int[Tensor, "C C"]:
        """Examples by true class (row) and by the answer (column)."""
        return confusion_matrix(self.given, self.expected, len(self.labels))

    @cached_property
    def accuracy(self) -> Proportion:
        """Top-1 accuracy."""
        return Proportion(correct=int(self.matrix.trace()), n=int(self.matrix.sum()))

    @cached_property
    def scores(self) -> list[ClassScore]:
        """Recall and precision of every class."""
        return per_class(self.matrix, self.labels)

    @cached_property
    def false_accepts(self) -> Proportion:
        """Clips of silence and other words that were taken for one of the words; n may be 0."""
        none = torch.tensor([label in NOT_WORDS for label in self.labels])
        rows = self.matrix[none]
        return Proportion(correct=int(rows[:, ~none].sum()), n=int(rows.sum()))

    def describe(self) -> str:
        """One line: accuracy, n, interval and conditions; then the words alone, false accepts."""
        on = f" on {self.on}" if self.on else ""
        line = f"accuracy{on} {self.accuracy.describe(**self.conditions)}"
        if not self.false_accepts.n:
            return line
        known = torch.tensor([label not in NOT_WORDS for label in self.labels])
        right, n = int(self.matrix.diag()[known].sum()), int(self.matrix[known].sum())
        line += f"\naccuracy on the words alone: {Proportion(correct=right, n=n)}"  # may be few
        return f"{line}\nsilence and other words taken for one of the words: {self.false_accepts}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON; accuracies as shares of 1, the confusion matrix by rows of the true class."""
        return {
            **self.conditions,
            **self.accuracy.as_dict(),
            "classes": [
                {
                    "label": score.label,
                    "n": score.recall.n,
                    "recall": score.recall.as_dict()["accuracy"],
                    "recall_low": score.recall.low,
                    "recall_high": score.recall.high,
                    "precision": score.precision.as_dict()["accuracy"],
                }
                for score in self.scores
            ],
            "confusion": self.matrix.tolist(),
        }


def load_split(
    trained: Trained,
    folder: str | Path,
    split: str = "testing",
    *,
    protocol: str | None = None,
    test_silence: Literal["noise", "zeros"] | None = None,
    resample: bool = False,
    thresholds: Thresholds | None = None,
    partial: bool = False,
) -> ClipSplit | FrameSplit:
    """The split of `folder` that `trained` is to be measured on, under its own recipe by default.

    With `thresholds`, or where the recipe has `data.count_as`, the protocol may be one that counts
    other words and silence as classes, which the model then gives by `kws.inference.thresholds`.
    Raises UsageError: bad data, labels that are not the model's in its order, or a test split of
    speakers whose answers are not there.
    """
    if split not in SPLITS:
        raise UsageError(
            f"split={split!r}{did_you_mean(split, SPLITS)}: choose one of {', '.join(SPLITS)}"
        )
    data = trained.recipe.data
    if trained.task == "keywords":
        counted = get_protocol(protocol or data.count_as or trained.protocol)
        if counted.labels == trained.labels and thresholds:
            raise UsageError(
                f"--thresholds: protocol {counted.name} has the labels of {trained.path}: choose a "
                "12-class --protocol for a model of words, or leave them out"
            )
        if counted.labels != trained.labels and (thresholds or data.count_as):
            check_labels(trained.labels, counted, str(trained.path or "the model"))
        else:
            trained.require_labels(counted.labels, f"protocol {counted.name}")
        return load_speech_commands(
            folder,
            counted,
            split,
            seed=data.seed,
            test_silence=test_silence or data.test_silence,
            resample=resample,
            unknown=data.unknown,
            partial=partial,
        )
    for option, given in (
        ("protocol", protocol),
        ("test-silence", test_silence),
        ("thresholds", thresholds),
    ):
        if given:
            raise UsageError(f"--{option} does not apply to a speaker model: remove it")
    speakers = load_speaker_data(trained.recipe, folder)
    trained.require_labels(speakers.speakers, str(folder))
    frames = {"training": speakers.train, "validation": speakers.validation}.get(
        split, speakers.test
    )
    if frames is None:
        raise UsageError(f"{folder}: has no testdata.json: choose --split validation")
    if not len(frames):
        raise UsageError(f"{folder}: its {split} split is empty: choose another split")
    if (frames.labels < 0).any():
        raise UsageError(
            f"{folder}: the answers of its test utterances are not there (test_labels.csv): "
            "choose --split validation, or predict them with kws predict"
        )
    return frames


@torch.inference_mode()
def evaluate(
    trained: Trained,
    split: ClipSplit | FrameSplit,
    device: str | torch.device = "cpu",
    thresholds: Thresholds | None = None,
) -> list[Evaluation]:
    """Measure `trained` on every example of `split`; two results for speakers, else one.

    `thresholds` are for a split whose labels are not the model's (see `load_split`), by default
    those of a recipe with `data.count_as`.
    """
    trained.model.to(device).eval()
    split = split.to(device)
    labels, rule = trained.labels, None
    if isinstance(split, ClipSplit):
        conditions = {"protocol": split.protocol, "test_silence": split.silence}
        conditions |= {"unknown": "all other words"} if split.all_unknown else {}
        views = {CLIPS: ""}
        rule = thresholds or thresholds_of(trained.recipe)
        if rule and split.label_names != labels:
            labels = split.label_names
            conditions["thresholds"] = str(rule)
        else:
            rule = None
    else:
        conditions = {"protocol": trained.protocol}
        crops = f"{trained.recipe.data.crop_frames}-frame crops"
        views = {UTTERANCES: "full utterances", CROPS: crops}
    return [
        Evaluation(
            view=view,
            on=on,
            split=split.split,
            labels=labels,
            expected=split.labels.cpu(),
            given=_answers(trained, split, view, rule),
            conditions=conditions,
        )
        for view, on in views.items()
    ]


def thresholds_of(recipe: Recipe) -> Thresholds | None:
    """Those of a recipe whose model of words is to be counted under another protocol."""
    data = recipe.data
    if not data.count_as:
        return None
    return Thresholds(unknown=data.unknown_below, silence=data.silence_below)


def _answers(
    trained: Trained, split: ClipSplit | FrameSplit, view: str, rule: Thresholds | None
) -> Int[Tensor, "n"]:
    """The label that the model gives to each example, in the order of the split."""
    protocol = get_protocol(split.protocol) if rule and isinstance(split, ClipSplit) else None
    given = torch.empty(len(split), dtype=torch.int64)
    for batch in evaluation_batches(split, trained.recipe, trained.normalizer, crops=view == CROPS):
        logits = trained.logits(batch.features, batch.valid)
        if rule and protocol:
            predictions = rule.decide(logits, trained.labels, protocol)
        else:
            predictions = logits.argmax(dim=1)
        given[batch.index.cpu()] = predictions.cpu()
    return given


def write_evaluation(
    run: str | Path, trained: Trained, data: str | Path, evaluations: list[Evaluation]
) -> list[Path]:
    """Write `evaluation-<split>.json` into the folder `run`, and `confusion.png` and `recall.png`.

    The pictures show the first of `evaluations`. Each file is written whole or not at all.
    """
    run, first = Path(run), evaluations[0]
    result = {
        "model": trained.recipe.model.name,
        "step": trained.step,
        "data": str(data),
        "split": first.split,
        **{evaluation.view: evaluation.as_dict() for evaluation in evaluations},
    }
    out = run / f"evaluation-{first.split}.json"
    write_text(out, json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    title = f"{trained.recipe.model.name}, {first.split}\n{first.describe()}"
    confusion = plots.confusion(first.matrix, first.labels, title=title)
    recall = plots.recall(first.scores, first.accuracy, title=title)
    return [
        out,
        plots.save(confusion, run / "confusion.png"),
        plots.save(recall, run / "recall.png"),
    ]

"""The pictures of a run: its curves, and what its model pays attention to in one example."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kws import plots
from kws.audio.recordings import SAMPLE_RATE
from kws.data.clips import ClipSplit
from kws.data.protocols import get_protocol
from kws.errors import UsageError
from kws.inference.attention_maps import attention_weights, panels
from kws.inference.evaluate import load_split
from kws.inference.predict import read_segments
from kws.training.checkpoint import Trained
from kws.training.history import read_history
from kws.training.losses import LOSS_NAMES
from kws.training.recipe import compute_features


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """Features of one recording before normalization, and its label where that is known."""

    name: str
    features: Float[Tensor, "T F"]
    label: str | None = None


def example_of(trained: Trained, folder: str | Path, split: str = "testing") -> Example:
    """The first example of a split; for keywords the first that is one of the protocol's words."""
    data = load_split(trained, folder, split)
    if not isinstance(data, ClipSplit):
        features, _ = data.whole(torch.tensor([0]))
        return Example(
            name=data.names[0], features=features[0], label=data.label_names[int(data.labels[0])]
        )
    words = get_protocol(data.protocol).words
    labels = [data.label_names[index] for index in data.labels.tolist()]
    row = next(row for row, label in enumerate(labels) if label in words)
    features = compute_features(trained.recipe.features, data.waveforms(torch.tensor([row])))[0]
    return Example(name=data.names[row], features=features, label=labels[row])


def recording(trained: Trained, path: Path, *, resample: bool = False) -> Example:
    """A recording, of a keyword model's its first second, or a speaker's features."""
    values = torch.from_numpy(read_segments(trained, path, resample=resample)[0].values)
    features = (
        compute_features(trained.recipe.features, values[None])[0]
        if trained.task == "keywords"
        else values
    )
    return Example(name=path.name, features=features)


def evaluated_on(run: Path) -> tuple[Path, str] | None:
    """Folder and split of the evaluation in the folder `run`, of several the last by name."""
    for path in sorted(run.glob("evaluation-*.json"), reverse=True):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            data, split = Path(result["data"]), str(result["split"])
        except (ValueError, RecursionError, KeyError, TypeError):
            continue  # damaged or not ours
        if data.is_dir():
            return data, split
    return None


def plot_curves(run: Path, trained: Trained) -> Path:
    """Write `curves.png` into the run folder; UsageError where nothing was measured yet."""
    history = read_history(run)
    if not history.rows:
        raise UsageError(f"{run}: no validation has been done yet: resume the run")
    title = f"{trained.recipe.model.name}, {trained.protocol}"
    return plots.save(
        plots.curves(
            history.rows,
            best=history.best,
            loss_name=LOSS_NAMES[trained.recipe.train.loss],
            title=title,
        ),
        run / "curves.png",
    )


def plot_attention(run: Path, trained: Trained, example: Example) -> Path | None:
    """Write `attention.png` into the run folder; None without a file for models that have none."""
    features = example.features[None]
    logits, weights = attention_weights(trained.model, trained.normalizer(features))
    frames_per_second = SAMPLE_RATE / trained.recipe.features.hop
    seconds = len(example.features) / frames_per_second
    pictures = panels(trained.model, weights, num_features=features.shape[2], seconds=seconds)
    if not pictures:
        return None
    score, index = logits[0].softmax(dim=0).max(dim=0)
    clip = f"{example.name}, {example.label}" if example.label else example.name
    title = f"{clip}: recognized as {trained.labels[int(index)]} ({100 * float(score):.1f} %)"
    figure = plots.attention(
        example.features,
        pictures,
        frames_per_second=frames_per_second,
        bands="coefficient" if trained.recipe.features.kind == "mfcc" else "mel band",
        title=f"{trained.recipe.model.name}\n{title}",
    )
    return plots.save(figure, run / "attention.png")

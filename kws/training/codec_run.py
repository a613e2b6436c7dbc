"""A codec's training as a run folder (`kws.training.objective`): clean words of four voices.

    history = fit_codec(load_recipe("codec"), out="runs/codec")

The words are those of assignment 9. Features are divided by one mean and deviation for all bands,
so that they can be made audible again; a checkpoint has no labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kws.data.embedded.clean_words import clean_words
from kws.device import Device, choose_device, device_of
from kws.errors import UsageError
from kws.features import log_mel
from kws.models.codebook import perplexity
from kws.models.codec import STRIDE, Codec
from kws.models.generators import build_generator
from kws.normalize import Normalizer
from kws.training.batches import generator_for, training_rows
from kws.training.history import History, Row
from kws.training.objective import Objective, begin, finish, fresh_weights, require_used
from kws.training.recipe import Recipe

PROTOCOL = "codec"
TAKES, HELD_OUT = 30, 4  # of training, by default; of validation and of testing
SHIFT = 8  # frames that a clip is moved by, at most, to either side
MEAN, DEVIATION = -4.5, 4.0  # of all log-mels of clean words
BATCH = 256  # clips that are looked at together
USED = ("features.n_mels",)


@dataclass(frozen=True, kw_only=True, eq=False)
class CodingObjective(Objective):
    """A codec that learns to give mels (n, T, F) again."""

    loss_name = "mean squared error"
    model: Codec
    train: Float[Tensor, "n T F"]
    validation: Float[Tensor, "m T F"]

    def __len__(self) -> int:
        return len(self.train)

    def batches(self) -> Iterator[Sequence[int]]:
        """Each clip once in a pass."""
        settings, n = self.recipe.train, len(self.train)
        sizes = {"n": n, "batch_size": settings.batch_size, "seed": settings.seed}
        return (training_rows(step, **sizes).tolist() for step in count())

    def loss(self, rows: Sequence[int], step: int) -> Float[Tensor, ""]:
        """Mean squared error of clips that are shifted, and the commitment loss."""
        generator = generator_for(self.recipe.train.seed, "augmentation", step)
        shift = int(torch.randint(-SHIFT, SHIFT + 1, (), generator=generator))
        mel = self.train[list(rows)].roll(shift, dims=1).to(device_of(self.model))
        again, _, commitment = self.model(mel)
        return F.mse_loss(again, mel) + commitment

    def measure(self) -> dict[str, float]:
        """The mean squared error of decoded clips, in deviations squared, and the codes in use."""
        return codec_figures(self.model, self.validation)

    def describe(self, row: Row) -> str:
        """The error, and how many codes are in use."""
        error, n = row["validation_loss"], len(self.validation)
        used = f"{row['codes_in_use']} codes in use, perplexity {row['code_perplexity']:.1f}"
        return f"mean squared error: {error:.3f}, {used} ({n:,} clips)"


def fit_codec(
    recipe: Recipe,
    *,
    out: str | Path,
    resume: bool = False,
    device: Device = "auto",
    progress: bool = True,
) -> History:
    """Train the recipe's codec and write the run folder `out`.

    Raises:
        UsageError: as `coding`, `begin` and `finish`.
        KeyboardInterrupt: Ctrl-C, after the state has been saved.
    """
    run = begin(coding(recipe, choose_device(device), progress=progress), out, resume=resume)
    finish(run, progress=progress)
    return run.history


def coding(recipe: Recipe, device: torch.device, *, progress: bool = True) -> CodingObjective:
    """What a codec with fresh weights learns, on the device; the engine says it first.

    Raises:
        UsageError: a recipe of something else, or with settings that nothing would come of.
    """
    require_used(recipe, PROTOCOL, USED, "codec")
    with fresh_weights(recipe):
        model = new_codec(recipe)
    n_mels, takes, seed = recipe.features.n_mels, recipe.data.spoken or TAKES, recipe.data.seed
    normalizer = level_of(n_mels)
    train, _ = spoken_words(f"training {seed}", takes, normalizer, progress=progress)
    validation, _ = spoken_words("validation", HELD_OUT, normalizer, progress=progress)
    return CodingObjective(
        recipe=recipe,
        model=model.to(device),
        labels=[],
        protocol=PROTOCOL,
        normalizer=normalizer,
        data=f"{takes} takes, seed {seed}",
        train=train,
        validation=validation,
    )


def new_codec(recipe: Recipe) -> Codec:
    """The recipe's codec with weights from torch's global generator.

    Raises:
        UsageError: its model is another, or cannot be built.
    """
    model = build_generator(recipe.model.name, recipe.model.options, n_mels=recipe.features.n_mels)
    if not isinstance(model, Codec):
        raise UsageError(f"model.name={recipe.model.name} makes no codes: set it to codec")
    return model


def level_of(n_mels: int) -> Normalizer:
    """One mean and one deviation for all bands."""
    mean, deviation = (torch.full((n_mels,), value) for value in (MEAN, DEVIATION))
    return Normalizer(kind="dataset", mean=mean, std=deviation)


def spoken_words(
    seed: str, takes: int, normalizer: Normalizer, *, progress: bool = True
) -> tuple[Float[Tensor, "n T F"], Int[Tensor, "n"]]:
    """Clean words as a codec reads them, T a multiple of its stride; and which word each is."""
    assert normalizer.mean is not None
    waveforms, labels = clean_words(takes, seed=seed, progress=progress)
    n_mels = len(normalizer.mean)
    mel = torch.cat([normalizer(log_mel(few, n_mels=n_mels)) for few in waveforms.split(BATCH)])
    return mel[:, : mel.shape[1] // STRIDE * STRIDE], labels


@torch.inference_mode()
def encoded(codec: Codec, mel: Float[Tensor, "n T F"]) -> Int[Tensor, "n t"]:
    """The codes of clips, on the CPU."""
    place = device_of(codec)
    return torch.cat([codec.encode(few.to(place)).cpu() for few in mel.split(BATCH)])


@torch.inference_mode()
def decoded(codec: Codec, codes: Int[Tensor, "n t"]) -> Float[Tensor, "n T F"]:
    """The clips that codes stand for, on the CPU."""
    place = device_of(codec)
    return torch.cat([codec.decode(few.to(place)).cpu() for few in codes.split(BATCH)])


def codec_figures(codec: Codec, mel: Float[Tensor, "n T F"]) -> dict[str, float]:
    """validation_loss: mean squared error of decoded clips; codes_in_use, and their perplexity."""
    codes = encoded(codec.eval(), mel)
    counts = codes.flatten().bincount(minlength=len(codec.codebook.vectors))
    return {
        "validation_loss": F.mse_loss(decoded(codec, codes), mel).item(),
        "codes_in_use": int((counts > 0).sum()),
        "code_perplexity": perplexity(counts.double()).item(),
    }

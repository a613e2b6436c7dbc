"""A voice's training as a run folder (`kws.training.objective`): FastSpeech on spoken phrases.

    history = fit_voice(load_recipe("text-to-speech"), out="runs/voice")

The phrases are those of assignment 8. Validation hears other phrases of the training words; those
of words that no training phrase has are left for `kws evaluate`. The labels of a checkpoint are the
sounds.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kws.data.embedded.phrases import SYMBOLS, phrase_texts
from kws.device import Device, choose_device, device_of
from kws.errors import UsageError
from kws.models.fastspeech import FastSpeech, fastspeech_loss
from kws.models.fft_block import frames_from
from kws.models.generators import build_generator
from kws.normalize import Normalizer
from kws.training.batches import generator_for
from kws.training.history import History, Row
from kws.training.objective import Objective, begin, finish, fresh_weights, require_used
from kws.training.recipe import Recipe
from kws.training.synthesis import SpokenTexts, spoken_texts

PROTOCOL = "speech"
PHRASES, HELD_OUT = 700, 100  # of training, by default; of validation and of testing
BATCH = 25  # phrases that are measured together
USED = ("features.n_mels",)


@dataclass(frozen=True, kw_only=True, eq=False)
class SpeakingObjective(Objective):
    """A FastSpeech that learns to say phrases."""

    loss_name = "error of mels and durations"
    model: FastSpeech
    train: SpokenTexts
    validation: SpokenTexts

    def __len__(self) -> int:
        return len(self.train)

    def batches(self) -> Iterator[Sequence[int]]:
        """Phrases of like lengths together."""
        settings = self.recipe.train
        order = generator_for(settings.seed, "order", 0)
        return self.train.training_batches(settings.batch_size, order)

    def loss(self, rows: Sequence[int], step: int) -> Float[Tensor, ""]:
        """`fastspeech_loss` of some phrases."""
        place = device_of(self.model)
        return fastspeech_loss(self.model, *(x.to(place) for x in self.train.batch(rows)))

    def measure(self) -> dict[str, float]:
        """The loss of the validation phrases, and how many frames a predicted duration is off."""
        return voice_figures(self.model, self.validation)

    def describe(self, row: Row) -> str:
        """The error of durations, too."""
        loss, error = row["validation_loss"], row["duration_error"]
        return (
            f"loss: {loss:.3f}, durations {error:.2f} frames off ({len(self.validation)} phrases)"
        )


def fit_voice(
    recipe: Recipe,
    *,
    out: str | Path,
    resume: bool = False,
    device: Device = "auto",
    progress: bool = True,
) -> History:
    """Train the recipe's voice and write the run folder `out`.

    Raises:
        UsageError: as `speaking`, `begin` and `finish`.
        KeyboardInterrupt: Ctrl-C, after the state has been saved.
    """
    run = begin(speaking(recipe, choose_device(device)), out, resume=resume)
    finish(run, progress=progress)
    return run.history


def speaking(recipe: Recipe, device: torch.device) -> SpeakingObjective:
    """What a voice with fresh weights learns, on the device; the engine says it first.

    Raises:
        UsageError: a recipe of something else, or with settings that nothing would come of; fewer
            phrases than a batch has.
    """
    require_used(recipe, PROTOCOL, USED, "text-to-speech")
    texts = phrase_texts(recipe.data.spoken or PHRASES, "training", seed=recipe.data.seed)
    if len(texts) < recipe.train.batch_size:
        raise UsageError(
            f"data.spoken={len(texts)} phrases are fewer than train.batch_size="
            f"{recipe.train.batch_size}: raise the one or lower the other"
        )
    n_mels = recipe.features.n_mels
    train = spoken_texts(texts, n_mels=n_mels)
    validation = phrase_texts(HELD_OUT, "training", seed="validation")
    level = {"mean": train.mean, "deviation": train.deviation}
    with fresh_weights(recipe):
        model = new_voice(recipe, **level)
    return SpeakingObjective(
        recipe=recipe,
        model=model.to(device),
        labels=list(SYMBOLS),
        protocol=PROTOCOL,
        normalizer=Normalizer(
            kind="dataset",
            mean=torch.full((n_mels,), train.mean),
            std=torch.full((n_mels,), train.deviation),
        ),
        data=hashlib.sha256(repr(texts).encode()).hexdigest(),
        train=train,
        validation=spoken_texts(validation, n_mels=n_mels),
    )


def new_voice(recipe: Recipe, *, mean: float, deviation: float) -> FastSpeech:
    """The recipe's FastSpeech with weights from torch's global generator.

    Raises:
        UsageError: its model is another, or cannot be built.
    """
    sizes = {"num_symbols": len(SYMBOLS) + 1, "n_mels": recipe.features.n_mels}
    given = sizes | {"mean": mean, "deviation": deviation}
    model = build_generator(recipe.model.name, recipe.model.options, **given)
    if not isinstance(model, FastSpeech):
        raise UsageError(f"model.name={recipe.model.name} does not speak: set it to fastspeech")
    return model


@torch.inference_mode()
def voice_figures(model: FastSpeech, texts: SpokenTexts) -> dict[str, float]:
    """validation_loss, and duration_error: frames that a predicted duration is off, on average."""
    place, total, off = device_of(model.eval()), 0.0, []
    for rows in torch.arange(len(texts)).split(BATCH):
        batch = [x.to(place) for x in texts.batch(rows.tolist())]
        total += len(rows) * fastspeech_loss(model, *batch).item()
        phonemes, valid, durations, _ = batch
        said = frames_from(model(phonemes, valid, durations)[2], valid)
        off.append((said - durations).abs()[valid].cpu())
    error = torch.cat(off).double().mean().item()
    return {"validation_loss": total / len(texts), "duration_error": error}

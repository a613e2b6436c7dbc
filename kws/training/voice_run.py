"""The objective of a voice: FastSpeech on spoken phrases.

    run = begin(voice_objective(load_recipe("text-to-speech"), choose_device()), "runs/voice")
    finish(run)

The phrases are those of assignment 8. Validation uses other phrases of the training words; phrases
of words in no training phrase are left for `kws evaluate`. A checkpoint's labels are phonemes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import torch
from torch import Tensor, nn

from kws.audio.normalize import Normalizer
from kws.data.embedded.phrases import SYMBOLS, phrase_texts
from kws.device import device_of
from kws.errors import UsageError
from kws.models.fastspeech import FastSpeech, fastspeech_errors, fastspeech_loss
from kws.models.fft_block import frames_from
from kws.models.generators import build_generator
from kws.training.batches import generator_for
from kws.training.distributed import Team
from kws.training.history import Row
from kws.training.objective import Batch, Objective, fresh_weights, require_task
from kws.training.recipe import Recipe
from kws.training.synthesis import SpokenTexts, spoken_texts

PROTOCOL = "speech"
PHRASES, HELD_OUT = 700, 100  # of training, by default; of validation and of testing
BATCH = 25  # phrases that are measured together


@dataclass(frozen=True, kw_only=True, eq=False)
class VoiceObjective(Objective):
    loss_name: str = "error of mels and durations"
    unit: ClassVar[str] = "phrases"
    model: FastSpeech
    train: SpokenTexts
    validation: SpokenTexts

    def __len__(self) -> int:
        return len(self.train)

    def rows(self, first: int) -> Iterator[Tensor]:
        order = generator_for(self.recipe.train.seed, "order", 0)
        batches = self.train.training_batches(self.examples_per_step, order)
        return map(torch.tensor, islice(batches, first, None))

    def batch(self, rows: Tensor, step: int) -> Batch:
        """phonemes, valid, durations, log-mels: padded with zeros."""
        return self.train.batch(rows.tolist())

    def loss(self, part: Batch, whole: Batch) -> dict[str, Tensor]:
        """`fastspeech_loss`: a mean over frames, and one over phonemes."""
        phonemes, valid, durations, mel = part
        mel = mel[:, : int(durations.sum(dim=1).max())]
        errors = fastspeech_errors(
            self.model, *(x.to(self.device) for x in (phonemes, valid, durations, mel))
        )
        shares = [int(part[i].sum()) / int(whole[i].sum()) for i in (2, 1)]  # frames, phonemes
        return {"loss": shares[0] * errors[0] + shares[1] * errors[1]}

    def measure(self, model: nn.Module, team: Team) -> dict[str, float]:
        """The loss of the validation phrases, and how many frames a predicted duration is off."""
        assert isinstance(model, FastSpeech)
        return measure_voice(model, self.validation)

    def describe(self, row: Row) -> str:
        loss, error = row["validation_loss"], row["duration_error"]
        return (
            f"loss: {loss:.3f}, durations {error:.2f} frames off ({len(self.validation)} phrases)"
        )


def voice_objective(recipe: Recipe, device: torch.device) -> VoiceObjective:
    """What a voice with fresh weights learns, on the device, from phrases of the speech engine.

    Raises UsageError: a recipe of something else, or with settings that have no effect; fewer
    phrases than a step needs.
    """
    require_task(recipe, PROTOCOL, "text-to-speech")
    texts = phrase_texts(recipe.data.spoken or PHRASES, "training", seed=recipe.data.seed)
    if len(texts) < recipe.train.batch_size * recipe.train.accumulate:
        raise UsageError(
            f"data.spoken={len(texts)} phrases are fewer than train.batch_size="
            f"{recipe.train.batch_size} times train.accumulate={recipe.train.accumulate}: raise "
            "the first or lower the others"
        )
    n_mels = recipe.features.n_mels
    train = spoken_texts(texts, n_mels=n_mels)
    validation = phrase_texts(HELD_OUT, "training", seed="validation")
    level = {"mean": train.mean, "deviation": train.deviation}
    with fresh_weights(recipe):
        model = new_voice(recipe, **level)
    return VoiceObjective(
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
    """The recipe's FastSpeech with weights from torch's generator; UsageError for another model."""
    sizes = {"num_symbols": len(SYMBOLS) + 1, "n_mels": recipe.features.n_mels}
    given = sizes | {"mean": mean, "deviation": deviation}
    return build_generator(FastSpeech, recipe.model.name, recipe.model.options, **given)


@torch.inference_mode()
def measure_voice(model: FastSpeech, texts: SpokenTexts) -> dict[str, float]:
    """validation_loss, and duration_error: frames that a predicted duration is off, on average."""
    place, total, off = device_of(model.eval()), 0.0, []
    for rows in torch.arange(len(texts)).split(BATCH):
        batch = [x.to(place) for x in texts.batch(rows.tolist())]
        total += len(rows) * fastspeech_loss(model, *batch).item()
        phonemes, valid, durations, _ = batch
        predicted = frames_from(model(phonemes, valid, durations)[2], valid)
        off.append((predicted - durations).abs()[valid].cpu())
    error = torch.cat(off).double().mean().item()
    return {"validation_loss": total / len(texts), "duration_error": error}

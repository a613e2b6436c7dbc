"""A recognizer's training as a run folder (`kws.training.objective`).

    recipe = load_recipe("speech-to-text")
    history = fit_recognizer(recipe, train=…, validation=…, out="runs/digits")

The history's accuracy is 1 less the word error rate, 0 where more is wrong than there is, and its n
counts words. The labels of a checkpoint are blank, start and end, then the letters.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kws import augment
from kws.alphabet import SPECIAL, Alphabet
from kws.data.transcripts import TranscribedSplit
from kws.decoding.transcribe import transcribe
from kws.device import Device, choose_device, device_of
from kws.errors import UsageError
from kws.models.speech_gru import AnyRecognizer
from kws.normalize import Normalizer
from kws.training.batches import generator_for
from kws.training.history import History, Row
from kws.training.objective import Objective, begin, finish, fresh_weights
from kws.training.recipe import Recipe
from kws.training.recognizer_steps import (
    SpelledSplit,
    ctc_weight,
    mean_loss,
    new_recognizer,
    spelled,
)
from kws.training.transcription import joint_loss
from kws.word_errors import word_errors

PROTOCOL = "transcription"
SPECIAL_LABELS = ("<blank>", "<start>", "<end>")
MASKS = ("time_masks", "max_time", "freq_masks", "max_freq")


@dataclass(frozen=True, kw_only=True, eq=False)
class SpellingObjective(Objective):
    """A recognizer that learns to spell what was said."""

    loss_name = "joint loss (nats)"
    model: AnyRecognizer
    alphabet: Alphabet
    train: SpelledSplit
    validation: SpelledSplit

    def __len__(self) -> int:
        return len(self.train.split)

    def batches(self) -> Iterator[Sequence[int]]:
        """Utterances of like lengths together, each once in a pass."""
        train = self.recipe.train
        order = generator_for(train.seed, "order", 0)
        return self.train.split.training_batches(train.batch_size, order)

    def loss(self, rows: Sequence[int], step: int) -> Float[Tensor, ""]:
        """`joint_loss` of augmented utterances. A model without a decoder learns from CTC alone."""
        config, train, device = self.recipe.augment, self.recipe.train, device_of(self.model)
        generator = generator_for(train.seed, "augmentation", step)
        mel, valid = self.train.split.batch(rows)
        mel = augment.warp_frequency(mel, config.warp_frequency, generator)
        mel = augment.warp_time(mel, config.warp_time, generator, valid=valid)
        masks = {key: getattr(config, key) for key in MASKS}
        mel = augment.spec_augment(mel, generator, **masks, valid=valid)
        return joint_loss(
            self.model,
            mel.to(device),
            valid.to(device),
            [self.train.symbols[row] for row in rows],
            ctc_weight=ctc_weight(self.model),
            label_smoothing=train.label_smoothing,
        )

    def measure(self) -> dict[str, float]:
        """The joint loss, and the word errors of greedy search."""
        split = self.validation.split
        errors = word_errors(split.texts, transcribe(self.model, split.mels, self.alphabet))
        return {
            "validation_loss": mean_loss(self.model, self.validation, self.recipe),
            "validation_accuracy": max(0.0, 1 - errors.rate),
            "validation_n": errors.words,
        }

    def describe(self, row: Row) -> str:
        """The word error rate."""
        rate, n = 1 - row["validation_accuracy"], row["validation_n"]
        return f"WER: {100 * rate:.1f} % of {n:,} words, greedy search"


def fit_recognizer(
    recipe: Recipe,
    *,
    train: TranscribedSplit,
    validation: TranscribedSplit,
    out: str | Path,
    resume: bool = False,
    device: Device = "auto",
    progress: bool = True,
) -> History:
    """Train the recipe's recognizer and write the run folder `out`.

    The alphabet is that of the training texts.

    Raises:
        UsageError: as `spelling`, `begin` and `finish`.
        KeyboardInterrupt: Ctrl-C, after the state has been saved.
    """
    objective = spelling(recipe, train, validation, choose_device(device))
    run = begin(objective, out, resume=resume)
    finish(run, progress=progress)
    return run.history


def spelling(
    recipe: Recipe,
    train: TranscribedSplit,
    validation: TranscribedSplit,
    device: torch.device,
) -> SpellingObjective:
    """What a recognizer with fresh weights learns, on the device.

    Raises:
        UsageError: a recipe of something else; a validation text has a letter that no training text
            has.
    """
    if recipe.data.task != PROTOCOL:
        raise UsageError(
            f"data.task={recipe.data.task} is no speech to text: choose another recipe, such as "
            "speech-to-text"
        )
    alphabet = Alphabet.of(train.texts)
    with fresh_weights(recipe):
        model = new_recognizer(recipe, len(alphabet))
    return SpellingObjective(
        recipe=recipe,
        model=model.to(device),
        labels=[*SPECIAL_LABELS, *alphabet.letters],
        protocol=PROTOCOL,
        normalizer=Normalizer(kind="utterance"),
        data=fingerprint_of(train),
        alphabet=alphabet,
        train=spelled(train, alphabet),
        validation=spelled(validation, alphabet),
    )


def fingerprint_of(split: TranscribedSplit) -> str:
    """SHA-256 of names and texts of a split, in order."""
    text = repr([(row.file, row.text) for row in split.rows])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def alphabet_of(labels: list[str]) -> Alphabet:
    """The alphabet that a checkpoint's labels name."""
    return Alphabet(tuple(labels[SPECIAL:]))

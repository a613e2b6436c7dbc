"""The objective of a recognizer: the texts of utterances.

    objective = transcription_objective(load_recipe("speech-to-text"), train, validation, device)
    finish(begin(objective, "runs/digits"))

The history's accuracy is 1 less the word error rate, 0 where more is wrong than there is, and its n
counts words. The labels of a checkpoint are blank, start and end, then the letters.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from kws.audio import augment
from kws.audio.normalize import Normalizer
from kws.data.transcripts import TranscribedSplit
from kws.decoding.transcribe import transcribe
from kws.models.speech_gru import AnyRecognizer
from kws.text.alphabet import SPECIAL, SPECIAL_LABELS, Alphabet
from kws.text.word_errors import word_errors
from kws.training.batches import generator_for
from kws.training.distributed import Team
from kws.training.history import Row
from kws.training.objective import Batch, Objective, fresh_weights, require_task
from kws.training.recipe import Recipe
from kws.training.recognizer_steps import (
    SpelledSplit,
    ctc_weight,
    mean_loss,
    new_recognizer,
    require_recognizer,
    spell_split,
)
from kws.training.transcription import joint_loss

PROTOCOL = "transcription"
MASKS = ("time_masks", "max_time", "freq_masks", "max_freq")


@dataclass(frozen=True, kw_only=True, eq=False)
class TranscriptionObjective(Objective):
    loss_name: str = "joint loss (nats)"
    model: AnyRecognizer
    alphabet: Alphabet
    train: SpelledSplit
    validation: SpelledSplit

    def __len__(self) -> int:
        return len(self.train.split)

    @property
    def smallest_batch(self) -> int:
        return len(self) % self.examples_per_step or self.examples_per_step

    def rows(self, first: int) -> Iterator[Tensor]:
        order = generator_for(self.recipe.train.seed, "order", 0)
        batches = self.train.split.training_batches(self.examples_per_step, order)
        return map(torch.tensor, islice(batches, first, None))

    def batch(self, rows: Tensor, step: int) -> Batch:
        """mel, augmented; valid; the texts as symbols."""
        config, some = self.recipe.augment, rows.tolist()
        generator = generator_for(self.recipe.train.seed, "augmentation", step)
        mel, valid = self.train.split.batch(some)
        mel = augment.warp_frequency(mel, config.warp_frequency, generator)
        mel = augment.warp_time(mel, config.warp_time, generator, valid=valid)
        masks = {key: getattr(config, key) for key in MASKS}
        mel = augment.spec_augment(mel, generator, **masks, valid=valid)
        return mel, valid, [self.train.symbols[row] for row in some]

    def loss(self, part: Batch, whole: Batch) -> dict[str, Tensor]:
        """`joint_loss`. A model without a decoder learns from CTC alone."""
        mel, valid, texts = part
        loss = joint_loss(
            self.model,
            mel.to(self.device),
            valid.to(self.device),
            texts,
            ctc_weight=ctc_weight(self.model),
            label_smoothing=self.recipe.train.label_smoothing,
            whole=whole[2],
        )
        return {"loss": loss}

    def measure(self, model: nn.Module, team: Team) -> dict[str, float]:
        split, model = self.validation.split, require_recognizer(model, self.recipe)
        errors = word_errors(split.texts, transcribe(model, split.mels, self.alphabet))
        return {
            "validation_loss": mean_loss(model, self.validation, self.recipe),
            "validation_accuracy": max(0.0, 1 - errors.rate),
            "validation_n": errors.words,
        }

    def describe(self, row: Row) -> str:
        rate, n = 1 - row["validation_accuracy"], row["validation_n"]
        return f"WER: {100 * rate:.1f} % of {n:,} words, greedy search"

    def introduce(self) -> list[str]:
        both = (self.train, self.validation)
        lines = [each.split.describe() for each in both]
        lines += [
            f"note: {each.left_out} of {each.split.split} left out: too few frames for CTC"
            for each in both
            if each.left_out
        ]
        letters = "".join(self.alphabet.letters)
        return [*lines, f"{len(self.alphabet)} symbols, of which letters: {letters!r}"]


def transcription_objective(
    recipe: Recipe, train: TranscribedSplit, validation: TranscribedSplit, device: torch.device
) -> TranscriptionObjective:
    """What a recognizer with fresh weights learns, on the device.

    Raises UsageError: a recipe of something else; a validation text has a letter that no other has.
    """
    require_task(recipe, PROTOCOL, "speech-to-text")
    alphabet = Alphabet.of(train.texts)
    with fresh_weights(recipe):
        model = new_recognizer(recipe, len(alphabet))
    return TranscriptionObjective(
        recipe=recipe,
        model=model.to(device),
        labels=[*SPECIAL_LABELS, *alphabet.letters],
        protocol=PROTOCOL,
        normalizer=Normalizer(kind="utterance"),
        data=fingerprint_of(train),
        alphabet=alphabet,
        train=spell_split(train, alphabet),
        validation=spell_split(validation, alphabet),
    )


def fingerprint_of(split: TranscribedSplit) -> str:
    """SHA-256 of names and texts of a split, in order."""
    text = repr([(row.file, row.text) for row in split.rows])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def alphabet_of(labels: list[str]) -> Alphabet:
    """The alphabet that a checkpoint's labels name."""
    return Alphabet(tuple(labels[SPECIAL:]))

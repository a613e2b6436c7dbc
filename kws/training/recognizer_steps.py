"""The steps of a recognizer's training: batches of utterances of like lengths, augmented.

As in `kws.training.loop`, everything random in step s is drawn from (seed, s), so a training that
was interrupted goes on as if nothing had happened.

Shape letters: B utterances   N frames   F mel bands   U symbols
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from jaxtyping import Int
from torch import Tensor, nn

from kws import augment
from kws.alphabet import Alphabet
from kws.data.transcripts import TranscribedSplit
from kws.decoding.transcribe import decodes
from kws.errors import UsageError
from kws.models.ctc import frames_needed
from kws.models.registry import RECOGNIZERS
from kws.models.speech_gru import AnyRecognizer, SpeechGru
from kws.models.speech_transformer import SpeechTransformer, subsampled
from kws.training.batches import generator_for
from kws.training.model import new_model
from kws.training.optimizer import set_learning_rate
from kws.training.recipe import Recipe
from kws.training.schedule import cosine_warmup
from kws.training.transcription import joint_loss

CTC_WEIGHT = 0.3  # of the joint loss: Watanabe et al. 2017 found 0.2 to 0.5 alike


@dataclass(frozen=True, kw_only=True, eq=False)
class SpelledSplit:
    """Utterances with their texts as symbols; those with too few frames for CTC are left out."""

    split: TranscribedSplit
    symbols: list[Int[Tensor, "_"]]
    left_out: int = field(default=0)


def require_recognizer(model: nn.Module, recipe: Recipe) -> AnyRecognizer:
    """`model`, which `recipe` built; UsageError if it writes no text."""
    if isinstance(model, SpeechTransformer | SpeechGru):
        return model
    raise UsageError(
        f"model.name={recipe.model.name} labels and writes no text: choose one of "
        f"{', '.join(RECOGNIZERS)}"
    )


def new_recognizer(recipe: Recipe, num_symbols: int) -> AnyRecognizer:
    """The recipe's recognizer with fresh weights; UsageError if its model writes no text."""
    return require_recognizer(new_model(recipe, num_symbols), recipe)


def spelled(split: TranscribedSplit, alphabet: Alphabet) -> SpelledSplit:
    """The utterances of a split that can be learned from.

    Raises:
        UsageError: a text has a letter that the alphabet lacks, or no utterance has the frames that
            its text needs.
    """
    symbols = [alphabet.encode(text) for text in split.texts]
    fits = [
        row
        for row, text in enumerate(symbols)
        if subsampled(len(split.mels[row])) >= frames_needed(text)
    ]
    if not fits:
        raise UsageError(
            f"no utterance of the {split.split} split has as many frames (a quarter of a hundred a "
            "second) as CTC needs for its text: are the texts those of these recordings?"
        )
    return SpelledSplit(
        split=split.select(fits),
        symbols=[symbols[row] for row in fits],
        left_out=len(split) - len(fits),
    )


def training_steps(
    model: AnyRecognizer,
    data: SpelledSplit,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
    *,
    first: int = 0,
) -> Iterator[float]:
    """Optimizer steps `first`, `first + 1`, …: the loss of each.

    A model without a decoder learns from CTC alone.

    Raises:
        UsageError: a loss is not finite.
    """
    settings, seed, total = recipe.train, recipe.train.seed, total_steps(recipe, data)
    rows_of = data.split.training_batches(settings.batch_size, generator_for(seed, "order", 0))
    weight = ctc_weight(model)
    for step, rows in enumerate(islice(rows_of, first, total), start=first):
        torch.manual_seed(generator_for(seed, "dropout 0", step).initial_seed())
        warmup = min(settings.warmup_steps, total - 1)
        share = cosine_warmup(step, warmup_steps=warmup, total_steps=total)
        set_learning_rate(optimizer, settings.lr * share)
        loss = joint_loss(
            model.train(),
            *_augmented(data.split, rows, recipe, generator_for(seed, "augmentation", step)),
            [data.symbols[row] for row in rows],
            ctc_weight=weight,
            label_smoothing=settings.label_smoothing,
        )
        if not math.isfinite(loss.item()):
            raise UsageError(f"step {step + 1}: the loss is {loss.item()}: lower train.lr")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm or math.inf)
        optimizer.step()
        yield loss.item()


def total_steps(recipe: Recipe, data: SpelledSplit) -> int:
    """Optimizer steps of the whole training."""
    per_epoch = -(-len(data.split) // recipe.train.batch_size)
    return recipe.train.total_steps or recipe.train.epochs * per_epoch


def ctc_weight(model: AnyRecognizer) -> float:
    """The share of CTC in the loss of a recognizer: all of it where there is no decoder."""
    return CTC_WEIGHT if decodes(model) else 1.0


@torch.inference_mode()
def mean_loss(model: AnyRecognizer, data: SpelledSplit, recipe: Recipe) -> float:
    """The joint loss of a split, mean over its utterances, without augmentation."""
    model.eval()
    total = 0.0
    for rows in data.split.batches(recipe.train.batch_size):
        loss = joint_loss(
            model,
            *data.split.batch(rows),
            [data.symbols[row] for row in rows],
            ctc_weight=ctc_weight(model),
            label_smoothing=recipe.train.label_smoothing,
        )
        total += len(rows) * loss.item()
    return total / len(data.split)


def _augmented(
    split: TranscribedSplit, rows: Sequence[int], recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    config = recipe.augment
    mel, valid = split.batch(rows)
    mel = augment.warp_frequency(mel, config.warp_frequency, generator)
    mel = augment.warp_time(mel, config.warp_time, generator, valid=valid)
    masks = {key: getattr(config, key) for key in MASKS}
    return augment.spec_augment(mel, generator, **masks, valid=valid), valid


MASKS = ("time_masks", "max_time", "freq_masks", "max_freq")

"""What a recognizer learns from: utterances, their texts as symbols, and the loss of a split."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor, nn

from kws.data.transcripts import TranscribedSplit
from kws.decoding.transcribe import decodes
from kws.device import device_of
from kws.errors import UsageError
from kws.models.ctc import frames_needed
from kws.models.registry import RECOGNIZERS
from kws.models.speech_gru import AnyRecognizer, SpeechGru
from kws.models.speech_transformer import SpeechTransformer, count_subsampled
from kws.text.alphabet import Alphabet
from kws.training.checkpoint import new_model
from kws.training.recipe import Recipe
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
        f"model.name={recipe.model.name} does not write text: choose one of "
        f"{', '.join(RECOGNIZERS)}"
    )


def new_recognizer(recipe: Recipe, num_symbols: int) -> AnyRecognizer:
    """The recipe's recognizer with fresh weights; UsageError if its model writes no text."""
    return require_recognizer(new_model(recipe, num_symbols), recipe)


def spell_split(split: TranscribedSplit, alphabet: Alphabet) -> SpelledSplit:
    """The utterances of a split that can be learned from.

    Raises UsageError: a text has a letter that the alphabet lacks, or no utterance has the frames
    that its text needs.
    """
    symbols = [alphabet.encode(text) for text in split.texts]
    fits = [
        row
        for row, text in enumerate(symbols)
        if count_subsampled(len(split.mels[row])) >= frames_needed(text)
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


def ctc_weight(model: AnyRecognizer) -> float:
    """The weight of CTC in the loss of a recognizer: 1 without a decoder."""
    return CTC_WEIGHT if decodes(model) else 1.0


@torch.inference_mode()
def mean_loss(model: AnyRecognizer, data: SpelledSplit, recipe: Recipe) -> float:
    """The joint loss of a split, mean over its utterances, without augmentation."""
    place, total = device_of(model.eval()), 0.0
    for rows in data.split.batches(recipe.train.batch_size):
        mel, valid = data.split.batch(rows)
        loss = joint_loss(
            model,
            mel.to(place),
            valid.to(place),
            [data.symbols[row] for row in rows],
            ctc_weight=ctc_weight(model),
            label_smoothing=recipe.train.label_smoothing,
        )
        total += len(rows) * loss.item()
    return total / len(data.split)

"""Hidden speech: new sentences by the training voices, generated from the secret seed.

Nothing is stored, so without the seed no model can be trained on them. If utterances of people were
held out (`grader.core.seed`), the seed draws from those.

Shape letters: B batch   T frames   F mel bands   C speakers
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from grader.core.seed import MadeOnce, Seed, held_out
from grader.grading.feedback import expect_logits
from grader.sandbox import RemoteModule
from kws.data.embedded.speaker_corpus import speak_again
from kws.data.speaker_layout import MAPPING, read_mapping
from kws.data.speakers import load_speakers

SPEAKERS, UTTERANCES = 100, 3  # voices of the course's corpus, hidden sentences of each
MOST = 1000  # utterances of people
BATCH = 20  # utterances padded together
SILENT = -20.0  # what the homework pads with


def speaker_utterances(secret: Seed) -> tuple[list[Tensor], Tensor]:
    """Features (T, F) of new sentences, and the speaker index of each."""
    return speak(secret.number("hidden utterances"))


@MadeOnce
def speak(recordings_seed: int | str) -> tuple[list[Tensor], Tensor]:
    if folder := held_out("speakers"):
        split = load_speakers(folder, validation=0.0).train
        rows = torch.tensor(
            sorted(
                random.Random(recordings_seed).sample(range(len(split)), k=min(MOST, len(split)))
            )
        )
        return [split.whole(row[None])[0][0] for row in rows], split.labels[rows]
    return speak_again(recordings_seed=recordings_seed, speakers=SPEAKERS, utterances=UTTERANCES)


def num_speakers() -> int:
    folder = held_out("speakers")
    return len(read_mapping(folder / MAPPING)) if folder else SPEAKERS


def padded(mels: Sequence[Tensor], value: float = SILENT) -> tuple[Tensor, Tensor]:
    """mel (B, T, F), filled up with `value`, and valid (B, T)."""
    lengths = torch.tensor([len(mel) for mel in mels])
    valid = torch.arange(int(lengths.max())) < lengths[:, None]
    return pad_sequence(list(mels), batch_first=True, padding_value=value), valid


def scores(
    model: RemoteModule, mels: Sequence[Tensor], num_classes: int, batch: int = BATCH
) -> Tensor:
    """Logits (len(mels), C) in the order of `mels`; batched by length."""
    order = sorted(range(len(mels)), key=lambda i: len(mels[i]))
    found: dict[int, Tensor] = {}
    for at in range(0, len(order), batch):
        rows = order[at : at + batch]
        logits = model(*padded([mels[row] for row in rows]))
        logits = expect_logits("the logits", logits, len(rows), num_classes)
        found |= dict(zip(rows, logits, strict=True))
    return torch.stack([found[row] for row in range(len(mels))])

"""Hidden strings of digits, by voices generated from the secret seed.

Same words and recording conditions as in the course, other speakers. Nothing is stored, so without
the seed no model can be trained on them. The texts stay in the grader: the model returns one next
symbol at a time.

Shape letters: B utterances N frames F mel bands U symbols so far V vocabulary size
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from grader.core.outcomes import Record
from grader.core.seed import MadeOnce, Seed
from grader.grading.feedback import Failure, expect_finite, expect_shape
from grader.sandbox import RemoteModule
from kws.data.embedded.strings import DIGITS, make_strings
from kws.data.protocols import SPLITS
from kws.data.transcripts import TranscribedSplit, load_transcripts
from kws.decoding.greedy import greedy
from kws.metrics import Proportion
from kws.text.alphabet import EOS, SOS, Alphabet
from kws.text.word_errors import word_errors

SPEAKERS, STRINGS = 30, 6  # voices, strings of each
BATCH = 36  # utterances padded together
LONGEST = 40  # symbols of a text
N_MELS = 40
ALPHABET = Alphabet.of([" ".join(DIGITS)])
SYMBOLS = len(ALPHABET)


def spoken_strings(secret: Seed) -> TranscribedSplit:
    return speak(secret.number("hidden strings"))


@MadeOnce
def speak(seed: int) -> TranscribedSplit:
    with tempfile.TemporaryDirectory() as folder:
        made = make_strings(
            Path(folder) / "strings",
            seed=f"hidden strings {seed}",
            speakers=SPEAKERS,
            strings=STRINGS,
            progress=False,
        )
        splits = [load_transcripts(made, split) for split in SPLITS]
    mels = [mel for split in splits for mel in split.mels]
    rows = [replace(row, split="testing") for split in splits for row in split.rows]
    return TranscribedSplit(mels=mels, rows=rows, split="testing")


def written_by(model: RemoteModule, strings: TranscribedSplit) -> list[str]:
    """Greedy transcripts from the next-symbol logits of the model."""
    written = [""] * len(strings)
    for rows in strings.batches(BATCH):
        mel, valid = strings.batch(rows)

        def step(symbols: torch.Tensor, mel=mel, valid=valid) -> torch.Tensor:
            answer = model(mel, valid, symbols)
            if not isinstance(answer, tuple | list) or len(answer) != 2:
                raise Failure(
                    "model(mel, valid, symbols) does not return two tensors",
                    "the decoder's logits and CTC's: is there a comma in the return?",
                )
            shape = (*symbols.shape, SYMBOLS)
            logits = expect_shape("the decoder's logits", answer[0], *shape, letters="B, U, V")
            return expect_finite("the decoder's logits", logits)[:, -1]

        found = greedy(step, len(rows), sos=SOS, eos=EOS, longest=LONGEST)
        for row, symbols in zip(rows, found, strict=True):
            written[row] = ALPHABET.decode(symbols)
    return written


def word_accuracy(record: Record, texts: Sequence[str], written: Sequence[str]) -> Proportion:
    """1 − word error rate; the errors by kind are recorded as a fact."""
    errors = word_errors(texts, written)
    record.fact("word errors", errors.describe())
    return Proportion(correct=max(0, errors.words - errors.errors), n=errors.words)

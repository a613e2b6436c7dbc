"""Hidden clean words, their codes, and samples of a prior, for assignment 9.

The four training voices speak new clips, generated from the secret seed. The submitted model
returns codes, decoded mels and logits; sampling, counting and recognition run in the grader. The
prior predicts one code at a time and gets only the codes before it.

Shape letters: n clips   T frames   F mel bands   t codes   K codes to choose from
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from grader.core.seed import MadeOnce, Seed
from grader.grading.feedback import Failure, expect_logits
from kws.audio.features import log_mel
from kws.course.a09_codes.contract import CODES, FRAMES, LENGTH, MELS, WORDS
from kws.data.embedded.clean_words import clean_words
from kws.data.protocols import V2_WORDS
from kws.decoding.sampling import sample
from kws.inference.listener import listener, recognize_mels
from kws.metrics import Proportion
from kws.training.checkpoint import Trained
from kws.training.codec_run import DEVIATION, MEAN

REPETITIONS, SAMPLES = 2, 8  # of each word: by each voice, and from the prior
BATCH = 70

Encode = Callable[[Tensor], Tensor]  # mel (n, T, F) -> codes (n, t)
Decode = Callable[[Tensor], Tensor]  # codes (n, t) -> mel (n, T, F)
Logits = Callable[[Tensor, Tensor], Tensor]  # words (n,), codes (n, t) -> (n, t + 1, K)


def hidden_clips(secret: Seed) -> tuple[Tensor, Tensor]:
    """mel (n, T, F) as notebook 9 prepares it, and the number of each word."""
    return speak_clean(secret.number("hidden clean words"))


@MadeOnce
def speak_clean(seed: int) -> tuple[Tensor, Tensor]:
    """Synthesize the clips for a seed, which also determines their order."""
    waveforms, labels = clean_words(REPETITIONS, seed=f"hidden clean words {seed}", progress=False)
    mel = (log_mel(waveforms, n_mels=MELS)[:, :FRAMES] - MEAN) / DEVIATION
    order = torch.randperm(len(mel), generator=torch.Generator().manual_seed(seed))
    return mel[order], labels[order]


def prepare(secret: Seed) -> None:
    """Make the clips and train the recognizer, once, so that forks inherit them."""
    hidden_clips(secret)
    judge()


def judge() -> Trained:
    """The recognizer, which runs in the grader."""
    return listener(progress=False)


def codes_of(encode: Encode, mel: Tensor) -> Tensor:
    """Validated codes (n, t) of mels."""
    found = []
    for few in mel.split(BATCH):
        codes = encode(few)
        good = isinstance(codes, Tensor) and not codes.is_floating_point()
        if not good or tuple(codes.shape) != (len(few), LENGTH):
            raise Failure(f"codes of {len(few)} clips are not {len(few)} x {LENGTH} whole numbers")
        if bool(((codes < 0) | (codes >= CODES)).any()):
            raise Failure(f"codes are not all between 0 and {CODES - 1}")
        found.append(codes.long())
    return torch.cat(found)


def mels_of(decode: Decode, codes: Tensor) -> Tensor:
    """Validated mels (n, T, F) of codes."""
    found = []
    for few in codes.split(BATCH):
        mel = decode(few)
        if not isinstance(mel, Tensor) or tuple(mel.shape) != (len(few), FRAMES, MELS):
            raise Failure(f"mels of {len(few)} clips are not {len(few)} x {FRAMES} x {MELS}")
        if not bool(mel.isfinite().all()):
            raise Failure("a decoded mel has infinite values or NaN")
        found.append(mel.detach().float())
    return torch.cat(found)


def used(codes: Tensor) -> int:
    return len(codes.unique())


def recognized_share(mel: Tensor, labels: Tensor) -> Proportion:
    recognized = recognize_mels(judge(), mel * DEVIATION + MEAN)
    wanted = [V2_WORDS[label] for label in labels.tolist()]
    return Proportion(correct=sum(map(str.__eq__, recognized, wanted)), n=len(wanted))


def next_logits(logits: Logits, words: Tensor, codes: Tensor) -> Tensor:
    """Logits (n, K) of the next code, which the model does not get."""
    found = []
    for few, so_far in zip(words.split(BATCH), codes.split(BATCH), strict=True):
        all_of = logits(few, so_far)
        if not isinstance(all_of, Tensor) or all_of.ndim != 3 or all_of.shape[1] < 1:
            raise Failure("the model's logits do not have three axes: clips, positions, codes")
        found.append(expect_logits("the logits", all_of[:, -1], len(few), CODES))
    return torch.cat(found).detach().double()


def prior_perplexity(logits: Logits, words: Tensor, codes: Tensor) -> float:
    """exp of the mean nats per code, given the word and the previous codes."""
    nats = [
        F.cross_entropy(next_logits(logits, words, codes[:, :place]), codes[:, place])
        for place in range(LENGTH)
    ]
    return torch.stack(nats).mean().exp().item()


def drawn_codes(logits: Logits, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Word indices, each several times, and codes (n, t) sampled from the model's distribution."""
    words = torch.arange(WORDS).repeat(SAMPLES)
    words = words[torch.randperm(len(words), generator=generator)]
    step = lambda so_far: next_logits(logits, words, so_far)  # noqa: E731
    return words, sample(step, len(words), LENGTH, generator=generator)

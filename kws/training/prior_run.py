"""The objective of a prior: the next code of a word, given the word and the codes before it.

    known = known_codec("runs/codec", out=Path("runs/prior"))
    run = begin(prior_objective(load_recipe("code-prior"), known, choose_device()), "runs/prior")
    finish(run)

The run folder contains the codec too, so that words can be sampled from it. The labels of a
checkpoint are the words.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kws.audio.normalize import Normalizer
from kws.data.protocols import V2_WORDS
from kws.device import device_of
from kws.errors import UsageError
from kws.models.code_prior import CodePrior
from kws.models.codec import Codec
from kws.models.coded_words import CodedWords, codec_like
from kws.models.generators import build_generator
from kws.training.checkpoint import checkpoint_of, read_checkpoint, weights_of
from kws.training.codec_run import HELD_OUT, TAKES, encode_clips, spoken_words
from kws.training.codec_run import PROTOCOL as CODEC
from kws.training.distributed import Team
from kws.training.history import Row
from kws.training.objective import Batch, Objective, fresh_weights, require_task
from kws.training.recipe import Recipe

PROTOCOL = "codes"
INSIDE = "codec."  # begins the names of the codec's weights in the checkpoint of a prior


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownCodec:
    """A codec that is trained, and what is done to log-mels before it."""

    codec: Codec
    normalizer: Normalizer

    def audible(self, mel: Float[Tensor, "n T F"]) -> Float[Tensor, "n T F"]:
        """What the codec gives, as log-mels again."""
        assert self.normalizer.std is not None
        assert self.normalizer.mean is not None
        return mel * self.normalizer.std + self.normalizer.mean


@dataclass(frozen=True, kw_only=True)
class WordSplit:
    """The codes (n, t) of clips, and the index of each clip's word."""

    words: Int[Tensor, "n"]
    codes: Int[Tensor, "n t"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PriorObjective(Objective):
    """A prior that learns which code comes next."""

    loss_name: str = "nats of a code"
    model: CodedWords
    train: WordSplit
    validation: WordSplit

    def __len__(self) -> int:
        return len(self.train.words)

    def batch(self, rows: Tensor, step: int) -> Batch:
        return self.train.words[rows], self.train.codes[rows]

    def loss(self, part: Batch, whole: Batch) -> dict[str, Tensor]:
        """Nats of a code, given the word and the codes before it."""
        words, codes = (x.to(self.device) for x in part)
        nats = F.cross_entropy(self.model(words, codes[:, :-1]).mT, codes)
        return {"loss": nats * (len(words) / len(whole[0]))}

    def measure(self, model: nn.Module, team: Team) -> dict[str, float]:
        assert isinstance(model, CodedWords)
        return measure_prior(model, self.validation)

    def describe(self, row: Row) -> str:
        clips = len(self.validation.words)
        return f"perplexity of a code: {row['code_perplexity']:.2f} ({clips:,} clips)"


def known_codec(codec: str | Path | None, out: Path, *, resume: bool = False) -> KnownCodec:
    """The codec of a run, or with `resume` that of the run in `out`; UsageError where none is."""
    if codec is None and resume and (out / "last.pt").exists():
        codec = out / "last.pt"
    if codec is None:
        raise UsageError(
            "a prior learns the codes of a codec: give the run of one, kws train codec, with --init"
        )
    path = checkpoint_of(codec)
    return codec_in(read_checkpoint(path), path)


def codec_in(state: Mapping[str, Any], path: Path) -> KnownCodec:
    """The codec in the content of a checkpoint, its own or a prior's; UsageError where none is."""
    if state["protocol"] not in (CODEC, PROTOCOL):
        raise UsageError(f"{path}: does not contain a codec: name a run of kws train codec")
    weights, normalizer = weights_of(state), Normalizer(**state["normalizer"])
    if state["protocol"] == PROTOCOL:
        weights = {
            name.removeprefix(INSIDE): weight
            for name, weight in weights.items()
            if name.startswith(INSIDE)
        }
    try:
        return KnownCodec(codec=codec_like(weights).eval(), normalizer=normalizer)
    except RuntimeError as error:
        raise UsageError(f"{path}: its weights are not those of a codec: train it again") from error


def prior_objective(
    recipe: Recipe, known: KnownCodec, device: torch.device, *, progress: bool = True
) -> PriorObjective:
    """A prior with fresh weights, and codes; UsageError for a recipe of something else."""
    require_task(recipe, PROTOCOL, "code-prior")
    takes, seed = recipe.data.spoken or TAKES, recipe.data.seed
    train = word_split(known, f"training {seed}", takes, progress=progress)
    with fresh_weights(recipe):
        model = new_prior(recipe, known.codec, length=train.codes.shape[1])
    return PriorObjective(
        recipe=recipe,
        model=model.to(device),
        labels=list(V2_WORDS),
        protocol=PROTOCOL,
        normalizer=known.normalizer,
        data=hashlib.sha256(train.codes.numpy().tobytes()).hexdigest(),
        train=train,
        validation=word_split(known, "validation", HELD_OUT, progress=progress),
    )


def new_prior(recipe: Recipe, codec: Codec, *, length: int) -> CodedWords:
    """The recipe's prior, weights from torch's global generator; UsageError for another model."""
    sizes = {"num_words": len(V2_WORDS), "num_codes": len(codec.codebook.vectors)}
    given = sizes | {"length": length}
    prior = build_generator(CodePrior, recipe.model.name, recipe.model.options, **given)
    return CodedWords(codec, prior)


def word_split(known: KnownCodec, seed: str, takes: int, *, progress: bool = True) -> WordSplit:
    mel, words = spoken_words(seed, takes, known.normalizer, progress=progress)
    return WordSplit(words=words, codes=encode_clips(known.codec, mel))


@torch.inference_mode()
def measure_prior(model: CodedWords, split: WordSplit) -> dict[str, float]:
    """validation_loss, nats of a code, and code_perplexity, its exponential."""
    place = device_of(model.eval())
    logits = model(split.words.to(place), split.codes[:, :-1].to(place)).cpu()
    nats = F.cross_entropy(logits.mT, split.codes)
    return {"validation_loss": nats.item(), "code_perplexity": nats.exp().item()}

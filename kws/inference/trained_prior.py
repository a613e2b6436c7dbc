"""A trained prior with its codec: words in, clips out.

    prior = load_prior("runs/prior")
    mels = prior.draw(["seven", "three"])
    waveform = vocode(mels[0])

Shape letters: n words   T frames   F mel bands
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kws.decoding.sampling import sample
from kws.errors import UsageError, did_you_mean
from kws.models.coded_words import CodedWords
from kws.training.checkpoint import checkpoint_of, read_checkpoint, require_kind, weights_of
from kws.training.codec_run import decode_clips
from kws.training.prior_run import PROTOCOL, KnownCodec, codec_in, new_prior
from kws.training.recipe import Recipe, parse_recipe


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedPrior:
    """A prior and its codec, on the CPU, in evaluation mode."""

    model: CodedWords
    known: KnownCodec
    recipe: Recipe
    words: tuple[str, ...]
    step: int  # optimizer steps of these weights

    @torch.inference_mode()
    def draw(
        self,
        words: Sequence[str],
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "n T F"]:
        """Sample a log-mel of each word. UsageError: an unknown word, or from `sample`."""
        for word in words:
            if word not in self.words:
                raise UsageError(
                    f"{word!r} is not a word of this prior{did_you_mean(word, self.words)}: "
                    f"choose one of {', '.join(self.words)}"
                )
        labels = torch.tensor([self.words.index(word) for word in words])
        codes = sample(
            lambda so_far: self.model(labels, so_far)[:, -1],
            len(labels),
            len(self.model.prior.places),
            temperature=temperature,
            top_k=top_k,
            generator=generator,
        )
        return self.known.audible(decode_clips(self.model.codec, codes))


def load_prior(run_or_file: str | Path) -> TrainedPrior:
    """The prior of a run folder (best.pt) or checkpoint file. UsageError: not a prior of ours."""
    path = checkpoint_of(run_or_file)
    state = read_checkpoint(path)
    require_kind(path, state["protocol"], PROTOCOL)
    known = codec_in(state, path)
    recipe = parse_recipe(state["recipe"], where=str(path))
    try:
        length = len(weights_of(state)["prior.places"])
        model = new_prior(recipe, known.codec, length=length)
        model.load_state_dict(weights_of(state))
    except (KeyError, RuntimeError) as error:
        raise UsageError(f"{path}: its weights are not those of a prior: train it again") from error
    return TrainedPrior(
        model=model.eval(),
        known=known,
        recipe=recipe,
        words=tuple(state["labels"]),
        step=state["step"],
    )

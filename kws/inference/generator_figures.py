"""The figures of a trained voice, codec or prior on speech that it was not trained on.

    found = measure_generator("runs/codec", "testing")
    found.figures["codes_in_use"]

The engine synthesizes each split again. A voice is measured on phrases; those of testing share no
word with the training phrases. A codec and a prior are measured on other utterances of the 35
words. With `listen` a keyword model (`kws.inference.listener`), which was not trained with any of
these models, labels what they generate.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kws.data.embedded.phrases import phrase_texts
from kws.data.protocols import V2_WORDS
from kws.errors import UsageError
from kws.inference.listener import SETTINGS, listener, recognize, recognize_mels
from kws.inference.synthesizer import load_voice
from kws.inference.trained_prior import load_prior
from kws.metrics import Proportion
from kws.training import codec_run, prior_run, voice_run
from kws.training.checkpoint import checkpoint_of, read_checkpoint, require_kind
from kws.training.codec_run import decode_clips, encode_clips, measure_codec, spoken_words
from kws.training.prior_run import codec_in, measure_prior, word_split
from kws.training.recipe import Recipe, parse_recipe
from kws.training.synthesis import spoken_texts
from kws.training.voice_run import measure_voice

SAMPLES = 8  # clips drawn of each word
MEASURED = (voice_run.PROTOCOL, codec_run.PROTOCOL, prior_run.PROTOCOL)


@dataclass(frozen=True, kw_only=True)
class GeneratorFigures:
    """What was measured, in words and in numbers."""

    model: str
    step: int  # optimizer steps so far
    data: str
    lines: list[str]
    figures: dict[str, float]


def measure_generator(
    run_or_file: str | Path, split: str = "testing", *, listen: bool = False, progress: bool = True
) -> GeneratorFigures:
    """The figures of a run folder (its best.pt) or of a checkpoint file.

    Raises UsageError: missing, damaged, not ours, a model of another kind; `listen` with features
    that the listener cannot read.
    """
    path = checkpoint_of(run_or_file)
    state = read_checkpoint(path)
    require_kind(path, state["protocol"], *MEASURED)
    recipe = parse_recipe(state["recipe"], where=str(path))
    measure = dict(zip(MEASURED, (_voice, _codec, _prior), strict=True))[state["protocol"]]
    data, lines, figures = measure(path, state, recipe, split, listen, progress)
    figures = {name.replace("validation_", ""): value for name, value in figures.items()}
    return GeneratorFigures(
        model=recipe.model.name, step=state["step"], data=data, lines=lines, figures=figures
    )


Measured = tuple[str, list[str], dict[str, float]]


def _voice(
    path: Path, state: dict[str, Any], recipe: Recipe, split: str, listen: bool, progress: bool
) -> Measured:
    voice = load_voice(path)
    words, seed = ("testing", "testing") if split == "testing" else ("training", split)
    seed = recipe.data.seed if split == "training" else seed
    texts = phrase_texts(voice_run.HELD_OUT, words, seed=seed)
    spoken = spoken_texts(texts, n_mels=recipe.features.n_mels)
    figures = measure_voice(voice.model, spoken)
    lines = [
        f"loss {figures['validation_loss']:.3f}",
        f"a predicted duration is {figures['duration_error']:.2f} frames off, on average",
    ]
    if listen:
        waveforms = [voice.say(word) for word in V2_WORDS]
        recognized = recognize(listener(progress=progress), waveforms)
        lines.append(f"keywords recognized {_count(figures, 'recognized', recognized, V2_WORDS)}")
    new = "new" if split == "testing" else "the training"
    return f"{len(texts)} phrases of {new} words", lines, figures


def _codec(
    path: Path, state: dict[str, Any], recipe: Recipe, split: str, listen: bool, progress: bool
) -> Measured:
    known = codec_in(state, path)
    seed, takes = _takes(recipe, split)
    mel, labels = spoken_words(seed, takes, known.normalizer, progress=progress)
    figures = measure_codec(known.codec, mel)
    codes = len(known.codec.codebook.vectors)
    lines = [
        f"mean squared error {figures['validation_loss']:.3f}, of a variance of {mel.var():.2f}",
        f"{figures['codes_in_use']} of {codes} codes in use, "
        f"perplexity {figures['code_perplexity']:.1f}",
    ]
    if listen:
        again = decode_clips(known.codec, encode_clips(known.codec, mel))
        words = [V2_WORDS[label] for label in labels.tolist()]
        for name, some in (("words", mel), ("decoded words", again)):
            recognized = _recognize(known.audible(some), progress)
            key = f"{name} recognized".replace(" ", "_")
            lines.append(f"{name} recognized {_count(figures, key, recognized, words)}")
    return f"{len(mel):,} clips", lines, figures


def _prior(
    path: Path, state: dict[str, Any], recipe: Recipe, split: str, listen: bool, progress: bool
) -> Measured:
    prior = load_prior(path)
    seed, takes = _takes(recipe, split)
    examples = word_split(prior.known, seed, takes, progress=progress)
    figures = measure_prior(prior.model, examples)
    codes = len(prior.known.codec.codebook.vectors)
    perplexity = f"perplexity {figures['code_perplexity']:.2f} of a code, given the word and the"
    lines = [f"{perplexity} codes before it; {codes} codes"]
    if listen:
        words = [word for word in prior.words for _ in range(SAMPLES)]
        drawn = prior.draw(words, generator=torch.Generator().manual_seed(0))
        recognized = _recognize(drawn, progress)
        lines.append(f"samples recognized {_count(figures, 'recognized', recognized, words)}")
    return f"{len(examples.words):,} clips", lines, figures


def _takes(recipe: Recipe, split: str) -> tuple[str, int]:
    """Seed and takes of a split of clean words."""
    if split == "training":
        return f"training {recipe.data.seed}", recipe.data.spoken or codec_run.TAKES
    return split, codec_run.HELD_OUT


def _recognize(mel: Float[Tensor, "n T F"], progress: bool) -> list[str]:
    bands = SETTINGS.features.n_mels
    if mel.shape[2] != bands:
        raise UsageError(
            f"the listener reads {bands} mel bands, not {mel.shape[2]}: remove --listen"
        )
    return recognize_mels(listener(progress=progress), mel)


def _count(
    figures: dict[str, float], key: str, recognized: list[str], words: list[str] | tuple[str, ...]
) -> Proportion:
    """How many words were recognized; the share is kept among the figures."""
    found = Proportion(correct=sum(map(str.__eq__, recognized, words)), n=len(words))
    figures[key] = found.value
    return found

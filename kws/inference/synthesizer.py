"""A synthesizer: text to waveform, by our FastSpeech and Griffin-Lim.

    waveform = synthesizer().say("seven three")

The model of `kws train text-to-speech` is trained once, in two minutes on the CPU, and kept in a
folder of `cache_dir()` named after its settings; `load_voice` reads one of your own. The engine
only converts text to phonemes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kws.audio.griffin_lim import vocode
from kws.data.embedded.espeak import ENGINE_NAME
from kws.data.embedded.phrases import numbers_of, speak_phrases
from kws.errors import UsageError
from kws.models.fastspeech import FastSpeech, pad_phonemes
from kws.training.checkpoint import checkpoint_of, read_checkpoint, require_kind, weights_of
from kws.training.loop import begin, finish
from kws.training.recipe import load_recipe, parse_recipe, to_toml
from kws.training.trained_once import train_once
from kws.training.voice_run import PROTOCOL, new_voice, voice_objective

VERSION = 2
SLOWEST = 4.0  # pace: beyond it, and below its inverse, nothing can be understood


@dataclass(frozen=True, kw_only=True, eq=False)
class Synthesizer:
    """A trained FastSpeech and what makes its mels audible."""

    model: FastSpeech

    @torch.inference_mode()
    def mels(self, texts: Sequence[str], pace: float = 1.0) -> list[Float[Tensor, "_ F"]]:
        """The log-mels (T, F) of each text, `pace` times as long as usual.

        Raises UsageError: a text that cannot be said, or is too long; a pace out of range.
        """
        if not 1 / SLOWEST <= pace <= SLOWEST:
            raise UsageError(f"pace={pace:g}: choose one from {1 / SLOWEST:g} to {SLOWEST:g}")
        phrases = speak_phrases(texts)
        phonemes, valid = pad_phonemes(
            [numbers_of(phrase.phonemes, phrase.text) for phrase in phrases]
        )
        try:
            mel, frames, _ = self.model(phonemes, valid, pace=pace)
        except ValueError as error:
            raise UsageError(f"a text is too long ({error}): say it in parts") from error
        return [one[real] for one, real in zip(mel, frames, strict=True)]

    def say(self, text: str, pace: float = 1.0) -> Float[Tensor, "N"]:
        """The waveform of a text, 16 kHz, its loudest sample 0.9; errors as `mels`."""
        waveform = vocode(self.mels([text], pace)[0])
        return 0.9 * waveform / waveform.abs().max().clamp(min=1e-9)


@cache
def synthesizer(overrides: tuple[str, ...] = (), *, progress: bool = True) -> Synthesizer:
    """The voice of recipe "text-to-speech", trained on first use; errors as `trained_once`."""
    recipe = load_recipe("text-to-speech", overrides)
    about = {"synthesizer": VERSION, "engine": ENGINE_NAME, "settings": to_toml(recipe)}

    def train(run: Path) -> None:
        finish(begin(voice_objective(recipe, torch.device("cpu")), run), progress=progress)

    return load_voice(train_once("synthesizer", about, train))


def load_voice(run_or_file: str | Path) -> Synthesizer:
    """The synthesizer of a run folder or checkpoint file. UsageError: not a voice of ours."""
    path = checkpoint_of(run_or_file)
    state = read_checkpoint(path)
    require_kind(path, state["protocol"], PROTOCOL)
    recipe = parse_recipe(state["recipe"], where=str(path))
    try:
        level = [float(state["normalizer"][key][0]) for key in ("mean", "std")]
        model = new_voice(recipe, mean=level[0], deviation=level[1])
        model.load_state_dict(weights_of(state))
    except (KeyError, TypeError, IndexError, RuntimeError) as error:
        raise UsageError(
            f"{path}: its weights do not fit {recipe.model.name} as this version builds it: "
            "train again, or use the version that wrote it"
        ) from error
    return Synthesizer(model=model.eval())

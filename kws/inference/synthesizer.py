"""A synthesizer: text in, waveform out, by a FastSpeech of our own and Griffin-Lim.

    waveform = synthesizer().say("seven three")

The model learns the voice of the engine once, on the CPU in about two minutes, and is kept in a
folder of `cache_dir()` named after its settings; `load_voice` reads one that `kws train
text-to-speech` trained. The engine spells a text as phonemes; how long
each lasts and how it sounds is the model's.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from kws.audio.griffin_lim import vocode
from kws.data.embedded.espeak import ENGINE_NAME
from kws.data.embedded.phrases import SYMBOLS, numbers_of, speak_phrases
from kws.data.embedded.provenance import corpus_folder
from kws.errors import UsageError
from kws.files import cache_dir
from kws.models.fastspeech import FastSpeech, FastSpeechConfig, pad_phonemes
from kws.training.checkpoint import checkpoint_of, read_checkpoint, require_kind, weights_of
from kws.training.recipe import parse_recipe
from kws.training.synthesis import VoiceSettings, train_fastspeech, voice_data
from kws.training.voice_run import PROTOCOL, new_voice

VERSION = 1
RECORD, WEIGHTS = "synthesizer.json", "fastspeech.safetensors"
SLOWEST = 4.0  # pace: beyond it, and below its inverse, nothing can be understood


@dataclass(frozen=True, kw_only=True, eq=False)
class Synthesizer:
    """A trained FastSpeech and what makes its mels audible."""

    model: FastSpeech

    @torch.inference_mode()
    def mels(self, texts: Sequence[str], pace: float = 1.0) -> list[Float[Tensor, "_ F"]]:
        """The log-mels (T, F) of each text, `pace` times as long as usual.

        Raises:
            UsageError: a text that cannot be said, or is too long; a pace out of range.
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
def synthesizer(settings: VoiceSettings | None = None, *, progress: bool = True) -> Synthesizer:
    """The synthesizer with these settings, trained here unless it has been.

    Another process that trains it is waited for. Raises OSError where its folder cannot be made,
    UsageError where something else is there.
    """
    settings = settings or VoiceSettings()
    recipe = {"synthesizer": VERSION, "engine": ENGINE_NAME, "settings": asdict(settings)}
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    out = cache_dir() / f"synthesizer-{digest[:16]}"
    with corpus_folder(out, RECORD, recipe) as folder:
        if folder is not None:
            _train(settings, folder, recipe, progress)
    return _load(out)


def _train(settings: VoiceSettings, folder: Path, recipe: dict, progress: bool) -> None:
    data = voice_data(settings)
    model = train_fastspeech(data, settings, progress=progress)
    save_file(model.state_dict(), folder / WEIGHTS)
    about = {"recipe": recipe, "mean": data.mean, "deviation": data.deviation}
    (folder / RECORD).write_text(json.dumps(about, indent=1) + "\n")


def _load(folder: Path) -> Synthesizer:
    about = json.loads((folder / RECORD).read_text())
    sizes = {"mean": about["mean"], "deviation": about["deviation"]}
    model = FastSpeech(FastSpeechConfig(num_symbols=len(SYMBOLS) + 1, **sizes))
    model.load_state_dict(load_file(folder / WEIGHTS))
    return Synthesizer(model=model.eval())


def load_voice(run_or_file: str | Path) -> Synthesizer:
    """The synthesizer of a run folder (its best.pt) or of a checkpoint file.

    Raises:
        UsageError: nothing there, damaged, not ours, or a model that does not speak these sounds.
    """
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

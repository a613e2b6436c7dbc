"""A trained recognizer and its alphabet.

recognizer = load_recognizer("runs/digits") recognizer.transcribe([read_audio("one.wav")])
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from kws.audio.recordings import read_audio
from kws.data.transcripts import TranscribedSplit, utterance_features
from kws.decoding.transcribe import transcribe
from kws.errors import UsageError
from kws.models.speech_gru import AnyRecognizer
from kws.text.alphabet import Alphabet
from kws.text.word_errors import WordErrors, word_errors
from kws.training.checkpoint import checkpoint_of, read_checkpoint, require_kind, restore_model
from kws.training.recipe import Recipe
from kws.training.recognizer_run import PROTOCOL, alphabet_of
from kws.training.recognizer_steps import require_recognizer

SHORTEST = 400  # samples: one window


@dataclass(frozen=True, kw_only=True, eq=False)
class Recognizer:
    """A trained recognizer, in evaluation mode."""

    model: AnyRecognizer
    recipe: Recipe
    alphabet: Alphabet
    step: int  # optimizer steps so far
    path: Path

    def transcribe(
        self, waveforms: Sequence[Float[Tensor, "_"]], *, width: int = 1, ctc_weight: float = 0.0
    ) -> list[str]:
        """The text of each recording, 16 kHz; the errors are those of `transcribe`."""
        n_mels = self.recipe.features.n_mels
        mels = [utterance_features(waveform, n_mels) for waveform in waveforms]
        return transcribe(self.model, mels, self.alphabet, width=width, ctc_weight=ctc_weight)

    def word_errors(
        self, split: TranscribedSplit, *, width: int = 1, ctc_weight: float = 0.0
    ) -> tuple[WordErrors, list[str]]:
        """The errors of a split with their interval, and the hypothesis of each utterance."""
        written = transcribe(
            self.model, split.mels, self.alphabet, width=width, ctc_weight=ctc_weight
        )
        return word_errors(split.texts, written), written


def load_recognizer(run_or_file: str | Path) -> Recognizer:
    """The recognizer of a run folder (best.pt) or checkpoint file. UsageError: not one of ours."""
    path = checkpoint_of(run_or_file)
    state = read_checkpoint(path)
    require_kind(path, state["protocol"], PROTOCOL)
    model, recipe = restore_model(state, path)
    return Recognizer(
        model=require_recognizer(model, recipe),
        recipe=recipe,
        alphabet=alphabet_of(state["labels"]),
        step=state["step"],
        path=path,
    )


def read_utterance(path: Path, *, resample: bool = False) -> Float[Tensor, "N"]:
    """A recording to transcribe. UsageError: not readable, another rate, less than a frame."""
    waveform = read_audio(path, resample=resample)
    if len(waveform) < SHORTEST:
        raise UsageError(
            f"{path}: {len(waveform)} samples are less than a frame of {SHORTEST}: record longer"
        )
    return waveform

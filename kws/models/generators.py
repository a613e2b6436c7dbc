"""The models that speak or draw codes, by name, with the sizes that they have by default.

    GENERATORS["codec"].build()

They are built in Python, each with arguments of its own, and `kws params` counts them. What a
recipe trains is in `kws.models.registry`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from kws.models.code_prior import CodePrior
from kws.models.codec import Codec
from kws.models.fastspeech import FastSpeech, FastSpeechConfig
from kws.models.transformer_tts import TransformerTts

WORDS = 35  # of Speech Commands, for which a prior draws codes
PHONEMES = 66  # sounds of the English that `kws say` speaks, and the padding


@dataclass(frozen=True, kw_only=True)
class Generator:
    """A named model.

    Attributes:
        build: makes the module.
        reads: the symbols it knows, or the mel bands of its input.
        about: one line for the list of models.
    """

    build: Callable[[], nn.Module]
    reads: str
    about: str


GENERATORS = {
    "fastspeech": Generator(
        build=lambda: FastSpeech(FastSpeechConfig(num_symbols=PHONEMES)),
        reads=f"{PHONEMES} symbols",
        about="phonemes to log-mels by durations, 2 + 3 blocks: kws say",
    ),
    "transformer-tts": Generator(
        build=lambda: TransformerTts(PHONEMES),
        reads=f"{PHONEMES} symbols",
        about="phonemes to log-mels by attention, 4 frames a step",
    ),
    "codec": Generator(
        build=Codec,
        reads="40 mel bands",
        about="log-mels to one of 128 codes every 4 frames, and back",
    ),
    "code-prior": Generator(
        build=lambda: CodePrior(WORDS),
        reads=f"{WORDS} words, 128 codes",
        about="a causal Transformer over the codes of a word",
    ),
}

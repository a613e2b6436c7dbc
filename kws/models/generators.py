"""The models that speak or draw codes, by name, with the sizes that they have by default.

    GENERATORS["codec"].build()
    build_generator("codec", {"num_codes": 64}, n_mels=40)

The second is how a recipe's settings are read. Models that label or write are in
`kws.models.registry`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from torch import nn

from kws.errors import UsageError, did_you_mean
from kws.models.code_prior import CodePrior
from kws.models.codec import Codec
from kws.models.fastspeech import FastSpeech, FastSpeechConfig
from kws.models.transformer_tts import TransformerTts
from kws.settings import Fraction, checked

WORDS = 35  # of Speech Commands, for which a prior draws codes
LARGEST = 9_999  # no size of these models comes near it
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

SETTINGS: dict[str, Callable[..., Any]] = {  # what a recipe may set: arguments of these
    "fastspeech": FastSpeechConfig,
    "codec": Codec,
    "code-prior": CodePrior,
}


def build_generator(name: str, options: Mapping[str, Any], **given: Any) -> nn.Module:
    """The model `name` with settings of a recipe; `given` are those that the data decide.

    Raises:
        UsageError: a model that no recipe trains, an unknown setting, a value out of range, or
            numbers that do not fit together.
    """
    if name not in SETTINGS:
        raise UsageError(
            f"model.name={name} neither speaks nor draws codes: choose one of {', '.join(SETTINGS)}"
        )
    known = inspect.signature(SETTINGS[name]).parameters
    names = [key for key in known if key not in given]
    settings = dict(given)
    for key, value in options.items():
        if key not in names:
            raise UsageError(
                f"{name} has no setting {key!r}{did_you_mean(key, names)}: "
                f"choose one of {', '.join(names)}"
            )
        share = isinstance(known[key].default, float)
        settings[key] = checked(
            Fraction if share else Annotated[int, 1, LARGEST], value, name, f"model.{key}"
        )
    try:
        made = SETTINGS[name](**settings)
        return FastSpeech(made) if isinstance(made, FastSpeechConfig) else made
    except ValueError as error:
        raise UsageError(f"{name}: {error}: change these settings") from error

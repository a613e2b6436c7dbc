"""Voices, codecs and priors from the settings of a recipe.

    build_generator("codec", {"num_codes": 64}, n_mels=40)

Models that label or transcribe are in `kws.models.registry`.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from torch import nn

from kws.errors import UsageError, did_you_mean
from kws.models.code_prior import CodePrior
from kws.models.codec import Codec
from kws.models.fastspeech import FastSpeech, FastSpeechConfig
from kws.settings import Fraction, checked

LARGEST = 9_999  # no size of these models comes near it


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

"""Voices, codecs and priors from the settings of a recipe.

    build_generator("codec", {"num_codes": 64}, n_mels=40)

Models that label or transcribe are in `kws.models.registry`.
"""

from collections.abc import Mapping
from typing import Any, get_type_hints

from torch import nn

from kws.errors import UsageError
from kws.models.code_prior import CodePrior
from kws.models.codec import Codec
from kws.models.fastspeech import FastSpeech, FastSpeechConfig
from kws.models.registry import explain_misfits
from kws.settings import from_options

SETTINGS: dict[str, type] = {  # what a recipe may set: arguments of these
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
    kinds = get_type_hints(SETTINGS[name].__init__, include_extras=True)
    kinds = {key: kind for key, kind in kinds.items() if key not in {*given, "return"}}
    settings = from_options(kinds, options, name, prefix="model.")
    with explain_misfits(name):
        made = SETTINGS[name](**given, **settings)
        return FastSpeech(made) if isinstance(made, FastSpeechConfig) else made

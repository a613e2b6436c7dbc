"""Voices, codecs and priors from the settings of a recipe.

    build_generator(Codec, "codec", {"num_codes": 64}, n_mels=40)

Models that label or transcribe are in `kws.models.registry`.
"""

from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from torch import nn

from kws.errors import UsageError
from kws.models.code_prior import CodePrior
from kws.models.codec import Codec
from kws.models.fastspeech import FastSpeech, FastSpeechConfig
from kws.models.registry import explain_misfits
from kws.settings import from_options

Model = TypeVar("Model", bound=nn.Module)
GENERATORS: dict[type[nn.Module], tuple[str, type, str]] = {
    # model: its name in a recipe, what has its settings as arguments, and what it is
    FastSpeech: ("fastspeech", FastSpeechConfig, "a speech synthesis model"),
    Codec: ("codec", Codec, "a codec"),
    CodePrior: ("code-prior", CodePrior, "a code prior"),
}


def build_generator(
    wanted: type[Model], name: str, options: Mapping[str, Any], **given: Any
) -> Model:
    """The model `name` with settings of a recipe; `given` are those that the data decide.

    Raises UsageError: it is not a `wanted`, an unknown setting, a value out of range, or numbers
    that do not fit together.
    """
    right, settings, what = GENERATORS[wanted]
    if name != right:
        raise UsageError(f"model.name={name} is not {what}: use {right}")
    kinds = get_type_hints(settings.__init__, include_extras=True)
    kinds = {key: kind for key, kind in kinds.items() if key not in {*given, "return"}}
    chosen = from_options(kinds, options, name, prefix="model.")
    with explain_misfits(name):
        made = settings(**given, **chosen)
        return made if isinstance(made, wanted) else wanted(made)

"""Settings validated by their types, with msgspec; every mistake is one sentence with its cure.

Types bound their numbers with `msgspec.Meta`; a `description` replaces the sentence made from them.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
from msgspec import Meta
from msgspec import inspect as types

from kws.errors import UsageError, did_you_mean

LARGEST = 2**63 - 1  # whole number that torch can take
FINITE = sys.float_info.max  # bounds that keep inf and nan out
SIZE = 999_999  # no size of a model comes near it, and somewhere beyond it torch overflows

Fraction = Annotated[float, Meta(ge=0, le=1)]
NonNegative = Annotated[float, Meta(ge=0, le=FINITE)]
Finite = Annotated[float, Meta(ge=-FINITE, le=FINITE)]
PositiveInt = Annotated[int, Meta(ge=1, le=LARGEST)]
NonNegativeInt = Annotated[int, Meta(ge=0, le=LARGEST)]
Seed = NonNegativeInt
Bands = Annotated[int, Meta(ge=1, le=1000)]
Samples = Annotated[int, Meta(ge=2, le=16_000)]  # of a frame, at most a second
Percent = Annotated[float, Meta(ge=0, le=100)]
Size = Annotated[int, Meta(ge=1, le=SIZE)]  # of a model
SizeOrZero = Annotated[int, Meta(ge=0, le=SIZE)]  # 0 leaves the part out
Layers = Annotated[int, Meta(ge=1, le=1000)]  # each costs time to build, however narrow

# [lowest, highest]; empty is none. `Augment` compares the two.
Interval = Annotated[tuple[Finite, ...], Meta(description="two numbers, [lowest, highest]")]
Scalar = bool | int | float | str
Option = Annotated[  # of a model; its own type is checked when the model is built
    Scalar | tuple[Scalar | tuple[Scalar, ...], ...],
    Meta(description="a number, string, boolean or list of them"),
]

NOUNS = {types.IntType: "whole number", types.FloatType: "number", types.StrType: "string"}
T = TypeVar("T")


def from_table(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Build `cls` from a TOML table. A field that is a dataclass is a section, built the same way.

    A class with a field `options` puts every key that it does not know in there.

    Args:
        where: names the table in messages.

    Raises:
        UsageError: an unknown key, a wrong type, a value out of range, values that do not fit.
    """
    kinds = get_type_hints(cls)
    sections = {key: [*get_type_hints(x)] for key, x in kinds.items() if is_dataclass(x)}
    _refuse_unknown(table, [*kinds], sections, where)
    given = dict(table)
    for section, known in sections.items():
        if not isinstance(values := table.get(section, {}), dict):
            raise UsageError(f"{where}: {section} is a section: write [{section}] above its keys")
        if "options" in known:
            options = {
                key: convert(Option, value, where, f"{section}.{key}")
                for key, value in values.items()
                if key == "options" or key not in known
            }
            named = {key: value for key, value in values.items() if key not in options}
            given[section] = {**named, "options": options}
        else:
            _refuse_unknown(values, known, sections, where, section)
    return convert(cls, given, where)


def _refuse_unknown(
    table: Mapping[str, Any],
    known: Sequence[str],
    sections: Mapping[str, Sequence[str]],
    where: str,
    section: str = "",
) -> None:
    """Suggest the nearest key, else one of that name in another section, else list all."""
    for key in (key for key in table if key not in known):
        other = [f"{name}.{key}" for name, keys in sections.items() if key in keys]
        near = did_you_mean(key, known) or (f" (did you mean {other[0]}?)" if other else "")
        name = f"{section}.{key}".lstrip(".")
        near = near or f": {section or 'the file'} has {', '.join(known)}"
        raise UsageError(f"{where}: unknown key {name}{near}")


def from_options(
    kinds: Mapping[str, Any], options: Mapping[str, Any], where: str, *, prefix: str = ""
) -> dict[str, Any]:
    """The settings of a model, each as its type in `kinds`; `prefix` of their names in messages.

    Raises UsageError: an unknown setting, a wrong type or a value out of range.
    """
    for key in options:
        if key not in kinds:
            raise UsageError(
                f"{where} has no setting {key!r}{did_you_mean(key, kinds)}: "
                f"choose one of {', '.join(kinds)}"
            )
    return {key: convert(kinds[key], x, where, f"{prefix}{key}") for key, x in options.items()}


def convert(kind: Any, value: Any, where: str, key: str = "") -> Any:
    """`value` as the type `kind`; UsageError names `key`, what was expected and what came.

    >>> convert(tuple[Size, ...], [3, 5], "mine.toml", "channels")
    (3, 5)
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, UsageError):  # values that do not go together
            raise UsageError(f"{where}: {error.__cause__}") from error
        info: Any = types.type_info(kind)
        # the path of a dataclass's field; what is in a list is shown with its list
        for name in re.findall(r"\.(\w+)", str(error).rpartition(" - at ")[2].partition("[")[0]):
            info = next(field.type for field in info.fields if field.name == name)
            key, value = f"{key}.{name}".lstrip("."), value[name]
        if isinstance(info, types.DataclassType):
            raise UsageError(f"{where}: {error}: add it") from error  # a field without default
        words = isinstance(info, types.LiteralType) and isinstance(value, str)
        near = did_you_mean(value, map(str, info.values)) if words else ""
        raise UsageError(
            f"{where}: {key} expects {describe(info)}, got {as_toml(value)}{near}"
        ) from error


def describe(info: types.Type, *, many: bool = False) -> str:
    """What a type of `msgspec.inspect` allows, in words.

    >>> describe(types.type_info(tuple[Size, ...]))
    'a list of whole numbers from 1 to 999999'
    """
    article, ending = ("", "s") if many else ("a ", "")
    match info:
        case types.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case types.UnionType(types=kinds):
            return " or ".join(describe(k) for k in kinds if not isinstance(k, types.NoneType))
        case types.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case types.VarTupleType(item_type=item):
            return f"{article}list{ending} of {describe(item, many=True)}"
        case types.TupleType(item_types=items):
            return f"{article}list{ending} of {len(items)} {describe(items[0], many=True)}"
        case types.IntType(ge=low, le=high) | types.FloatType(ge=low, le=high):
            bounded = high is not None and high < LARGEST
            bounds = f" from {low:g} to {high:g}" if bounded else f" of at least {low:g}"
            return f"{article}{NOUNS[type(info)]}{ending}{bounds if low != -FINITE else ''}"
        case types.BoolType():
            return "true or false"
        case types.DictType():
            return "a string for each name"
    return f"{article}{NOUNS[type(info)]}{ending}"


def as_toml(value: Any) -> str:
    """A value as TOML writes it: JSON's strings, numbers and lists are TOML's too, but for one."""
    if isinstance(value, float):
        return repr(value)  # JSON has no inf and no nan
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")

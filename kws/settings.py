"""Frozen dataclasses from TOML tables and back, every value checked and every mistake explained."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from kws.errors import UsageError, did_you_mean

# Numbers, with the lowest and the highest value that they may have.
Fraction = Annotated[float, 0.0, 1.0]
NonNegative = Annotated[float, 0.0, math.inf]
PositiveInt = Annotated[int, 1, math.inf]
NonNegativeInt = Annotated[int, 0, math.inf]
Seed = Annotated[int, 0, math.inf]
Bands = Annotated[int, 1, 1000]
Samples = Annotated[int, 2, 16_000]  # of a frame, at most a second
Percent = Annotated[float, 0.0, 100.0]

Interval = tuple[float, ...]  # of two numbers, the lower first; empty is none

LARGEST = 2**63 - 1  # whole number that torch can take

KIND_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
T = TypeVar("T")


def from_table(
    cls: type[T],
    table: Mapping[str, Any],
    where: str,
    *,
    prefix: str = "",
    elsewhere: Sequence[str] = (),
) -> T:
    """Build `cls` from a TOML table. A field that is a dataclass is a section, built the same way.

    A class with a field `options` puts every key that it does not know in there.

    Args:
        where: names the table in messages.
        prefix: of its keys in messages, "train." say.
        elsewhere: full names of keys of other sections, to suggest.

    Raises:
        UsageError: an unknown key, a wrong type, a value out of range, values that do not fit.
    """
    kinds = get_type_hints(cls, include_extras=True)
    sections: dict[str, Any] = {
        key: kind for key, kind in kinds.items() if dataclasses.is_dataclass(kind)
    }
    elsewhere = [
        f"{section}.{f.name}"
        for section, kind in sections.items()
        for f in dataclasses.fields(kind)
    ] or elsewhere
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in sections:
            if not isinstance(value, dict):
                raise UsageError(f"{where}: {key} is a section: write [{key}] above its keys")
            values[key] = from_table(
                sections[key], value, where, prefix=f"{key}.", elsewhere=elsewhere
            )
        elif key in kinds and key != "options":
            values[key] = checked(kinds[key], value, where, prefix + key)
        elif "options" in kinds:
            values.setdefault("options", {})[key] = _option(value, where, prefix + key)
        else:
            raise UsageError(
                f"{where}: unknown key {prefix}{key}{_near(key, prefix, kinds, elsewhere)}"
            )
    try:
        return cls(**values)
    except UsageError as error:  # values that do not go together
        raise UsageError(f"{where}: {error}") from error


def checked(kind: Any, value: Any, where: str, key: str) -> Any:
    """`value` as the type `kind`, or a UsageError that says what was expected and what came."""
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if value not in choices:
            near = did_you_mean(value, choices) if isinstance(value, str) else ""
            listed = ", ".join(choices)
            raise UsageError(f"{where}: {key} expects one of {listed}, got {as_toml(value)}{near}")
        return value
    if kind == Interval:
        numbers = isinstance(value, list) and all(type(x) in (int, float) for x in value)
        ends = tuple(map(float, value)) if numbers else (math.inf,)
        if len(ends) not in (0, 2) or ends[:1] > ends[1:] or not all(map(math.isfinite, ends)):
            raise UsageError(
                f"{where}: {key} expects two numbers, [lowest, highest], got {as_toml(value)}"
            )
        return ends
    low, high = -math.inf, math.inf
    words: tuple[str, ...] = ()
    if get_origin(kind) in (Union, UnionType):  # X | None: X; or words | X
        *literals, kind = (t for t in get_args(kind) if t is not type(None))
        words = tuple(word for literal in literals for word in get_args(literal))
        if value in words:
            return value
    if get_origin(kind) is Annotated:
        kind, low, high = get_args(kind)
    expected = kind
    if expected is float and type(value) is int:
        value = float(value)
    wanted = " or ".join([*map(as_toml, words), KIND_NAMES[expected]])
    if type(value) is not expected:  # not isinstance: True is not a number here
        came = KIND_NAMES.get(type(value), "neither number nor string")
        raise UsageError(f"{where}: {key} expects {wanted}, got {as_toml(value)} ({came})")
    top = min(high, LARGEST) if expected is int else high
    if expected in (int, float) and not (low <= value <= top and math.isfinite(value)):
        bounded = high < math.inf or (expected is int and value > top)
        bounds = f"from {low:g} to {top:g}" if bounded else f"of at least {low:g}"
        raise UsageError(f"{where}: {key} expects {wanted} {bounds}, got {value}")
    return value


def as_toml(value: Any) -> str:
    """A value as TOML writes it: JSON's strings, numbers and lists are TOML's too, but for one."""
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")


def _option(value: Any, where: str, key: str) -> Any:
    """A model option; the registry checks its type. Lists become tuples, which are frozen."""
    if isinstance(value, list):
        return tuple(_option(item, where, key) for item in value)
    if type(value) not in KIND_NAMES:
        raise UsageError(f"{where}: {key} expects a number, string, boolean or list of them")
    return value


def _near(key: str, prefix: str, kinds: Mapping[str, Any], elsewhere: Sequence[str]) -> str:
    """Suggest the nearest key of this section, else one of that name elsewhere, else list all."""
    if near := did_you_mean(key, kinds):
        return near
    for name in elsewhere:
        if name.partition(".")[2] == key:
            return f" (did you mean {name}?)"
    return f": {prefix.removesuffix('.') or 'a recipe'} has {', '.join(kinds)}"

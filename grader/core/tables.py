"""Read TOML tables into dataclasses; errors name the file and the entry."""

import inspect
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from kws.errors import UsageError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
KINDS = {str: "text", bool: "true or false", int: "a whole number", tuple: "a list"}


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Parse TOML; UsageError names the file and the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from None


def read_entries(cls: type[T], rows: Iterable[Any], where: str) -> tuple[T, ...]:
    """Read one `cls` per table of a list; `where` is "a06_…/assignment.toml: mistake"."""
    return tuple(
        read_entry(cls, row, f"{where} {place} ({row.get('name') or row.get('id') or 'no name'})")
        for place, row in enumerate(rows, start=1)
    )


def read_entry(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Read a dataclass or named tuple; UsageError for an invalid key or type."""
    fields, kinds = inspect.signature(cls).parameters, get_type_hints(cls)
    for key in table:
        if key not in fields:
            near = did_you_mean(key, fields) or f": use one of {', '.join(fields)}"
            raise UsageError(f"{where}: unknown key {key!r}{near}")
    for key, field in fields.items():
        if field.default is field.empty and key not in table:
            raise UsageError(f"{where}: {key} is missing: add `{key} = …`")
    found = {key: _value(kinds[key], value, f"{where}: {key}") for key, value in table.items()}
    return cls(**found)


def _value(kind: Any, value: Any, where: str) -> Any:
    plain = get_origin(kind) or kind
    if plain is tuple and isinstance(value, list):
        inner = get_args(kind)[0]
        return tuple(_value(inner, each, f"{where} {n}") for n, each in enumerate(value, start=1))
    if isinstance(value, dict) and plain not in KINDS:
        return value if plain is Mapping else read_entry(kind, value, where)
    if type(value) is not plain:
        raise UsageError(f"{where} is {value!r}: write {KINDS.get(plain, 'a table')}")
    return value

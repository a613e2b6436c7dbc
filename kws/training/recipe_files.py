"""Recipes as TOML files: found by name, read, overridden, compared and written.

    recipe = load_recipe("keywords", ["train.lr=1e-3"])

A name stands for a file in `kws/recipes`, anything else is a path. Folders in there are the
experiments of the source documents, "group/name". Every mistake in a file (an unknown key, a wrong
type, a value out of range) is a UsageError that names the file and the key.
"""

import copy
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kws.errors import UsageError, did_you_mean
from kws.settings import as_toml, convert, from_table
from kws.training.recipe import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parents[1] / "recipes"
SECTIONS = ("data", "features", "augment", "model", "train")  # those that a run depends on


def recipe_names() -> list[str]:
    """The recipes that come with the package, those of the experiments left out."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def experiment_groups() -> dict[str, list[str]]:
    """Group of experiments -> the names in it, both sorted: `load_recipe(f"{group}/{name}")`."""
    groups: dict[str, list[str]] = {}
    for path in sorted(RECIPES.glob("*/*.toml")):
        groups.setdefault(path.parent.name, []).append(path.stem)
    return {group: sorted(names) for group, names in sorted(groups.items())}


def load_recipe(
    name_or_path: str | Path, overrides: Iterable[str] = (), *, short: bool = False
) -> Recipe:
    """Read a recipe of the package by name, or any other by its path, then apply the overrides.

    A recipe with `base = "group/name"` is that recipe of the package with its own keys over it; its
    description and what was reported it has for itself.

    An override is `section.key=value` with the value as TOML writes it; quotes around a string may
    be left out. With `short` the recipe's own section [cpu] is applied first.

    Raises:
        UsageError: no such recipe, not TOML, an unknown key, a wrong type or a value out of range.
    """
    table = _with_bases(str(name_or_path))
    return _from_toml(table, str(name_or_path), list(overrides), short=short)


def _with_bases(name: str, above: Sequence[str] = ()) -> dict[str, Any]:
    """The table of a recipe, over that of its base; `above` are those that led to this one."""
    groups = experiment_groups()
    experiments = [f"{group}/{recipe}" for group, names in groups.items() for recipe in names]
    known = [*recipe_names(), *experiments]
    path = RECIPES / f"{name}.toml" if name in known else Path(name)
    if not path.is_file() or (above and name not in known):
        near = did_you_mean(name, known) or did_you_mean(name, groups)
        whose = f"{above[-1]}: base = " if above else ""
        raise UsageError(
            f"{whose}{name}: no such recipe{near}: name a .toml file, one of "
            f"{', '.join(recipe_names())}, or group/name of an experiment in {', '.join(groups)}"
        )
    if name in above:
        raise UsageError(f"{name}: is its own base, by way of {above[-1]}: name another")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file: a recipe is TOML in UTF-8") from error
    table = _parse_toml(text, name)
    if (base := table.pop("base", None)) is None:
        return table
    below = _with_bases(convert(str, base, name, "base"), [*above, name])
    merged = {key: value for key, value in below.items() if key not in ("description", "reported")}
    for key, value in table.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def _parse_toml(text: str, where: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond all measure, too
        raise UsageError(f"{where}: not valid TOML: {error}: correct it") from error
    if isinstance(table.get("cpu"), dict):
        table["cpu"] = _flat(table["cpu"])
    return table


def parse_recipe(
    text: str, *, where: str = "recipe", overrides: Iterable[str] = (), short: bool = False
) -> Recipe:
    """A recipe from its TOML text; `where` names it in messages. Errors as `load_recipe`.

    >>> parse_recipe("[train]\\nlr = 0.1", overrides=["train.lr=1e-3"]).train.lr
    0.001
    >>> parse_recipe("[cpu]\\ntrain.epochs = 3", short=True).train.epochs
    3
    """
    return _from_toml(_parse_toml(text, where), where, list(overrides), short=short)


def _from_toml(
    table: dict[str, Any], where: str, overrides: Sequence[str], *, short: bool
) -> Recipe:
    _override(table, overrides)
    recipe = from_table(Recipe, table, " with ".join([where, *overrides]))
    if not recipe.cpu.options:
        return recipe
    for key, value in table["cpu"].items():
        section, dot, key = key.partition(".")
        if not dot or section not in SECTIONS:
            full = f"cpu.{section}{dot}{key}"
            raise UsageError(
                f"{where}: unknown key {full}{did_you_mean(section, SECTIONS)}: write section.key, "
                f"such as train.epochs, with a section of {', '.join(SECTIONS)}"
            )
        table.setdefault(section, {})[key] = copy.deepcopy(value)
    _override(table, overrides)
    # built even where it is not wanted, so that a mistake in it is found at once
    shortened = from_table(
        Recipe, table, " with ".join([f"{where} shortened by [cpu]", *overrides])
    )
    return shortened if short else recipe


def to_toml(recipe: Recipe) -> str:
    """The recipe in full, every default written out. Reading it back gives an equal recipe."""
    sections = [f"description = {as_toml(recipe.description)}\n"] if recipe.description else []
    for section, values in _as_table(recipe).items():
        lines = [f"{key} = {as_toml(value)}" for key, value in values.items() if value is not None]
        sections.append("\n".join([f"[{section}]", *lines]) + "\n")
    reported = {key: value for key, value in asdict(recipe.reported).items() if value or value == 0}
    for section, values in (("reported", reported), ("cpu", recipe.cpu.options)):
        lines = [f"{key} = {as_toml(value)}" for key, value in values.items()]
        sections += ["\n".join([f"[{section}]", *lines]) + "\n"] if lines else []
    return "\n".join(sections)


def changed_keys(old: Recipe, new: Recipe) -> list[tuple[str, Any, Any]]:
    """Every key whose value differs, as ("train.lr", old, new).

    Description, [reported] and [cpu] do not count: they change nothing in a run.
    """
    before, after = _as_table(old), _as_table(new)
    return [
        (f"{section}.{key}", before[section].get(key), after[section].get(key))
        for section in before
        for key in {**before[section], **after[section]}
        if before[section].get(key) != after[section].get(key)
    ]


def _as_table(recipe: Recipe) -> dict[str, dict[str, Any]]:
    table = {}
    for section in SECTIONS:
        values = asdict(getattr(recipe, section))
        options = values.pop("options", {})
        table[section] = {**values, **options}
    return table


def _override(table: dict[str, Any], overrides: Iterable[str]) -> None:
    """Put the value of each "section.key=value" into the table."""
    for override in overrides:
        key, equals, value = (part.strip() for part in override.partition("="))
        section, dot, key = key.partition(".")
        if not equals or not dot:
            raise UsageError(f"override {override!r}: write it as section.key=value, train.lr=1e-3")
        if isinstance(values := table.setdefault(section, {}), dict):
            values[key] = _override_value(value)


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """{"train": {"lr": 1}} and {"train.lr": 1} are the same: TOML writes either."""
    return {
        key if inner is None else f"{key}.{inner}": value
        for key, values in table.items()
        for inner, value in (values.items() if isinstance(values, dict) else [(None, values)])
    }


def _override_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text  # a string without quotes

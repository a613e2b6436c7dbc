"""Results gathered into tables: one for each group, data set and protocol, a row for each recipe.

What must not be compared never shares a column: data sets, protocols, splits and conventions of
silence have tables of their own, views (whole utterances, crops) columns of their own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import getitem
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from experiments.plan import STRINGS, effective_recipe, is_shortened
from experiments.results import Result, read_result, recipe_in
from kws.errors import UsageError
from kws.metrics import wilson_interval
from kws.training.recipe import Recipe, changed_keys, experiment_groups, load_recipe


@dataclass(frozen=True, order=True)
class Where:
    """What an accuracy was measured on."""

    data: str
    protocol: str
    split: str
    silence: str
    unknown: str  # "" is the protocol's
    kind: str = field(compare=False)

    @property
    def slug(self) -> str:
        """For the name of a file."""
        parts = [self.data, self.protocol] if self.protocol != "speakers" else [self.data]
        parts += [self.split] * (self.split != "testing")
        parts += [self.silence] * (self.silence not in ("", "noise"))
        parts += ["all-unknown"] * bool(self.unknown)
        return "-".join(parts)


@dataclass(frozen=True, kw_only=True)
class Mean:
    """An accuracy over seeds: `spread` is the standard deviation between them, None for one.

    The interval is that of the mean on `n` examples: every seed is measured on the same ones.
    """

    value: float
    spread: float | None
    seeds: int
    n: int

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Its lower and upper end, as shares of 1."""
        return wilson_interval(self.value * self.n, self.n)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A recipe in a table. `results`, one for each seed, are empty where it was not run."""

    group: str
    name: str
    full: bool
    results: tuple[Result, ...] = ()

    @property
    def key(self) -> str:
        """Its name in plots."""
        return self.name + "-full" * self.full

    @cached_property
    def written(self) -> Recipe:
        """The recipe as it is written."""
        return load_recipe(f"{self.group}/{self.name}")

    def mean(self, view: str) -> Mean | None:
        """The accuracy under a view."""
        found = [
            measured
            for result in self.results
            for measured in (result, *result["also"])
            if measured["view"] == view
        ]
        if not found:
            return None
        values = [measured["correct"] / measured["n"] for measured in found]
        spread = stdev(values) if len(values) > 1 else None
        return Mean(value=fmean(values), spread=spread, seeds=len(found), n=found[0]["n"])

    def kept(self, key: str) -> list[float]:
        """An entry of the history of each run, at the step whose weights were kept."""
        found = []
        for result in self.results:
            rows = [row for row in result["history"] if row["step"] <= result["best_step"]]
            if rows and key in rows[-1]:
                found.append(rows[-1][key])
        return found

    def average(self, *keys: str) -> float:
        """Mean over seeds of a number in the results."""
        return fmean(self._each(keys))

    def distinct(self, *keys: str) -> list[Any]:
        """The different values of an entry of the results, in the order of the seeds."""
        return list(dict.fromkeys(self._each(keys)))

    def _each(self, keys: Sequence[str]) -> list[Any]:
        return [reduce(getitem, keys, result) for result in self.results]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that may be compared; `where` is None for recipes that were not run anywhere."""

    group: str
    where: Where | None
    rows: tuple[Row, ...]

    @cached_property
    def views(self) -> list[str]:
        """The ways in which models saw their test data, the main one first."""
        results = [result for row in self.rows for result in row.results]
        main = [result["view"] for result in results]
        also = [other["view"] for result in results for other in result["also"]]
        return list(dict.fromkeys([*main, *also]))


def is_current(result: Result) -> bool:
    """Whether a result is of the recipe as it is now."""
    before = recipe_in(result)
    now = effective_recipe(
        f"{result['group']}/{result['name']}",
        seed=result["seed"],
        full=result["full"],
        kind=result["data"]["kind"],
    )
    return before is not None and not changed_keys(before, now)


def read_results(folder: str | Path) -> list[Result]:
    """Every result in `folder`, sorted by data, group, name and seed.

    Raises:
        UsageError: no such folder, a file that is not a result, or one of a recipe that is gone, or
            is another one now.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder: run python -m experiments run first")
    groups = experiment_groups()
    found = []
    for path in sorted(folder.glob("*/*/*.json")):
        result = read_result(path)
        if result["name"] not in groups.get(result["group"], ()):
            raise UsageError(
                f"{path}: the recipe {result['group']}/{result['name']} is gone: remove the file, "
                "or restore the recipe"
            )
        if not is_current(result):
            raise UsageError(
                f"{path}: of an earlier version of the recipe {result['group']}/{result['name']}: "
                "run it again, or remove the file"
            )
        found.append(result)
    return sorted(found, key=lambda r: (r["data"]["name"], r["group"], r["name"], r["seed"]))


def where_of(result: Result) -> Where:
    """What a result was measured on."""
    conditions, data = result.get("conditions", {}), result["data"]
    return Where(
        data["name"],
        result["protocol"],
        result["split"],
        conditions.get("test_silence", ""),
        conditions.get("unknown", ""),
        data["kind"],
    )


def gather(results: Iterable[Result]) -> dict[str, list[Table]]:
    """Group -> its tables. Every recipe of the package is in one of them at least."""
    by_group: dict[str, dict[Where, dict[tuple[str, bool], list[Result]]]] = {}
    for result in results:
        tables = by_group.setdefault(result["group"], {})
        full = result["full"] and is_shortened(result["group"], result["name"])
        rows = tables.setdefault(where_of(result), {})
        rows.setdefault((result["name"], full), []).append(result)
    return {
        group: _tables(group, names, by_group.get(group, {}))
        for group, names in experiment_groups().items()
    }


def _tables(
    group: str, names: Sequence[str], found: dict[Where, dict[tuple[str, bool], list[Result]]]
) -> list[Table]:
    tables, placed = [], set()
    for where in sorted(found):
        rows = []
        for name in names:
            ran = [
                Row(group=group, name=name, full=full, results=tuple(found[where][key]))
                for full in (False, True)
                if (key := (name, full)) in found[where]
            ]
            if ran or _belongs(f"{group}/{name}", where):
                placed.add(name)
                rows += ran or [Row(group=group, name=name, full=False)]
        tables.append(Table(group=group, where=where, rows=tuple(rows)))
    if left := [name for name in names if name not in placed]:
        rows = tuple(Row(group=group, name=name, full=False) for name in left)
        tables.append(Table(group=group, where=None, rows=rows))
    return tables


def _belongs(name: str, where: Where) -> bool:
    """Whether a recipe would be measured there, had it been run on these data."""
    data = load_recipe(name).data
    if data.task != "keywords" or where.protocol in ("speakers", STRINGS):
        return where.protocol == data.task
    if where.silence not in ("none", data.test_silence):
        return False
    if bool(where.unknown) != (data.unknown == "all"):
        return False
    try:
        data = effective_recipe(name, seed=0, full=False, kind=where.kind).data
    except UsageError:  # no counterpart on the embedded corpus
        return False
    return (data.count_as or data.protocol) == where.protocol

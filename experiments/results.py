"""The result of a run: one small JSON file, written whole or not at all.

`accuracy` is a share of 1, its `interval` Wilson's at 95 %, `seconds` those of the training alone,
with one thread of a CPU unless `hardware` names another device. `also` holds measurements that must
not share a column with the first: crops of speakers beside whole utterances.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.plan import Job
from kws.errors import UsageError
from kws.files import write_text
from kws.training.history import Row
from kws.training.recipe import Recipe, changed_keys, parse_recipe, to_toml

FORMAT = "kws experiment 1"
MOST_ROWS = 60  # of a history
FIELDS: dict[type, str] = {  # what a result has, by type
    str: "format group name protocol split view commit",
    int: "seed n correct parameters steps steps_reported",
    bool: "full",
    float: "accuracy",
    list: "recipe overrides interval also history",
    dict: "reported data seconds hardware versions",
}
Result = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Status:
    """What a job's result file is worth: `done`, or why the run is made again."""

    done: bool
    because: str = ""


def recipe_lines(recipe: Recipe) -> list[str]:
    """The recipe as it is kept in a result: the lines of its TOML, without what changes no run."""
    lines = to_toml(recipe).splitlines()
    kept, inside = [], ""
    for line in lines:
        inside = line if line.startswith("[") else inside
        if line and inside not in ("", "[reported]", "[cpu]"):
            kept.append(line)
    return kept


def recipe_in(result: Mapping[str, Any]) -> Recipe | None:
    """The recipe of a result; None if this version of the package cannot read it."""
    try:
        return parse_recipe("\n".join(result["recipe"]))
    except UsageError:
        return None


def git(*words: str) -> tuple[int, str]:
    """Exit code and output of a git command in this repository."""
    here = Path(__file__).resolve().parents[1]
    done = subprocess.run(["git", "-C", here, *words], capture_output=True, text=True)
    return done.returncode, done.stdout.strip()


def status(job: Job, recipe: Recipe) -> Status:
    """Whether the job is done: its result is there, and is one of this recipe on these data."""
    if not job.path.is_file():
        return Status(done=False)
    try:
        result = read_result(job.path)
    except UsageError:
        return Status(done=False, because="its result cannot be read")
    before = recipe_in(result)
    if before is None:
        return Status(done=False, because="its result is of another version of the recipe")
    for key, old, new in changed_keys(before, recipe):
        why = f"its result is of another version of the recipe: {key} was {old}, and is {new}"
        return Status(done=False, because=why)
    if result["data"].get("identity") != job.source.identity:
        return Status(done=False, because=f"its result is of other data called {job.source.name}")
    return Status(done=True)


def write_result(path: Path, result: Result) -> None:
    """Write a result: a line for each of its entries, so that changes of one can be read."""
    lines = [f"{json.dumps(key)}: {_entry(value)}" for key, value in result.items()]
    write_text(path, "{\n " + ",\n ".join(lines) + "\n}\n")


def _entry(value: Any) -> str:
    """JSON of an entry: of a list, a line for each item."""
    if not isinstance(value, list) or not value or not isinstance(value[0], (dict, list, str)):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    items = (json.dumps(item, ensure_ascii=False, allow_nan=False) for item in value)
    return "[\n  " + ",\n  ".join(items) + "\n ]"


def read_result(path: Path) -> Result:
    """Read a result back.

    Raises:
        UsageError: it is damaged, or not a result of python -m experiments.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error}): remove it and run it again") from error
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        raise UsageError(f"{path}: not a result of python -m experiments: remove it")
    for kind, keys in FIELDS.items():
        if bad := [key for key in keys.split() if not isinstance(result.get(key), kind)]:
            raise UsageError(f"{path}: its {bad[0]} is missing or damaged: remove it, run it again")
    return result


def thinned(rows: Sequence[Row], best: Row, most: int = MOST_ROWS) -> list[Row]:
    """At most `most` rows, evenly spaced, with the first, the last and the best one.

    >>> [row["step"] for row in thinned([{"step": i} for i in range(9)], {"step": 3}, most=4)]
    [0, 3, 4, 8]
    """
    if len(rows) <= most:
        return [_rounded(row) for row in rows]
    last = len(rows) - 1
    chosen = {round(i * last / (most - 2)) for i in range(most - 1)} | {list(rows).index(best)}
    return [_rounded(rows[i]) for i in sorted(chosen)]


def _rounded(row: Row) -> Row:
    """Six digits: more than a curve shows."""
    return {key: float(f"{v:.6g}") if isinstance(v, float) else v for key, v in row.items()}

"""What the reference, and every known mistake, gives in the notebook's checks: numbers, no code.

`grader.course.goldens` writes goldens.json into an assignment's folder at release:

    {"2.1-values": {"after": ["2.3", …], "forbidden": [name, …],
                    "expected": [[what, record], …],
                    "mistakes": [{"question": …, "results": {"0": record, …}}, …]}}

A mistake keeps the results that differ from the expected ones, by their position; an exception is
the record {"kind": "raised", "content": its type and text}. A check by hand has such a table too:
its results are what it compares.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from kws.course.compare import Record
from kws.course.notebooks import assignment_folders, task_of
from kws.course.trial import ATOL, RTOL
from kws.errors import UsageError

FILE = "goldens.json"
RAISED = "raised"
OR = " / "  # between questions
USUAL = 3  # questions where no known mistake has the results
LONGEST = 300  # characters of an exception that are compared


@dataclass(frozen=True)
class Mistake:
    """A known mistake: its question, and its results where they differ."""

    question: str
    results: dict[int, Record]


@dataclass(frozen=True)
class Golden:
    """One check: `after` are tasks whose answers it uses, `forbidden` library answers."""

    after: tuple[str, ...]
    forbidden: tuple[str, ...]
    expected: tuple[tuple[str, Record], ...]
    mistakes: tuple[Mistake, ...]

    def question(self, results: Sequence[Any], rtol: float = RTOL, atol: float = ATOL) -> str:
        """The questions of all mistakes with these results, or this exception; "" if none."""
        found = [
            mistake.question
            for mistake in self.mistakes
            if all(
                _is_result(mistake.results.get(at, record), value, rtol, atol)
                for at, ((_, record), value) in enumerate(zip(self.expected, results, strict=False))
            )
        ]
        return OR.join(dict.fromkeys(found))

    def usual(self, results: Sequence[Any]) -> str:
        """Questions (up to 3) of the mistakes that first differ where these results do."""
        last = len(results) - 1
        record = _record_of(results[-1])
        shown = [
            one
            for one in self.mistakes
            if min(one.results, default=0) == last
            and _error_of(one.results.get(last)) == _error_of(record)
        ]
        shown.sort(key=lambda one: one.results[last].distance(record) if one.results else 0)
        questions = list(dict.fromkeys(one.question for one in shown))[:USUAL]
        return f"\n  often it is one of these: {OR.join(questions)}" if questions else ""


@cache
def goldens(number: str) -> dict[str, Golden]:
    path = assignment_folders()[number] / FILE
    if not path.is_file():
        raise UsageError(f"{path} is missing: run python -m grader release --assignment {number}")
    return {
        trial_id: Golden(
            after=tuple(table.get("after", ())),
            forbidden=tuple(table["forbidden"]),
            expected=tuple((what, Record.from_json(r)) for what, r in table["expected"]),
            mistakes=tuple(
                Mistake(
                    one["question"],
                    {int(at): Record.from_json(r) for at, r in one["results"].items()},
                )
                for one in table["mistakes"]
            ),
        )
        for trial_id, table in json.loads(path.read_text(encoding="utf-8")).items()
    }


def tasks_before(task: str) -> tuple[str, ...]:
    """The tasks whose answers a task uses directly; none where nothing is known of it."""
    number = task.partition(".")[0].zfill(2)
    return next((g.after for check, g in _released(number).items() if task_of(check) == task), ())


def find_golden(check_id: str) -> Golden | None:
    """What is known of a check; None where nothing is."""
    return _released(task_of(check_id).partition(".")[0].zfill(2)).get(check_id)


def _released(number: str) -> Mapping[str, Golden]:
    folder = assignment_folders().get(number)
    return goldens(number) if folder is not None and (folder / FILE).is_file() else {}


def raised(error: BaseException) -> Record:
    """The record of an exception: its type and the beginning of its text, in one line."""
    text = " ".join(str(error).split())
    return Record(kind=RAISED, shape=None, content=f"{type(error).__name__}: {text}"[:LONGEST])


def _error_of(record: Record | None) -> str:
    if record is None or record.kind != RAISED:
        return ""
    return record.content.partition(":")[0]


def _record_of(value: Any) -> Record:
    return raised(value) if isinstance(value, BaseException) else Record.of(value)


def _is_result(record: Record, value: Any, rtol: float, atol: float) -> bool:
    if isinstance(value, BaseException):
        return record == raised(value)
    return record.kind != RAISED and record.agrees(value, rtol, atol)

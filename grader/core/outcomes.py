"""Results of checks and of graded submissions: the plain data that reports are made from.

The remote objects of `grader.sandbox` raise `Stopped`; the pytest side turns it into a
`CheckResult`.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from grader.core.text import clean


class Reason(str, Enum):
    WRONG = "wrong"  # it ran, and the answer was not right
    PARTIAL = "partial"  # it ran, and earned some of the points
    NOT_STARTED = "not started"  # the TODO is still there
    MISSING = "missing definition"
    ERROR = "error"  # the student's code raised
    TIMEOUT = "timeout"
    MEMORY = "memory"
    KILLED = "killed"  # the process of the student's code ended itself, or was ended by a limit
    FORBIDDEN = "forbidden"  # the library's own answer to this task
    TAMPER = "tamper"  # what came back is nothing that our worker sends
    NOT_RUN = "not run"  # a check that this one depends on earned nothing
    UNREAD = "not read"  # no file of the submission could be opened: reviewed by a person
    INFRASTRUCTURE = "infrastructure"  # a grader fault: no points lost, reviewed by a person
    UNMARKED = "not marked yet"  # a written answer


class Stopped(Exception):  # noqa: N818  (an ending, not an error)
    """A check ended without a verdict: the reason, the fact for the student, a hint."""

    def __init__(self, reason: Reason, message: str, hint: str = ""):
        super().__init__(message)
        self.reason, self.message, self.hint = reason, message, hint


class Verdict(str, Enum):
    GRADED = "graded"
    REPAIRED = "graded with repairs"
    UNMARKED = "waits for marks"
    PERSON = "needs a person"

    def of(self, count: int) -> str:
        """The verdict as a verb phrase for `n` submissions.

        >>> Verdict.PERSON.of(1), Verdict.PERSON.of(2), Verdict.REPAIRED.of(2)
        ('needs a person', 'need a person', 'graded with repairs')
        """
        verb, _, rest = self.value.partition(" ")
        return f"{verb.removesuffix('s')} {rest}" if count != 1 and verb[-1] == "s" else self.value


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture for the student's page, as data: `grader.reports.html` draws each `kind`.

    kind "confusion": data has `labels` (C strings) and `counts` (C rows of C whole numbers).
    kind "curve": data has `x`, `y` (equally long lists of numbers), `x_label`, `y_label`.
    """

    kind: str
    title: str
    data: Mapping[str, Any]


@dataclass
class Record:
    """What a check records besides passing: measured values, figures, partial points."""

    facts: dict[str, Any] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    share: float = 1.0
    message: str = ""
    measured: tuple[int, int] | None = None  # how many of how many hidden examples were right

    def fact(self, name: str, value: Any) -> None:
        value = _plain(value)
        self.facts[clean(name)] = "not a number" if value is None else value

    def figure(self, figure: Figure) -> None:
        self.figures.append(replace(figure, data=_plain(dict(figure.data))))

    def partial(self, share: float, message: str) -> None:
        """Earn this share, 0 to 1, of the points; of several calls the smallest counts."""
        if not 0 <= share <= 1:
            raise ValueError(f"share={share} is not between 0 and 1")
        if share < self.share:
            self.share, self.message = share, message


def _plain(value: Any) -> Any:
    """A JSON value: tensors as numbers and lists, NaN and infinity as None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, bool | int | None) else clean(str(value))


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    id: str  # task and test, "2.1-values": the same in the notebook's visible checks and in here
    task: str
    title: str  # the property that is checked, one sentence
    points: float  # what it is worth
    earned: float | None  # None while a person has to decide
    reason: Reason | None = None  # None when all points were earned
    message: str = ""  # the fact, in the student's words
    hint: str = ""  # the question
    concept: str = ""  # where to read
    # measured values to show, name -> number or text
    facts: Mapping[str, Any] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    retrain: bool = False  # whether it exists under `--retrain` only
    # of a wrong answer, position -> record of each result that is not ours
    # (`kws.course.compare.Record`): equal if two students made the same mistake
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    measured: tuple[int, int] | None = None  # how many of how many hidden examples were right
    # the student's own code for the task, where no question is known for its mistake
    code: str = ""

    @property
    def passed(self) -> bool:
        return self.earned == self.points


@dataclass(frozen=True, kw_only=True)
class Report:
    """The result of one submission of one assignment, without times and paths."""

    student: str  # id as the gradebook has it; "" when graded by hand
    assignment: str  # "02"
    title: str  # "Attention"
    digest: str  # SHA-256 of the submitted bytes
    checks_digest: str  # of the grader's own sources for this assignment
    seed_id: str  # which secret seed the hidden data came from (a hash of it, never the seed)
    tier: str  # of isolation
    weaknesses: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()  # what was wrong with the file and mended, in words
    checks: tuple[CheckResult, ...] = ()

    @property
    def score(self) -> float:
        return sum(check.earned or 0.0 for check in self.checks)

    @property
    def open_points(self) -> float:
        """Points that wait for a person: neither earned nor lost."""
        return sum(check.points for check in self.checks if check.earned is None)

    @property
    def settled(self) -> float:
        return self.max_score - self.open_points

    @property
    def max_score(self) -> float:
        return sum(check.points for check in self.checks)

    @property
    def retrain_points(self) -> float:
        return sum(check.points for check in self.checks if check.retrain)

    @property
    def verdict(self) -> Verdict:
        """PERSON if points are open (marks or a grader fault); repairs are reported."""
        waiting = [check for check in self.checks if check.earned is None]
        if waiting:
            unmarked = all(check.reason is Reason.UNMARKED for check in waiting)
            return Verdict.UNMARKED if unmarked else Verdict.PERSON
        return Verdict.REPAIRED if self.repairs else Verdict.GRADED

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Report":
        table = json.loads(text)
        checks = []
        for row in table.pop("checks"):
            figures = tuple(Figure(**figure) for figure in row.pop("figures"))
            reason = Reason(row.pop("reason")) if row["reason"] else row.pop("reason")
            measured = tuple(row.pop("measured", None) or ()) or None
            checks.append(CheckResult(**row, reason=reason, figures=figures, measured=measured))
        weaknesses, repairs = tuple(table.pop("weaknesses")), tuple(table.pop("repairs"))
        return cls(**table, weaknesses=weaknesses, repairs=repairs, checks=tuple(checks))

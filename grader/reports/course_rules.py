"""The rules of a term, `course.toml`: deadlines, late penalties, points, weights, groups.

`course_template.toml` beside this file has every key with a comment. Grading ignores these rules: a
report has the raw points, the tables for staff the result of the rules.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from grader.adapters import ASSIGNMENTS
from grader.core.outcomes import Report
from grader.core.tables import parse_toml
from kws.errors import UsageError, did_you_mean
from kws.settings import FINITE, Fraction, NonNegative, NonNegativeInt, convert, from_table

TEMPLATE = Path(__file__).with_name("course_template.toml")
DATE = "a date and time with its offset from UTC, 2026-03-01T23:59:00+01:00"
Deadline = Annotated[datetime, Meta(tz=True, description=DATE)]
Steps = Annotated[
    tuple[tuple[NonNegative, Fraction], ...],
    Meta(description="pairs of hours and share, [[6, 0.1], [48, 0.5]]"),
]
Names = Annotated[tuple[str, ...], Meta(description='a list such as ["ada", "bob"] or ["01"]')]
Points = Annotated[float, Meta(gt=0, le=FINITE, description="a number above 0")]


@dataclass(frozen=True, kw_only=True)
class Late:
    grace_minutes: NonNegative = 0.0
    per_day: Fraction = 0.0  # for each day that has begun
    steps: Steps = ()  # later than so many hours -> share; in place of `per_day`
    at_most: Fraction = 1.0

    def __post_init__(self) -> None:
        if self.per_day and self.steps:
            raise UsageError("late.per_day and late.steps exclude each other: remove one")

    def share(self, span: timedelta) -> float:
        """The share of the points that a submission loses, `span` after its deadline."""
        span -= timedelta(minutes=self.grace_minutes)
        if span <= timedelta(0):
            return 0.0
        days = math.ceil(span / timedelta(days=1))
        reached = [share for hours, share in sorted(self.steps) if span > timedelta(hours=hours)]
        return min(self.at_most, reached[-1] if reached else self.per_day * days)


@dataclass(frozen=True, kw_only=True)
class AssignmentRules:
    deadline: Deadline | None = None
    points: Points | None = None  # what all points of the notebook are worth; None for themselves
    weight: NonNegative = 1.0


@dataclass(frozen=True, kw_only=True)
class Integrity:
    similar: Fraction = 0.0  # pairs whose similarity is at least this get one


@dataclass(frozen=True, kw_only=True)
class Board:
    entries: Annotated[int, Meta(ge=1, description="a whole number from 1")] = 5
    names: Mapping[str, str] = field(default_factory=dict)  # student -> name of their choice


@dataclass(frozen=True, kw_only=True)
class CourseRules:
    attempts: Literal["last", "best"] = "last"
    drop_lowest: NonNegativeInt = 0
    late: Late = field(default_factory=Late)
    integrity: Integrity = field(default_factory=Integrity)
    leaderboard: Board = field(default_factory=Board)
    assignments: Mapping[str, AssignmentRules] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    excused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # student -> assignments
    # student or group -> assignment -> deadline
    extensions: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)

    def deadline(self, student: str, number: str) -> datetime | None:
        """The latest of the deadline and the extensions of a student and its group."""
        own = [self.extensions.get(name, {}).get(number) for name in self._names(student)]
        dates = [date for date in own if date is not None]
        rule = self.assignments.get(number, AssignmentRules())
        return max(dates) if dates else rule.deadline

    def _names(self, student: str) -> list[str]:
        return [student, *(name for name, people in self.groups.items() if student in people)]

    def strangers(self, students: Iterable[str]) -> list[str]:
        """Who is named by the rules, and is not one of `students`; sorted."""
        named = {student for people in self.groups.values() for student in people}
        named |= {name for name, dates in self.extensions.items() if dates}
        return sorted({*named, *self.excused, *self.leaderboard.names} - {*self.groups, *students})

    def grade(self, report: Report, when: datetime | None) -> "Grade":
        """The grade of a report submitted at `when`."""
        rule = self.assignments.get(report.assignment, AssignmentRules())
        scale = rule.points / report.max_score if rule.points and report.max_score else 1.0
        grade = Grade.of(report)
        grade = replace(grade, raw=grade.raw * scale, most=grade.most * scale)
        deadline = self.deadline(report.student, report.assignment)
        if deadline is None or when is None or when <= deadline:
            return grade
        share = self.late.share(when - deadline)
        loss = f"−{100 * share:.3g} %" if share else "no penalty"
        why = f"{format_span(when - deadline)} late: {loss}"
        return replace(grade, penalty=share * grade.raw, why=why)

    def total(
        self, grades: Mapping[str, "Grade"], numbers: Iterable[str]
    ) -> tuple[float, list[str]]:
        """Weighted share of all points over `numbers`, and the dropped assignments.

        What was not handed in counts 0, unless `numbers` leaves it out. Dropped are those of the
        smallest share, the first of equals; the remaining weights are rescaled.
        """
        shares = {number: grades[number].share if number in grades else 0.0 for number in numbers}
        dropped = sorted(shares, key=lambda number: (shares[number], number))[: self.drop_lowest]
        dropped = dropped if len(dropped) < len(shares) else []
        weights = {
            number: self.assignments.get(number, AssignmentRules()).weight
            for number in shares
            if number not in dropped
        }
        whole = sum(weights.values())
        share = sum(shares[n] * weight for n, weight in weights.items()) / whole if whole else 0.0
        return share, sorted(dropped)


@dataclass(frozen=True, kw_only=True)
class Grade:
    title: str
    raw: float
    most: float
    is_open: bool  # some points need a person
    penalty: float = 0.0
    why: str = ""

    @classmethod
    def of(cls, report: Report) -> "Grade":
        most, is_open = report.max_score, bool(report.open_points)
        return cls(title=report.title, raw=report.score, most=most, is_open=is_open)

    @property
    def final(self) -> float:
        """Points, at most `most`, rounded to the hundredth."""
        return round(self.raw - self.penalty, 2)

    @property
    def share(self) -> float:
        return self.final / self.most if self.most else 0.0


def format_span(span: timedelta) -> str:
    """
    >>> format_span(timedelta(minutes=5, seconds=1)), format_span(timedelta(hours=26))
    ('6 min', '1 d 2 h')
    """
    minutes = -(-span // timedelta(minutes=1))
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else ""]
    parts.append(f"{minutes} min" if minutes and not days else "")
    return " ".join(part for part in parts if part)


def read_rules(path: Path) -> CourseRules:
    """Read the rules of a course; UsageError names file and key."""
    try:
        table = parse_toml(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}): name the course.toml") from None
    where, named = str(path), {}
    for section in ("assignments", "groups", "excused", "extensions"):
        named[section] = table.pop(section, {})
        if not isinstance(named[section], dict):
            raise UsageError(f"{where}: {section} is a section: write [{section}] above its keys")
    assignments = {
        _number(number, where, "assignments"): from_table(
            AssignmentRules,
            _table(row, where, f"assignments.{number}"),
            f"{where}: assignments.{number}",
        )
        for number, row in named["assignments"].items()
    }
    groups, excused = (
        {name: convert(Names, x, where, f"{key}.{name}") for name, x in named[key].items()}
        for key in ("groups", "excused")
    )
    for name, numbers in excused.items():
        for number in numbers:
            _number(number, where, f"excused.{name}")
    everybody = [student for people in groups.values() for student in people]
    twice = sorted({student for student in everybody if everybody.count(student) > 1})
    if twice:
        raise UsageError(f"{where}: {twice[0]} is in two groups: remove one")
    extensions = {
        name: {
            _number(number, where, f"extensions.{name}"): convert(
                Deadline, date, where, f"extensions.{name}.{number}"
            )
            for number, date in _table(row, where, f"extensions.{name}").items()
        }
        for name, row in named["extensions"].items()
    }
    rules = from_table(CourseRules, table, where)
    rules = replace(rules, assignments=assignments, groups=groups)
    return replace(rules, excused=excused, extensions=extensions)


def _number(number: str, where: str, section: str) -> str:
    if number not in ASSIGNMENTS:
        near = did_you_mean(number, ASSIGNMENTS) or f": there are {', '.join(ASSIGNMENTS)}"
        raise UsageError(f"{where}: {section}.{number} is not an assignment{near}")
    return number


def _table(row: Any, where: str, key: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise UsageError(f"{where}: {key} is a table: write it as {{ key = value }}")
    return row

"""Written answers: question, answer, mark, and the check that a report shows.

Until a person marks them they are open checks: neither earned nor lost. Marks are stored beside the
reports, so grading again keeps them; an answer changed after it was marked is open again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from grader.core.outcomes import CheckResult, Reason, Report


@dataclass(frozen=True, kw_only=True)
class WrittenQuestion:
    id: str  # assignment and letter, "3.A"
    title: str
    points: float
    prompt: str  # the text of its cell, heading included, in Markdown
    answer: str  # ours, and what earns points; for the staff
    # sources of the notebook's cells: other cells after the question are the student's
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class WrittenAnswer:
    text: str = ""  # Markdown
    # "data:" addresses of PNG, JPEG, GIF or WebP, in the order of the cells
    images: tuple[str, ...] = ()
    found: bool = True  # whether the notebook has a cell for it at all
    notes: tuple[str, ...] = ()  # what was left out, in words

    @property
    def blank(self) -> bool:
        return not self.text and not self.images and not self.notes

    @cached_property
    def digest(self) -> str:
        both = "\0".join([self.text, *self.images])
        return hashlib.sha256(both.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "images": list(self.images),
            "found": self.found,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> "WrittenAnswer":
        return cls(
            text=str(table["text"]),
            images=tuple(map(str, table["images"])),
            found=bool(table["found"]),
            notes=tuple(map(str, table["notes"])),
        )


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A mark for one answer; `digest` is that of the answer, "" for any answer."""

    points: float
    comment: str = ""
    digest: str = ""


def with_written(
    report: Report,
    questions: Sequence[WrittenQuestion],
    answers: Mapping[str, WrittenAnswer],
    marks: Mapping[str, Mark],
) -> Report:
    """The report with a check per question; a missing answer counts as not read."""
    written = [_marked(each, answers.get(each.id), marks.get(each.id)) for each in questions]
    return replace(report, checks=(*report.checks, *written))


def _marked(
    question: WrittenQuestion, answer: WrittenAnswer | None, mark: Mark | None
) -> CheckResult:
    earned, reason = None, Reason.UNMARKED
    message = "a person reads this: it is not marked yet"
    if mark is not None and (answer is None or mark.digest in ("", answer.digest)):
        earned, message = mark.points, mark.comment
        reason = None if earned == question.points else Reason.PARTIAL if earned else Reason.WRONG
    elif mark is not None:
        message = "changed after it was marked: a person reads it again"
    elif answer is not None and not answer.found:
        message = "no cell of this question was found: a person will search for it"
    elif answer is not None and answer.blank:
        earned, reason, message = 0.0, Reason.NOT_STARTED, "nothing is written here"
    return CheckResult(
        id=f"{question.id}-written",
        task=question.id,
        title=question.title,
        points=question.points,
        earned=earned,
        reason=reason,
        message=message,
    )

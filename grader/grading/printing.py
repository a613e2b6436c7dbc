"""Terminal output of `pytest grader/`: a line per check, and a score card at the end."""

import traceback
from collections.abc import Sequence
from typing import Any

from grader.adapters import ASSIGNMENTS
from grader.core.outcomes import CheckResult, Reason, Report
from grader.grading.checks import Check
from grader.reports.scorecard import check_lines, closing_lines, fact_lines


class Printer:
    """Replaces pytest's terminal reporter: no dots, frames or expected values."""

    def __init__(self, writer: Any, *, staff: bool = False):
        self._writer, self._staff = writer, staff
        self._heading = ""

    def show_collection_error(self, error: str) -> None:
        self._writer.line("The checks themselves do not load:", red=True)
        self._writer.line(error)

    def show(self, check: Check, result: CheckResult, error: BaseException | None) -> None:
        assignment = ASSIGNMENTS[check.assignment]
        task = assignment.task(check.task)
        heading = f"{assignment.number} {assignment.title}: {task.id} {task.title}"
        if heading != self._heading:
            self._writer.line(("\n" if self._heading else "") + heading, bold=True)
            self._heading = heading
        color = "green" if result.passed else "red" if result.earned == 0 else "yellow"
        first, *below = check_lines(result)
        self._writer.line(first, **{color: True})
        for line in [*below, *fact_lines(result)]:
            self._writer.line(line)
        if self._staff and result.reason is Reason.INFRASTRUCTURE and error is not None:
            self._writer.line("".join(traceback.format_exception(error)))

    def close(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self._writer.line("")
            for line in closing_lines(report):
                self._writer.line(line)

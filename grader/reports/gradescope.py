"""`results.json` as Gradescope reads it.

Source: Gradescope autograder specifications, "Output format"
(https://gradescope-autograders.readthedocs.io/en/latest/specs/).

A check with open points has no score and no status: it is neither passed nor failed.
"""

import json
from collections.abc import Sequence
from typing import Any

from grader.core.outcomes import CheckResult, Report, Verdict
from grader.reports.scorecard import closing_lines, points, public_facts


def results(reports: Sequence[Report]) -> bytes:
    tests = []
    for report in reports:
        for at, check in enumerate(report.checks, start=1):
            tests.append(_test(report, check, at))
    return _json(
        {
            "score": round(sum(report.score for report in reports), 2),
            "output": "\n\n".join("\n".join(closing_lines(report)) for report in reports),
            "output_format": "text",
            "test_output_format": "text",
            "test_name_format": "text",
            "visibility": "visible",
            "stdout_visibility": "hidden",
            "extra_data": {
                "verdict": _verdict(reports),
                "reports": [json.loads(report.to_json()) for report in reports],
            },
            "tests": tests,
        }
    )


def crash(why: str) -> bytes:
    """The results.json of a run that graded nothing: no tests, no points, the reason."""
    return _json(
        {
            "score": 0,
            "output": why,
            "output_format": "text",
            "visibility": "visible",
            "stdout_visibility": "hidden",
            "extra_data": {"verdict": Verdict.PERSON.value, "reports": []},
            "tests": [],
        }
    )


def _test(report: Report, check: CheckResult, at: int) -> dict[str, Any]:
    lines = [check.message] if check.message else []
    lines += [f"hint: {check.hint}"] if check.hint else []
    lines += [f"read: {check.concept}"] if check.concept and not check.passed else []
    lines += [f"{name}: {value}" for name, value in public_facts(check).items()]
    graded = {"score": check.earned, "status": "passed" if check.passed else "failed"}
    return {
        **(graded if check.earned is not None else {}),
        "max_score": check.points,
        "name": f"{check.id}: {check.title}",
        "name_format": "text",
        "number": f"{report.assignment}.{at}",
        "output": "\n".join(lines) or f"{points(check.earned)} of {points(check.points)} points",
        "output_format": "text",
        "tags": [f"task {check.task}", *([check.reason.value] if check.reason else [])],
        "visibility": "visible",
        "extra_data": {"assignment": report.assignment, "check": check.id},
    }


def _verdict(reports: Sequence[Report]) -> str:
    worst = [Verdict.PERSON, Verdict.UNMARKED, Verdict.REPAIRED, Verdict.GRADED]
    found = {report.verdict for report in reports}
    return next((one.value for one in worst if one in found), Verdict.PERSON.value)


def _json(table: dict[str, Any]) -> bytes:
    return (json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(
        "utf-8", "replace"
    )

"""Reports as they come out of a run: right, wrong, partial, open, and hostile in every text."""

from dataclasses import replace

import pytest

from grader.core.outcomes import Figure, Reason, Report
from tests.grader.batch.made_up import check

CONFUSION = Figure(
    kind="confusion",
    title="Which word was heard as which",
    data={"labels": ["yes", "no", "<b>up</b>"], "counts": [[8, 1, 0], [2, 7, 0], [0, 0, 9]]},
)
POINTS = {"x": [0, 100, 200, 300], "y": [2.3, 1.1, None, 0.4]}
LABELS = {"x_label": "optimizer step", "y_label": "cross-entropy (nats)"}
CURVE = Figure(kind="curve", title="Training", data=POINTS | LABELS)


OFF = {
    "message": "attend(q, k, v) is off by up to 0.883",
    "hint": "are the scores divided by sqrt(K)?",
    "concept": "section 2.1",
}
SOME = {
    "reason": Reason.PARTIAL,
    "message": "72.0 % of hidden clips are right",
    "facts": {"accuracy": 0.72, "staff: fault": "KeyError"},
}


ABOUT = {"student": "s-17", "assignment": "02", "title": "Attention", "seed_id": "5eed5eed"}
ABOUT |= {"digest": "a" * 64, "checks_digest": "c" * 64, "tier": "fenced"}


@pytest.fixture
def report() -> Report:
    return Report(
        **ABOUT,
        weaknesses=("no namespaces: other processes are visible",),
        repairs=("cell 3 had Windows newlines",),
        checks=(
            check("2.1-shape", 1, 1.0),
            check("2.1-values", 3, 0.0, **OFF),
            check("2.2-heads", 2, 0.0, "not run: 2.1-values comes first", reason=Reason.NOT_RUN),
            check("2.3-accuracy", 4, 2.5, **SOME, figures=(CONFUSION, CURVE)),
        ),
    )


@pytest.fixture
def open_report(report) -> Report:
    """One whose first check has to be looked at."""
    broken = check("2.1-shape", 1, None, "the grader stumbled", reason=Reason.INFRASTRUCTURE)
    return replace(report, student="s-18", checks=(broken, *report.checks[1:]))


@pytest.fixture
def full_report(report) -> Report:
    checks = tuple(check(one.id, one.points, one.points) for one in report.checks)
    return replace(report, student="s-19", checks=checks, repairs=())


def saying(report: Report, text: str) -> Report:
    """The report with this as every text that a student can choose."""
    checks = tuple(
        replace(one, title=text, message=text, hint=text, facts={text: text})
        for one in report.checks
    )
    return replace(report, student=text, repairs=(text,), checks=checks)


@pytest.fixture
def hostile_report(report) -> Report:
    """Every text that a student can choose tries to be something else."""
    evil = '</p><script>alert("x")</script>"\'&]]>=1+1'
    return replace(saying(report, evil), student=f"=1+1{evil}")


@pytest.fixture
def broken_report(report) -> Report:
    """Every text that a student can choose holds what acts on a terminal, or is not a text."""
    return saying(report, "a\x1b[2J\x9b\r\nb\ufffe\uffff\udcff\x00\u2028c")

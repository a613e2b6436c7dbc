"""A report as text comes back as the same report."""

from dataclasses import replace

from grader.core.outcomes import Figure, Reason, Report, Stopped, Verdict
from tests.grader.batch.made_up import check, report_of


def a_report(*earned: float | None) -> Report:
    figure = Figure(kind="curve", title="t", data={"x": [1], "y": [None]})
    more = {"message": "ünï", "facts": {"n": 3}, "figures": (figure,)}
    checks = (replace(check(f"2.1-{i}", 2, one), **more) for i, one in enumerate(earned))
    return report_of(*checks, weaknesses=("w",), repairs=("r",))


def test_a_report_survives_being_text_and_its_points_add_up():
    report = a_report(2, 0.5, None)
    assert Report.from_json(report.to_json()) == report
    assert report.to_json() == Report.from_json(report.to_json()).to_json()
    assert (report.score, report.max_score) == (2.5, 6)
    assert [check.passed for check in report.checks] == [True, False, False]
    assert a_report(2, None).verdict is Verdict.PERSON
    assert a_report(2, 0).verdict is Verdict.REPAIRED
    assert str(Stopped(Reason.TIMEOUT, "it took too long", "a loop?")) == "it took too long"

"""JUnit XML: a suite for each assignment of each student, a case for each check.

Points are properties, for JUnit knows only whether a case passed. A check that earned part of its
points is a failure; one that did not run is skipped; one with open points is an error, ours.
"""

from collections.abc import Sequence
from xml.etree import ElementTree

from grader.core.outcomes import CheckResult, Reason, Report
from grader.core.text import printable
from grader.reports.scorecard import points, public_facts


def suites(reports: Sequence[Report]) -> bytes:
    """The reports as one XML file."""
    root = ElementTree.Element("testsuites", name="kws grader")
    for report in reports:
        _suite(root, report)
    for element in root.iter():
        element.text = element.text and printable(element.text)
        element.attrib.update({name: printable(value) for name, value in element.items()})
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _suite(root: ElementTree.Element, report: Report) -> None:
    kinds = [_kind(check) for check in report.checks]
    name = f"{report.student} {report.assignment} {report.title}".strip()
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(kinds)),
        failures=str(kinds.count("failure")),
        errors=str(kinds.count("error")),
        skipped=str(kinds.count("skipped")),
    )
    table = {
        "student": report.student,
        "score": points(report.score),
        "max_score": points(report.max_score),
        "verdict": report.verdict.value,
        "isolation": report.tier,
    }
    _properties(suite, table)
    for check, kind in zip(report.checks, kinds, strict=True):
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{report.assignment}.{check.task}", name=check.id
        )
        table = {"points": points(check.earned), "max_points": points(check.points)}
        _properties(case, {**table, **public_facts(check)})
        if kind:
            told = ElementTree.SubElement(case, kind, message=check.message)
            if check.reason and kind != "skipped":
                told.set("type", check.reason.value)
            told.text = f"hint: {check.hint}" if check.hint else None


def _kind(check: CheckResult) -> str:
    if check.earned is None:
        return "error"
    if check.reason is Reason.NOT_RUN:
        return "skipped"
    return "" if check.passed else "failure"


def _properties(element: ElementTree.Element, table: dict) -> None:
    properties = ElementTree.SubElement(element, "properties")
    for name, value in table.items():
        ElementTree.SubElement(properties, "property", name=name, value=str(value))

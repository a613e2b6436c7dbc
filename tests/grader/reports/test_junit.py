"""JUnit: well-formed, counted, and with the points in it."""

from xml.etree import ElementTree

from grader.reports import junit


def suite(report):
    root = ElementTree.fromstring(junit.suites([report]))
    return root[0]


def test_a_case_a_check(report):
    assert [case.get("name") for case in suite(report).iter("testcase")] == [
        check.id for check in report.checks
    ]


def test_counts_are_those_of_the_cases(report, open_report):
    attributes = suite(report).attrib
    assert (attributes["tests"], attributes["failures"], attributes["skipped"]) == ("4", "2", "1")
    assert suite(open_report).get("errors") == "1"


def test_a_failure_tells_fact_reason_and_hint(report):
    failure = next(suite(report).iter("failure"))
    assert failure.get("message") == "attend(q, k, v) is off by up to 0.883"
    assert failure.get("type") == "wrong"
    assert failure.text == "hint: are the scores divided by sqrt(K)?"


def test_points_are_properties(report):
    case = list(suite(report).iter("testcase"))[3]
    table = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert (table["points"], table["max_points"], table["accuracy"]) == ("2.5", "4", "0.72")
    assert "staff: fault" not in table


def test_hostile_text_stays_text(hostile_report):
    assert suite(hostile_report).get("name", "").startswith("=1+1</p><script>")


def test_the_same_report_gives_the_same_bytes(report):
    assert junit.suites([report]) == junit.suites([report])


def test_text_that_is_no_xml_leaves_the_file_well_formed(broken_report):
    data = junit.suites([broken_report])
    assert suite(broken_report).get("name", "").startswith("a")
    assert "\x9b" not in data.decode()

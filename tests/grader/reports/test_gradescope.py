"""results.json: what Gradescope reads, and nothing that it does not know."""

import json

import pytest

from grader.reports import gradescope

TOP = {
    "score",
    "execution_time",
    "output",
    "output_format",
    "test_output_format",
    "test_name_format",
    "visibility",
    "stdout_visibility",
    "extra_data",
    "tests",
    "leaderboard",
}
TEST = {
    "score",
    "max_score",
    "status",
    "name",
    "name_format",
    "number",
    "output",
    "output_format",
    "tags",
    "visibility",
    "extra_data",
}
VISIBILITY = {"hidden", "after_due_date", "after_published", "visible"}


def table(*reports) -> dict:
    return json.loads(gradescope.results(reports))


def test_only_keys_that_gradescope_knows(report, open_report):
    for made in (table(report, open_report), json.loads(gradescope.crash("why"))):
        assert made.keys() <= TOP
        assert {made["visibility"], made["stdout_visibility"]} <= VISIBILITY
        assert all(test.keys() <= TEST for test in made["tests"])
        assert all(test.get("status", "passed") in ("passed", "failed") for test in made["tests"])
        assert all(test["visibility"] in VISIBILITY for test in made["tests"])


def test_the_score_is_what_was_earned(report):
    made = table(report)
    assert made["score"] == 3.5
    assert [test["score"] for test in made["tests"]] == [1.0, 0.0, 0.0, 2.5]
    assert [test["max_score"] for test in made["tests"]] == [1, 3, 2, 4]


def test_only_a_check_with_all_points_passed(report):
    assert [t["status"] for t in table(report)["tests"]] == ["passed", "failed", "failed", "failed"]


def test_open_points_are_neither_passed_nor_failed(open_report):
    first = table(open_report)["tests"][0]
    assert "score" not in first
    assert "status" not in first
    assert table(open_report)["extra_data"]["verdict"] == "needs a person"


def test_a_test_tells_fact_hint_and_where_to_read(report):
    output = table(report)["tests"][1]["output"]
    assert output == (
        "attend(q, k, v) is off by up to 0.883\n"
        "hint: are the scores divided by sqrt(K)?\n"
        "read: section 2.1"
    )


def test_facts_for_the_staff_are_not_in_what_students_see(report):
    made = table(report)
    assert "accuracy: 0.72" in made["tests"][3]["output"]
    assert "KeyError" not in made["output"] + "".join(test["output"] for test in made["tests"])


def test_the_output_names_tier_and_repairs(report):
    output = table(report)["output"]
    assert "isolation: fenced" in output
    assert "repaired: cell 3 had Windows newlines" in output


def test_two_assignments_add_up(report, full_report):
    made = table(report, full_report)
    assert made["score"] == 13.5
    assert len(made["tests"]) == 8


def test_a_crash_is_a_result_too():
    made = json.loads(gradescope.crash("no notebook was found"))
    assert (made["score"], made["tests"], made["output"]) == (0, [], "no notebook was found")


def test_the_same_report_gives_the_same_bytes(report):
    assert gradescope.results([report]) == gradescope.results([report])


@pytest.mark.parametrize("evil", ["\ud800", "\x00", "\x1b[2J"])
def test_no_text_breaks_the_file(report, evil):
    from dataclasses import replace

    from grader.core.text import clean

    checks = (replace(report.checks[0], message=clean(f"a{evil}b")),)
    made = table(replace(report, checks=checks))
    assert made["tests"][0]["output"].startswith("ab")


def test_broken_text_leaves_a_result(broken_report):
    assert json.loads(gradescope.results([broken_report]))["tests"]

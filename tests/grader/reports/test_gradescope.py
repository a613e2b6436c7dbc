"""results.json: what Gradescope reads, and nothing that it does not know."""

import json
from dataclasses import replace

import pytest

from grader.core.text import clean
from grader.reports import gradescope

TOP = {"score", "execution_time", "output", "output_format", "test_output_format", "tests"}
TOP |= {"test_name_format", "visibility", "stdout_visibility", "extra_data", "leaderboard"}
TEST = {"score", "max_score", "status", "name", "name_format", "number", "output"}
TEST |= {"output_format", "tags", "visibility", "extra_data"}
VISIBILITY = {"hidden", "after_due_date", "after_published", "visible"}


def table(*reports) -> dict:
    return json.loads(gradescope.results(reports))


def test_only_keys_that_gradescope_knows_are_written_and_a_crash_is_a_result_too(
    report, open_report
):
    for made in (table(report, open_report), json.loads(gradescope.crash("why"))):
        assert made.keys() <= TOP
        assert {made["visibility"], made["stdout_visibility"]} <= VISIBILITY
        assert all(test.keys() <= TEST for test in made["tests"])
        assert all(test.get("status", "passed") in ("passed", "failed") for test in made["tests"])
        assert all(test["visibility"] in VISIBILITY for test in made["tests"])
    made = json.loads(gradescope.crash("no notebook was found"))
    assert (made["score"], made["tests"], made["output"]) == (0, [], "no notebook was found")


def test_scores_are_what_was_earned_only_all_points_pass_and_open_ones_neither_pass_nor_fail(
    report, full_report, open_report
):
    made = table(report)
    assert made["score"] == 3.5
    assert [test["score"] for test in made["tests"]] == [1.0, 0.0, 0.0, 2.5]
    assert [test["max_score"] for test in made["tests"]] == [1, 3, 2, 4]
    assert [test["status"] for test in made["tests"]] == ["passed", "failed", "failed", "failed"]
    both = table(report, full_report)
    assert (both["score"], len(both["tests"])) == (13.5, 8)
    assert gradescope.results([report]) == gradescope.results([report])
    first = table(open_report)["tests"][0]
    assert "score" not in first
    assert "status" not in first
    assert table(open_report)["extra_data"]["verdict"] == "needs a person"


def test_a_test_has_fact_hint_and_where_to_read_and_nothing_for_the_staff(report):
    made = table(report)
    assert made["tests"][1]["output"] == (
        "attend(q, k, v) is off by up to 0.883\n"
        "hint: are the scores divided by sqrt(K)?\n"
        "read: section 2.1"
    )
    assert "accuracy: 0.72" in made["tests"][3]["output"]
    assert "KeyError" not in made["output"] + "".join(test["output"] for test in made["tests"])
    assert "isolation: fenced" in made["output"]
    assert "repaired: cell 3 had Windows newlines" in made["output"]


@pytest.mark.parametrize("evil", ["\ud800", "\x00", "\x1b[2J"])
def test_no_text_breaks_the_file(report, broken_report, evil):
    checks = (replace(report.checks[0], message=clean(f"a{evil}b")),)
    made = table(replace(report, checks=checks))
    assert made["tests"][0]["output"].startswith("ab")
    assert table(broken_report)["tests"]

"""Tables of a class and for Gradescope: points in the right cell, and no formula in any."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from grader.core.text import clean
from grader.reports import gradescope
from grader.reports.course_rules import CourseRules, Grade
from grader.reports.gradebook import canvas, cell, gradebook, totals


def rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode())))


def graded(*reports):
    return {(report.student, report.assignment): Grade.of(report) for report in reports}


def test_a_line_a_report_a_column_a_check_and_open_points_are_empty_cells(
    report, full_report, open_report
):
    head, first, second = rows(gradebook([full_report, report]))
    assert head[9:] == ["02 2.1-shape", "02 2.1-values", "02 2.2-heads", "02 2.3-accuracy"]
    assert (first[0], first[2:7]) == ("s-17", ["3.5", "3.5", "0", "10", "graded with repairs"])
    assert first[9:] == ["1", "0", "0", "2.5"]
    assert second[9:] == ["1", "3", "2", "4"]
    _, line = rows(gradebook([open_report]))
    assert (line[2], float(line[4])) == ("", open_report.open_points)
    assert line[9:11] == ["", "0"]
    assert rows(canvas(graded(open_report)))[-1][-1] == ""
    other = replace(report, assignment="03", checks=report.checks[:1])
    head, first, second = rows(gradebook([report, other]))
    assert head[-1] == "03 2.1-shape"
    assert first[-1] == ""
    assert second[9:] == ["", "", "", "", "1"]


def test_open_points_leave_the_cells_of_totals_empty(report):
    grades = {("ada", "02"): replace(Grade.of(report), is_open=True)}
    row = totals(CourseRules(), grades, ["02"], {}).decode().splitlines()[1]
    assert row == '"ada","","","",""'


def test_canvas_has_points_possible_and_order_and_bytes_do_not_depend_on_the_order_given(
    report, full_report, open_report
):
    late = {("s-17", "02"): replace(Grade.of(report), penalty=1)}
    head, possible, first, second = rows(canvas({**late, **graded(full_report)}))
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "02 Attention"]
    assert (possible[0].strip(), possible[-1]) == ("Points Possible", "10")
    assert (first[0], first[3], first[-1]) == ("s-17", "s-17", "2.5")
    assert second[-1] == "10"
    given = [report, full_report, open_report]
    assert gradebook(given) == gradebook(given[::-1])
    assert canvas(graded(*given)) == canvas(graded(*given[::-1]))
    assert [len(rows(table)) for table in (gradebook([]), canvas({}))] == [1, 2]


@pytest.mark.parametrize("word", ["=1", " +1", "x;=1+1;", "a,-2", "b| @sum", "\uff1d1", "\u200b=1"])
def test_no_formula_begins_anywhere_in_a_cell(word):
    assert not re.search(r"(^|[;,|])\s*[=+\-@\uff1d]", cell(word))
    assert not cell(word).lstrip("\u200b").startswith("=")
    assert cell(word).replace("'", "") == word


@pytest.mark.parametrize("word", ["=1", "\t=1", "\n=1", " =1", "\x00=1", "\r\n@a", "+1"])
def test_a_formula_is_none_however_it_is_wrapped(word):
    assert (cell(word)[0], cell(f"a{word}")[0]) == ("'", "a")


def test_no_cell_begins_as_a_formula_leaves_its_line_or_holds_what_a_terminal_obeys(
    hostile_report, broken_report
):
    for data in (gradebook([hostile_report]), canvas(graded(hostile_report))):
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows(data) for cell in row)
    evil = broken_report.student
    book = gradebook(
        [broken_report],
        remarks={(evil, "02"): (evil,)},
        missing={f"{evil}1": evil},
        names={evil: evil},
        unread={f"{evil}2": evil},
    )
    for data, lines in ((book, 4), (canvas(graded(broken_report)), 3)):
        text = data.decode()
        assert text.splitlines() == text[:-1].split("\n")
        assert len(text.splitlines()) == lines
        assert text.replace("\n", "").isprintable()


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

"""The folder of a batch: what may be kept, what is made of reports, one run at a time."""

import csv
from dataclasses import replace

import pytest

from grader.batch.output import Store
from grader.core.outcomes import Figure
from kws.errors import UsageError


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "out")


def test_a_report_comes_back_as_it_was_written_with_what_it_was_graded_from(
    store, report, open_report
):
    assert store.keep(report.to_json()) == report
    assert store.reports() == [report]
    assert store.report_path("alice", "02").read_text() == report.to_json()
    assert store.current("alice") == {"02": ["d1", "c1", "development", "sealed"]}
    store.keep(open_report.to_json())
    assert store.current("bob") == {}  # open points are graded again


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"student": 3}', "null"])
def test_a_damaged_report_and_one_in_another_students_place_count_as_none(store, report, damage):
    store.keep(report.to_json())
    store.report_path("alice", "02").write_text(damage)
    path = store.report_path("bob", "02")
    path.parent.mkdir(parents=True)
    path.write_text(report.to_json())
    assert store.reports() == []
    assert store.current("alice") == {}


def test_the_same_reports_make_the_same_bytes_and_touch_nothing(store, report, open_report):
    for one in (report, open_report):
        store.keep(one.to_json())
    remarks = {("alice", "02"): ("late",)}
    store.finish(remarks, {"carol": "C"})
    files = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in store.out.rglob("*.*")}
    tables = {"gradebook.csv", "canvas.csv", "class.html"}
    assert {p.name for p in files} >= {"alice.html", "bob.html"} | tables
    store.finish(remarks, {"carol": "C"})
    for path, (data, _) in files.items():
        assert path.read_bytes() == data
    page = store.out / "pages" / "alice.html"
    assert page.stat().st_mtime_ns == files[page][1]


def test_remarks_missing_and_names_are_in_the_gradebook(store, report):
    store.keep(report.to_json())
    store.finish({("alice", "02"): ("late", "twice")}, {"carol": "Carol C"}, {"alice": "Alice A"})
    _, alice, carol = csv.reader((store.out / "gradebook.csv").read_text().splitlines())
    assert alice[-2:] == ["Alice A", "late; twice"]
    assert carol[:3] == ["carol", "", ""]
    assert carol[-2:] == ["Carol C", "handed in nothing"]
    assert store.remarks() == {("alice", "02"): ("late", "twice")}
    assert "alice</a> Alice A</th>" in (store.out / "class.html").read_text()


def test_the_rules_of_the_course_are_in_the_gradebook_and_make_totals(store, report, tmp_path):
    path = tmp_path / "course.toml"
    path.write_text(
        "late.per_day = 0.1\n[assignments.02]\ndeadline = 2026-03-01T00:00:00Z\npoints = 100\n"
    )
    store.keep(report.to_json())
    store.keep_rules(path)
    store.finish(when={"alice": {"02": "2026-03-02T12:00:00+00:00"}}, missing={"carol": "Carol C"})
    head, alice, _ = csv.reader((store.out / "gradebook.csv").read_text().splitlines())
    row = dict(zip(head, alice, strict=True))
    assert row["score"] == "4"
    page = (store.out / "pages" / "alice.html").read_text(encoding="utf-8")
    assert "By the rules of the course: 64 of 100 points (1 d 12 h late: −20 %)" in page
    by_rules = [row[key] for key in ("raw", "penalty", "final", "of", "why")]
    assert by_rules == ["80", "16", "64", "100", "1 d 12 h late: −20 %"]
    _, alice, carol = csv.reader((store.out / "totals.csv").read_text().splitlines())
    assert alice == ["alice", "", "64", "", "64.0"]
    assert carol == ["carol", "Carol C", "", "", "0.0"]


def test_who_handed_in_nothing_gradable_is_in_gradebook_and_class_page_with_the_reason(
    store, report
):
    store.keep(report.to_json())
    store.finish({}, {}, {"jun": "Jun J"}, {"jun": "no answer in readme.txt; late by 2 h"})
    head, alice, jun = csv.reader((store.out / "gradebook.csv").read_text().splitlines())
    assert dict(zip(head, jun, strict=True))["verdict"] == "needs a person"
    assert jun[-2:] == ["Jun J", "not graded: no answer in readme.txt; late by 2 h"]
    assert len(head) == len(alice) == len(jun)
    page = (store.out / "class.html").read_text()
    assert "<li>jun: no answer in readme.txt; late by 2 h</li>" in page
    store.finish()
    assert "jun" not in (store.out / "class.html").read_text()


def test_a_regrading_remembers_the_first_of_what_it_replaced(store, report):
    store.keep(report.to_json())
    for digest in ("c2", "c3"):
        store.keep(replace(report, checks_digest=digest).to_json(), remember=True)
    assert store.remembered() == {("alice", "02"): report}
    store.forget()
    assert store.remembered() == {}


def test_only_one_run_writes_and_only_into_a_folder(store, tmp_path):
    for _ in range(2):
        with store.locked(), pytest.raises(UsageError, match="another run is writing"):
            Store(store.out).locked().__enter__()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file: give a folder"):
        Store(tmp_path / "file")


@pytest.mark.parametrize("data", [{"x": [1], "y": []}, {}, None])
def test_a_page_that_cannot_be_made_is_told_and_stops_no_other(store, report, open_report, data):
    figure = Figure(kind="curve", title="t", data=data)
    broken = replace(report.checks[0], figures=(figure,))
    store.keep(replace(report, checks=(broken,)).to_json())
    store.keep(open_report.to_json())
    files = store.finish()
    assert list(store.pageless) == ["alice"]
    assert "could not be made" in (store.out / "pages" / "alice.html").read_text()
    assert "2.1-values" in (store.out / "pages" / "bob.html").read_text()
    assert all(path.is_file() for path in files)
    assert "alice" in (store.out / "gradebook.csv").read_text()


def test_a_long_name_and_half_a_character_in_a_report_stop_no_table(store, report):
    store.keep(replace(report, student="a" * 250).to_json())
    kept = store.keep(replace(report, repairs=("a\udcff",)).to_json())
    assert kept in store.reports()
    files = store.finish()
    assert list(store.pageless) == ["a" * 250]
    assert all(path.is_file() for path in files)

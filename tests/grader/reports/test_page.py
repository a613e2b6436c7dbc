"""The student's page: all that helps, nothing of the staff's, and no text that acts."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from grader.reports.class_page import class_page, histogram
from grader.reports.page import page
from grader.reports.similarity import Pair
from tests.grader.batch.made_up import check
from tests.grader.reports.conftest import CONFUSION

VOID = {"meta", "br"}


class Tags(HTMLParser):
    """Every tag, its attributes, and the text between; fails where tags do not nest."""

    def __init__(self, data: bytes):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(data.decode())
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if not {"style", "script"} & {*self.open}:
            self.texts.append(data)


def read(*reports) -> str:
    return " ".join(" ".join(Tags(page(reports)).texts).split())


def test_a_page_shows_points_fact_hint_and_where_to_read_and_nothing_of_the_staffs(report):
    shown = read(report)
    for words in (
        "3.5 of 10 points",
        "0 of 3",
        "attend(q, k, v) is off by up to 0.883",
        "are the scores divided by sqrt(K)?",
        "section 2.1",
        "not run: 2.1-values comes first",
        "cell 3 had Windows newlines",
    ):
        assert words in shown
    assert b"KeyError" not in page([report])
    theirs = (report.seed_id, report.tier, *report.weaknesses, report.digest, report.checks_digest)
    assert not [words for words in theirs if words[:16].encode() in page([report])]


def test_where_to_read_links_to_the_section_of_the_book_and_the_name_is_in_the_title(report):
    made = page([report], name="Ada <b>", book="https://course.example/").decode()
    address = "https://course.example/assignments/02_attention.html#section-2-1"
    assert f'<a href="{address}">section 2.1</a>' in made
    assert "<h1>Ada &lt;b&gt;: 02 Attention</h1>" in made
    other = replace(report, checks=(replace(report.checks[1], concept="section 77.1"),))
    assert b"<a " not in page([report]) + page([other], book="https://course.example")


def test_open_points_are_explained_kindly_and_full_ones_without_a_word_of_blame(
    open_report, full_report
):
    shown = read(open_report)
    assert "until a person has reviewed them. You do not lose them." in shown
    assert "– of 1" in shown
    shown = read(full_report)
    assert "10 of 10 points" in shown
    assert "wrong" not in shown
    assert "mended" not in shown


@pytest.mark.parametrize("make", [page, class_page])
def test_hostile_text_stays_text(hostile_report, make):
    tags = Tags(make([hostile_report, hostile_report]))
    assert [tag for tag, _ in tags.tags].count("script") == (make is class_page)  # ours
    assert not any(name.startswith("on") for _, attributes in tags.tags for name in attributes)


@pytest.mark.parametrize("make", [page, class_page])
def test_a_page_loads_nothing_from_elsewhere(report, make):
    tags = Tags(make([report]))
    assert not {"link", "img", "iframe"} & {tag for tag, _ in tags.tags}
    assert not any("src" in attributes for _, attributes in tags.tags)
    links = [attributes["href"] for _, attributes in tags.tags if "href" in attributes]
    assert all(link.startswith("pages/") for link in links)
    assert b"url(" not in make([report])
    [policy] = [a["content"] for t, a in tags.tags if a.get("http-equiv")]
    usual, _, script = policy.partition("; script-src ")
    assert usual == "default-src 'none'; style-src 'unsafe-inline'"
    code = make([report]).decode().partition("<script>")[2].partition("</script>")[0]
    digest = b64encode(sha256(code.encode()).digest()).decode()
    assert script == (f"'sha256-{digest}'" if code else "")


def test_headings_nest_pictures_are_named_and_the_same_reports_give_the_same_bytes(
    report, full_report, open_report
):
    for reports in ([report], [report, full_report]):
        tags = [tag for tag, _ in Tags(page(reports)).tags]
        assert tags.count("h1") == 1
        assert ("h2" in tags) == (len(reports) > 1)
    made = page([report]).decode()
    assert made.count("<svg") == 2
    assert len(re.findall(r'<svg[^>]* role="img"[^>]*><title>[^<]+</title><desc>', made)) == 2
    assert page([report, open_report]) == page([report, open_report])
    assert class_page([report, open_report]) == class_page([open_report, report])
    assert b"Nothing was graded" in page([])
    assert b"Nothing was graded" in class_page([])


@pytest.mark.parametrize("made", [page, class_page])
def test_several_assignments_are_listed_first_with_links_to_them(made, full_report):
    several = [replace(full_report, assignment=number) for number in ("02", "03", "04")]
    tags = Tags(made(several)).tags
    linked = [one["href"] for tag, one in tags if tag == "a" and one["href"].startswith("#")]
    named = [f"#{one['id']}" for tag, one in tags if tag == "h2" and "id" in one]
    assert linked == named == ["#02", "#03", "#04"]
    assert b'href="#' not in made(several[:1])
    assert b"<title>s-19: 3 assignments</title>" in page(several)
    assert b"<title>s-19: 02 Attention, 03 Attention</title>" in page(several[:2])


def test_every_submission_is_in_one_bin(report, full_report, open_report):
    nothing = replace(report, checks=tuple(replace(c, earned=0.0) for c in report.checks))
    counts = histogram([report, full_report, open_report, nothing]).data["counts"]
    assert counts == [1, 0, 1, 1, 0, 0, 0, 0, 0, 1]

    for tenths in range(11):  # a whole tenth begins its bin
        graded = replace(report, checks=(check("2.1-a", 10, float(tenths)),))
        assert histogram([graded]).data["counts"][min(tenths, 9)] == 1


def test_the_class_page_counts_who_earned_a_check_with_students_as_rows_and_tasks_as_columns(
    report, full_report, open_report
):
    shown = " ".join(" ".join(Tags(class_page([report, report, full_report])).texts).split())
    assert "2.1-values 3 1 0.33" in shown
    assert "Missed by 2 of 3. 2 students: are the scores divided by sqrt(K)?" in shown
    assert "Mean 5.67 of 10 points; median 35 % (n = 3)" in shown
    tags = Tags(class_page([report, full_report, open_report]))
    rows = [attributes["href"] for tag, attributes in tags.tags if tag == "a"]
    order = sorted([report, full_report, open_report], key=lambda one: -one.score / one.settled)
    assert rows[0] == f"pages/{open_report.student}.html"
    assert [f"pages/{one.student}.html" for one in order] == rows[1:4]
    shades = [a["class"] for tag, a in tags.tags if tag == "td" and "heat" in a.get("class", "")]
    assert "number heat-4" in shades
    assert "number heat-open" in shades
    assert b"Share of a task's points" in class_page([report])


def test_open_points_are_no_part_of_the_mean_and_who_waits_or_shares_code_is_named(
    report, full_report, open_report
):
    made = class_page([report, open_report])
    shown = " ".join(Tags(made).texts)
    assert "Mean 3.5 of 10 points; median 31 % (n = 2)" in " ".join(shown.split())
    assert b"s-18</a>: 2.1-shape" in made
    assert b"Waiting" not in class_page([report])
    pair = Pair(
        assignment="02",
        students=(report.student, full_report.student),
        share=0.84,
        places={"2.1": (), "2.2": ()},
    )
    made = class_page([report, full_report], similar=[pair]).decode()
    assert f"{report.student}</a>, <a" in made
    assert '</a>: <a href="similar.html">84% of 2.1, 2.2</a></li>' in made


def test_pages_hold_no_control_codes_and_no_broken_text(broken_report):
    evil = broken_report.student
    figure = replace(CONFUSION, title=evil, data={"labels": [evil], "counts": [[1]]})
    checks = (replace(broken_report.checks[0], figures=(figure,)), *broken_report.checks[1:])
    report = replace(broken_report, checks=checks)
    for data in (page([report]), class_page([report], unread={evil: evil}, missing={evil: evil})):
        Tags(data)
        assert not [c for c in data.decode() if c != "\n" and (ord(c) < 32 or 126 < ord(c) < 160)]

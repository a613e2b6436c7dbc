"""Pages in a real browser, where there is one: on a phone, in the dark, without a complaint."""

import re
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from grader.authoring.build import written_questions
from grader.core.outcomes import Reason
from grader.core.written import WrittenAnswer, WrittenQuestion
from grader.grading.marks import read_marks
from grader.reports.class_page import class_page
from grader.reports.page import page
from grader.reports.similarity import Pair
from grader.reports.written_page import ShownAnswer, written_page
from kws.course.compare import Record
from tests.chromium import BROWSER, QUIET, chromium
from tests.conftest import PATIENCE
from tests.grader.batch.made_up import check

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome in the PATH"),
]


def browse(tmp_path, data: bytes, *options: str) -> subprocess.CompletedProcess:
    """Open the page without a window; fails where the browser does."""
    assert BROWSER is not None
    file = tmp_path / "page.html"
    file.write_bytes(data)
    quiet = [*QUIET, "--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [BROWSER, "--headless", *quiet, "--enable-logging=stderr", *options, file.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)


def pixels(path) -> tuple[int, int]:
    """Width and height of a PNG file."""
    return struct.unpack(">II", path.read_bytes()[16:24])


@pytest.mark.parametrize("make", [page, class_page])
def test_a_page_opens_without_a_complaint(tmp_path, report, hostile_report, make):
    done = browse(tmp_path, make([report, hostile_report]), "--dump-dom")
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<svg") >= 1
    assert done.stdout.count("<script") == (make is class_page)


def test_the_browser_changes_nothing_about_the_structure(tmp_path, report):
    """What a parser has to mend comes out differently than it went in."""
    made = page([report])
    seen = browse(tmp_path, made, "--dump-dom").stdout
    names = re.compile(r"</?((?!path|circle|rect|polyline)[a-z0-9]+)[ >]")
    assert names.findall(seen) == names.findall(made.decode())


def test_a_phone_needs_no_scrolling_sideways(tmp_path, report, hostile_report):
    """A page that is wider than the window says so itself, in its title."""
    probe = (
        b"<script>addEventListener('load',()=>{const e=document.documentElement;"
        b"document.title='width '+(e.scrollWidth<=innerWidth)})</script></body>"
    )
    for make in (page, class_page):
        made = make([report, hostile_report]).replace(b"</body>", probe)
        made = re.sub(rb'<meta http-equiv="Content-Security-Policy"[^>]*>', b"", made)
        options = ("--window-size=500,800", "--virtual-time-budget=1000", "--dump-dom")
        assert "<title>width true</title>" in browse(tmp_path, made, *options).stdout


PROBE = Path(__file__).with_name("overlaps.html").read_bytes()


def probed(data: bytes) -> bytes:
    """The page with a script that names texts that overlap or do not fit, in the page's title."""
    data = re.sub(rb'<meta http-equiv="Content-Security-Policy"[^>]*>', b"", data)
    # what scrolls would lie under what follows
    whole = b"<style>.rows,.group .side{max-height:none}</style>"
    return data.replace(b"</body>", whole + PROBE)


def class_of_thirty(report) -> bytes:
    """A class page with everything on it: long names, open points, shared mistakes and code."""
    wrong = {"0": Record.of(torch.arange(3.0)).to_json()}
    reports = []
    for n in range(30):
        name = ("anna-maria-von-hohenstein-" if n % 7 == 0 else "s-") + str(n)
        checks = [
            check(f"2.{task}-mirrored-{task}", 2, float((n * task) % 3), title="It is mirrored.")
            for task in range(1, 10)
        ]
        hint = "" if n % 2 else "are angles in radians?"
        code = f"def sinusoids(num_frames, d_model):\n    return {'x' * 50} + {n % 3}"
        shared = {"reason": Reason.WRONG, "message": "sinusoids(7, 6) has other values"}
        shared |= {"hint": hint, "fingerprint": wrong, "code": code}
        checks[3] = replace(checks[3], earned=0.0, **shared)
        checks.append(check("2.A-written", 4, None, reason=Reason.UNMARKED))
        reports.append(replace(report, student=name, checks=tuple(checks)))
    pair = Pair(assignment="02", students=("s-1", "s-2"), share=0.9, places={"2.1": (), "2.2": ()})
    missing, unread = {"zoe": "Zoe"}, {"yann": "a PDF"}
    return class_page(reports, similar=[pair] * 3, missing=missing, unread=unread)


def page_of_answers(report) -> bytes:
    shown = ShownAnswer(label="ada", answer=WrittenAnswer(text=f"{'word ' * 99}{'x' * 300}"))
    wanted = WrittenQuestion(id="3.A", title="why?", points=4, prompt="### why?", answer="so")
    return written_page(wanted, [shown] * 5)


@pytest.mark.parametrize(
    ("make", "width"),  # headless Chromium opens no narrower window than 500
    [(class_of_thirty, 500), (class_of_thirty, 1200), (page_of_answers, 500)],
)
def test_no_text_of_the_staffs_pages_overlaps_or_overflows(tmp_path, report, make, width):
    options = (f"--window-size={width},900", "--virtual-time-budget=2000", "--dump-dom")
    seen = browse(tmp_path, probed(make(report)), *options).stdout
    assert re.findall("<title>(.*?)</title>", seen)[:1] == ["nothing wrong"]


def test_students_are_sorted_searched_and_filtered_by_task(tmp_path, report):
    (tmp_path / "class.html").write_bytes(class_of_thirty(report))
    shown = "[...document.querySelectorAll('.students tbody tr')].filter((row) => !row.hidden)"
    points = f"{shown}.map((row) => parseFloat(row.cells[2].textContent))"
    enter = "(at, value) => { const one = document.querySelector('.tools').children[at]; "
    enter += "one.value = value; one.dispatchEvent(new Event('input', {bubbles: true})) }"
    with chromium() as tab:
        tab.open((tmp_path / "class.html").as_uri())
        tab.run("document.querySelectorAll('.students th button')[2].click()")
        assert tab.run(points) == [0.0] * 10 + [1.0] * 10 + [2.0] * 10
        tab.run("document.querySelectorAll('.students th button')[2].click()")
        assert tab.run(points)[0] == 2.0
        tab.run(f"({enter})(1, '2')")
        tab.run(f"({enter})(2, 'none')")
        assert tab.run(points) == [0.0] * 10
        tab.run(f"({enter})(0, 'HOHEN')")
        assert tab.run(f"{shown}.length") == 2  # 0 and 21, of 0, 7, 14, 21, 28
        assert tab.log == []


def test_written_answers_are_marked_by_keys_kept_and_exported(tmp_path):
    """Three of one group, one alone: the file that the page writes is read as marks."""
    (wanted,) = written_questions("03")
    texts = {
        "ada": "two models, the same",
        "=bob": "Two models; the same!",
        "cy": "two  models, the same",
    }
    texts["di"] = "something of my own"
    shown = [ShownAnswer(label=x, answer=WrittenAnswer(text=text)) for x, text in texts.items()]
    (tmp_path / "3.A.html").write_bytes(written_page(wanted, shown))
    press = "for (const key of %r) dispatchEvent(new KeyboardEvent('keydown', {key}))"
    press = press.replace("dispatchEvent", "document.body.dispatchEvent").replace(
        "{key}", "{key, bubbles: true}"
    )
    with chromium() as tab:
        tab.open((tmp_path / "3.A.html").as_uri())
        tab.run(press % ["1", "3"])
        tab.run("document.querySelector('textarea').value = '=a \"b\"'")
        tab.run("document.querySelector('textarea').dispatchEvent(new Event('input'))")
        tab.run(press % ["n", "2"])
        tab.run("document.querySelector('.group:not([hidden]) .bank button').click()")
        tab.open((tmp_path / "3.A.html").as_uri())  # what was marked is kept
        tab.until("cards().every((card) => read(card).points !== '')")
        (tmp_path / "marks.csv").write_text(tab.run("csv()"), encoding="utf-8")
        assert tab.log == []
    rows = read_marks(tmp_path / "marks.csv", {"3.A": wanted}, [*texts])
    assert {row.student: row.points for row in rows} == {"ada": 2, "=bob": 2, "cy": 2, "di": 1}
    assert {row.comment for row in rows} == {'=a "b"'}


def test_a_page_can_be_printed(tmp_path, report):
    out = tmp_path / "page.pdf"
    browse(tmp_path, page([report]), f"--print-to-pdf={out}", "--no-pdf-header-footer")
    assert out.read_bytes().startswith(b"%PDF")


def test_a_page_is_dark_where_the_reader_wants_it(tmp_path, report):
    """The picture of the page, white or not: its bytes differ, its size does not."""
    shots = []
    for scheme in ("1", "0"):
        shot = tmp_path / f"{scheme}.png"
        options = (f"--blink-settings=preferredColorScheme={scheme}", "--window-size=500,900")
        browse(tmp_path, page([report]), *options, f"--screenshot={shot}")
        shots.append(shot)
    assert pixels(shots[0]) == pixels(shots[1]) == (500, 900)
    assert shots[0].read_bytes() != shots[1].read_bytes()

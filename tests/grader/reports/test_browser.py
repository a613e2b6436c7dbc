"""Pages in a real browser, where there is one: on a phone, in the dark, without a complaint."""

import re
import shutil
import struct
import subprocess

import pytest

from grader.reports.class_page import class_page
from grader.reports.page import page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome in the PATH")


def browse(tmp_path, data: bytes, *options: str) -> subprocess.CompletedProcess:
    """Open the page without a window; fails where the browser does."""
    assert BROWSER is not None
    file = tmp_path / "page.html"
    file.write_bytes(data)
    return subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            *options,
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def pixels(path) -> tuple[int, int]:
    """Width and height of a PNG file."""
    return struct.unpack(">II", path.read_bytes()[16:24])


@pytest.mark.parametrize("make", [page, class_page])
def test_a_page_opens_without_a_complaint(tmp_path, report, hostile_report, make):
    done = browse(tmp_path, make([report, hostile_report]), "--dump-dom")
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<svg") >= 1
    assert "<script" not in done.stdout


def test_the_browser_changes_nothing_about_the_structure(tmp_path, report):
    """What a parser has to mend comes out differently than it went in."""
    made = page([report])
    seen = browse(tmp_path, made, "--dump-dom").stdout
    names = re.compile(r"</?([a-z0-9]+)[ >]")
    assert [t for t in names.findall(seen) if t not in ("path", "circle", "rect", "polyline")] == [
        t for t in names.findall(made.decode()) if t not in ("path", "circle", "rect", "polyline")
    ]


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

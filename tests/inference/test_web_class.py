"""The page before a class, and long recordings. What is tested is in web_class.js, in the page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kws.audio.recordings import write_audio
from tests.chromium import Tab, chromium
from tests.inference.conftest import SPOKEN
from tests.inference.test_web_browser import READY, STATUS

pytestmark = [pytest.mark.slow, pytest.mark.no_shapes]

TESTS = Path(__file__).with_name("web_class.js").read_text(encoding="utf-8")
NAMES = re.findall(r'^  async "(.*)"\(\)', TESTS, re.MULTILINE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Tab]:
    with chromium() as tab:
        yield tab


@pytest.fixture
def tab(browser, address) -> Tab:
    browser.open(address)
    browser.until(READY)
    return browser


@pytest.mark.parametrize("name", NAMES)
def test_in_the_page(name, tab):
    tab.run(f"{{ {TESTS.replace('tests;', 'globalThis.tests = tests;')} }}")
    tab.run(f"tests[{name!r}]()")
    assert tab.log == []


def test_a_folder_of_folders_is_a_confusion_table(tab, spoken, tmp_path):
    for name, word in (("up/1", "up"), ("up/2", "up"), ("go/1", "up"), ("bed/1", "bed")):
        path = tmp_path / "words" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, spoken[SPOKEN.index(word)])
    (tmp_path / "words" / "up" / "notes.txt").write_text("no recording")
    (tmp_path / "words" / "go" / "2.wav").write_text("no recording")
    tab.drop_really(tmp_path / "words")
    tab.until(f"{STATUS} === '4 recordings read, 1 refused.'")
    assert tab.text("results-text").startswith("3 of 4 are right (75 %).")
    cells = """[...document.querySelectorAll("#table tr")].map((row) =>
        [...row.children].map((cell, i) => [i, cell.innerText]).filter(([, text]) => text))"""
    head, *rows = tab.run(cells)
    column = {text: i for i, text in head}
    expected = [("bed", "another word", 1), ("up", "up", 2), ("go", "up", 1)]
    assert rows == [[[0, word], [column[out], str(n)]] for word, out, n in expected]
    wrong = tab.run("[...document.querySelectorAll('#results-list li')].map(row => row.innerText)")
    assert wrong[0].startswith("go/1.wav")
    assert "2.wav is not a recording" in wrong[1]
    tab.run("document.querySelector('#results-list button').click()")
    tab.until(f"{STATUS}.startsWith('1.wav: up, ')")

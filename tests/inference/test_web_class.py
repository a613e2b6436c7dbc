"""The page before a class: examples, playback, threshold, folders, a wall; and long recordings."""

import json
from pathlib import Path

import pytest
import torch

from kws.audio.recordings import write_audio
from tests.chromium import chromium
from tests.inference.conftest import SPOKEN
from tests.inference.test_web_browser import NARROW, READY, STATUS

pytestmark = [pytest.mark.slow, pytest.mark.no_shapes]

LONG = "yes__fa446c16_nohash_0_and_more_of_a_name_than_any_column_is_wide_without_a_space.wav"
SLOW = Path(__file__).with_name("web_slow_device.js").read_text()


@pytest.fixture
def sentence(spoken, tmp_path):
    """A word, quiet, another word, quiet: a recording with a long name."""
    quiet = 1e-3 * torch.randn(24_000, generator=torch.Generator().manual_seed(0))
    words = [spoken[SPOKEN.index(word)] for word in ("up", "go")]
    write_audio(tmp_path / LONG, torch.cat([quiet, words[0], quiet, words[1], quiet]))
    return tmp_path / LONG


def test_a_slow_device_scores_the_newest_window_and_lost_sound_is_noticed(address):
    with chromium() as tab:
        tab.open(address)
        tab.until(READY)
        seen, latency = tab.run(SLOW)
        assert seen == [10, 80], "the first window, then the newest"
        assert "0.9 s of sound lost" in latency


def test_a_long_recording_is_read_piece_by_piece_and_can_be_stopped(address):
    with chromium() as tab:
        tab.open(address)
        tab.until(READY)
        tab.run(
            """import("./sound.js").then(({wavOf}) => {
                window.calls = 0;
                const held = new DataTransfer();
                held.items.add(new File([wavOf(new Int16Array(16000 * 1800), 16000)], "half.wav"));
                const how = {bubbles: true, cancelable: true, dataTransfer: held};
                document.body.dispatchEvent(new DragEvent("drop", how));
            })"""
        )
        tab.until(f"{STATUS}.endsWith(' of 1800.0 s read.')")
        assert tab.run("document.getElementById('progress').value") < 0.5
        assert (
            tab.run("performance.memory.usedJSHeapSize") < 1e9
        )  # three hundred MB are the samples
        tab.run("document.getElementById('listen').click()")
        assert tab.text("status") == "Stopped."
        assert (
            tab.run(f"new Promise((done) => setTimeout(() => done({STATUS}), 300))") == "Stopped."
        )
        assert tab.text("listen") == "Listen"


def test_each_recording_has_its_words_and_the_threshold_changes_them(address, sentence):
    with chromium() as tab:
        tab.open(address)
        tab.until(READY)
        tab.run(
            """import("./detections.js").then(({addDetection, addSource}) => {
                addSource("older.wav");
                for (let i = 0; i < 300; i++) addDetection(`${i}.0 s`, "yes", 1);
            })"""
        )
        tab.drop(sentence)
        tab.until(f"{STATUS}.endsWith(' s read.') && !{STATUS}.includes(' of ')")
        rows = "[...document.querySelectorAll('#detections li')]"
        first = tab.run(
            f"{rows}.slice(0, 4).map((row) => row.children[1]?.innerText ?? row.innerText)"
        )
        assert first == ["go", "up", LONG, "yes"]
        tab.call("Emulation.setDeviceMetricsOverride", width=NARROW, height=800,
                 deviceScaleFactor=1, mobile=True)  # fmt: skip
        assert tab.run(f"{rows}.slice(0, 4).every((row) => row.offsetHeight < 40)"), "a line each"
        assert tab.run("document.documentElement.scrollWidth") == NARROW

        def choose(threshold: float) -> list[tuple[str, str]]:
            tab.run(
                f"""{{ const slider = document.getElementById("threshold");
                    slider.value = {threshold}; slider.dispatchEvent(new Event("input")); }}"""
            )
            return tab.detections()[-2:]

        before = tab.detections()[-2:]
        assert tab.text("threshold-text").startswith("20.0 % of words missed, 11.0 false alarms")
        assert [word for _, word in choose(0.99)] == ["yes", "yes"]
        assert tab.text("threshold-text").startswith("30.0 % of words missed, 2.0 false alarms")
        assert choose(0.7) == before


def test_an_example_is_played_with_a_cursor(address):
    with chromium() as tab:
        tab.open(address)
        tab.until(READY)
        tab.run("document.querySelector('#example-list button').click()")
        tab.until(f"{STATUS}.startsWith('Example “up”: up, ')")
        tab.until("document.getElementById('audio').ended")
        place = "document.getElementById('cursor').getBoundingClientRect().left"
        end = tab.run(place)
        tab.run("document.getElementById('audio').currentTime = 0.25")
        tab.until(f"{place} < {end} - 50")
        assert tab.log == []


def test_a_folder_of_folders_is_a_confusion_table(address, spoken, tmp_path):
    for name, word in (("up/1", "up"), ("up/2", "up"), ("go/1", "up"), ("bed/1", "bed")):
        path = tmp_path / "words" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, spoken[SPOKEN.index(word)])
    (tmp_path / "words" / "up" / "notes.txt").write_text("no recording")
    (tmp_path / "words" / "go" / "2.wav").write_text("no recording")
    with chromium() as tab:
        tab.open(address)
        tab.until(READY)
        tab.drop_really(tmp_path / "words")
        tab.until(f"{STATUS} === '4 recordings read, 1 refused.'")
        assert tab.text("results-text").startswith("3 of 4 are right (75 %).")
        cells = """[...document.querySelectorAll("#table tr")].map((row) =>
            [...row.children].map((cell, i) => [i, cell.innerText]).filter(([, text]) => text))"""
        head, *rows = tab.run(cells)
        column = {text: i for i, text in head}
        expected = [("bed", "another word", 1), ("up", "up", 2), ("go", "up", 1)]
        assert rows == [[[0, word], [column[out], str(n)]] for word, out, n in expected]
        wrong = tab.run("[...document.querySelectorAll('#results-list li')].map(r => r.innerText)")
        assert wrong[0].startswith("go/1.wav")
        assert "2.wav is not a recording" in wrong[1]
        tab.run("document.querySelector('#results-list button').click()")
        tab.until(f"{STATUS}.startsWith('1.wav: up, ')")


def test_a_wall_shows_what_is_detected_and_no_controls(address):
    shown = """[...document.querySelectorAll("button, input, audio, a, summary")]
        .filter((each) => each.offsetParent !== null).map((each) => each.id)"""
    with chromium() as tab:
        tab.open(address)
        tab.until(READY)
        tab.run("document.getElementById('projector').click()")
        assert tab.run(shown) == ["projector"]
        style = tab.run("(({color, backgroundColor}) => [color, backgroundColor])"
                        "(getComputedStyle(document.body))")  # fmt: skip
        assert style == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
        assert (
            tab.run("parseFloat(getComputedStyle(document.getElementById('now')).fontSize)") >= 48
        )
        tab.run("dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}))")
        assert "listen" in json.loads(tab.run(f"JSON.stringify({shown})"))

"""The page before a class, and long recordings. What is tested is in web_class.js, in the page."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from kws.audio.recordings import read_audio, write_audio
from kws.inference.detector import Trigger
from kws.inference.streaming import listen, posteriors
from kws.inference.torch_stream import TorchStream
from kws.inference.web_page import server_of, write_page
from tests.chromium import Tab, chromium
from tests.inference.conftest import LABELS, SPOKEN
from tests.inference.test_web_browser import READY, STATUS

pytestmark = [pytest.mark.slow, pytest.mark.no_shapes]

TESTS = Path(__file__).with_name("web_class.js").read_text(encoding="utf-8")
LIVE = Path(__file__).with_name("web_steps.js").read_text(encoding="utf-8")
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
    assert wrong[1].startswith("go/2.wav is not a recording")
    tab.run("document.querySelector('#results-list button').click()")
    tab.until(f"{STATUS}.startsWith('1.wav: up, ')")


@pytest.mark.parametrize("settings", [("crnn", "hidden_size=6"), ("conformer", "d_model=12")])
def test_a_model_with_state_steps_through_a_stream_as_kws_listen_does(
    browser, web_page, untrained, spoken, tmp_path, settings
):
    name, size = settings
    model = (f"model.name={name}-causal", f"model.{size}", "features.normalize=none")
    trained = untrained(*model, labels=LABELS)
    trained.model.classify.logits.weight.data *= 5  # a little surer
    trigger = Trigger(threshold=0.2, hop_ms=30, smooth_ms=510, in_a_row=11)
    folder, runtime = tmp_path / "page", web_page / "runtime"
    options = {"examples": {}, "runtime": runtime, "trigger": trigger, "has_state": True}
    write_page(folder, trained.model, LABELS, trained.features, **options)
    write_audio(folder / "words.wav", torch.cat(spoken[:5]))
    blocks, model = [read_audio(folder / "words.wav").numpy()], TorchStream(trained)
    with server_of(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.open(f"http://localhost:{server.server_port}/")
        browser.until(READY)
        browser.drop(folder / "words.wav")
        browser.until(f"{STATUS}.startsWith('words.wav: {len(blocks[0]) / 16_000:.1f} s read')")
        events = [(f"{each.time:.1f} s", each.word) for each in listen(model, blocks, trigger)]
        assert events
        assert browser.detections() == events
        found = browser.run(LIVE)
        server.shutdown()
    assert browser.log == []
    expected = list(posteriors(model, blocks, hop_ms=30, then_silence=True))
    for rows in (found["rows"], found["live"]):
        those = {round(1000 * time): shares for time, shares in expected}
        assert len(rows) in (len(expected), trigger.smooth_ms // trigger.hop_ms)
        for time, shares in rows:  # the bound that is promised
            np.testing.assert_allclose(shares, those[round(1000 * time)], rtol=0, atol=1e-5)
    assert np.ptp([row.max() for _, row in expected]) > 0.1, "it moves"

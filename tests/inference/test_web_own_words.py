"""Own words in the page: recorded, kept, trained on, shared, and what the page says of them."""

import json
import time
import zipfile

import pytest

from kws.audio.recordings import read_audio, write_audio
from kws.cli import run as run_command
from kws.data.listing import read_listing
from kws.training.checkpoint import load_model
from tests.chromium import chromium
from tests.inference.test_web_browser import READY, STATUS

pytestmark = [pytest.mark.slow, pytest.mark.no_shapes]


def test_own_words_are_recorded_kept_deleted_downloaded_and_trained_on(
    address, speech, tiny_corpus, tmp_path, monkeypatch
):
    with chromium("--use-fake-ui-for-media-stream", microphone=speech) as tab:
        tab.open(address)
        tab.until(READY)
        tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))

        def record(word: str, clips: int) -> None:
            tab.run(f"document.getElementById('word').value = {json.dumps(word)}")
            tab.run("document.getElementById('record').click()")
            tab.until(f"document.querySelectorAll('#clips li').length === {clips}")

        tab.run("document.getElementById('word').value = 'a/b'")
        tab.run("document.getElementById('record').click()")
        assert "“a/b” cannot be the name of a folder" in tab.problem()
        record("ja", 1)
        record("licht an", 2)
        record("ja", 3)
        tab.open(address)  # nothing is lost when the page is loaded again
        tab.until("document.querySelectorAll('#clips li').length === 3")
        names = tab.run("[...document.querySelectorAll('#clips .name')].map(n => n.innerText)")
        assert names == ["ja 2", "licht an 1", "ja 1"]
        tab.run("document.querySelector('#clips [aria-label=\"Play ja 1\"]').click()")
        tab.run("document.querySelector('#clips [aria-label=\"Delete ja 2\"]').click()")
        tab.until("document.querySelectorAll('#clips li').length === 2")
        tab.until(READY)
        for count, word in enumerate(("ja", "licht an", "ja", "licht an"), start=3):
            record(word, count)
        tab.run("document.getElementById('download').click()")
        packed = tmp_path / "own-words.zip"
        end = time.monotonic() + 30
        while not packed.exists():
            assert time.monotonic() < end, "not downloaded"
            time.sleep(0.1)
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(tmp_path / "words")
        speaker = tab.text("speaker-name")
        names = read_listing(tmp_path / "words").names
        own = ("ja", "licht an")
        assert names == [f"{word}/{speaker}_nohash_{take}.wav" for word in own for take in range(3)]
        assert all(len(read_audio(tmp_path / "words" / name)) == 16_000 for name in names)
        assert tab.log == []
    monkeypatch.setattr("kws.data.own_words.spare_corpus", lambda: tiny_corpus)
    command = ["train", "keywords", "--data", tmp_path / "words", "--words", "all"]
    command += ["--out", tmp_path / "run", "--set", "train.total_steps=1"]
    assert run_command([str(word) for word in command]) == 0
    assert load_model(tmp_path / "run").labels == ("_silence_", "_unknown_", *own)


def test_own_words_are_trained_in_the_page_shared_and_detected(address, speech, spoken, tmp_path):
    with chromium("--use-fake-ui-for-media-stream", microphone=speech) as tab:
        tab.open(address)
        tab.until(READY)
        # what is said in turn is recorded as two words, which the page then tells apart
        tab.run("document.getElementById('word').value = 'eins'")
        tab.run(
            """window.shown = []; new MutationObserver(() => shown.push(own.innerText)).observe(
                window.own = document.getElementById("own-status"), {childList: true}); 0"""
        )
        tab.run("document.getElementById('ten').click()")
        tab.until("document.querySelectorAll('#clips li').length >= 9", 60)  # five of the room
        tab.run("document.getElementById('ten').click()")
        wanted = [text for text in dict.fromkeys(tab.run("shown")) if "Say" in text]
        assert wanted[0] == "Say nothing for 5 s.", "the room comes first"
        assert wanted[5:8] == [f"Say “eins” ten times, with pauses, in {n} …" for n in (3, 2, 1)]
        assert wanted[8:10] == ["Say “eins” now: 10 to come.", "Say “eins” again: 9 to come."]
        tab.run("document.getElementById('train').click()")
        tab.until("document.getElementById('trained').innerText.startsWith('Trained in')", 60)
        tab.until(f"{STATUS} === 'Listening.'")  # at once, with the new words
        rows = "[...document.querySelectorAll('#scores li')]"
        labels = tab.run(f"{rows}.map(row => row.children[0].innerText)")
        assert labels == ["silence", "another word", "eins"]
        link = tab.run("document.getElementById('link').href")
        write_audio(tmp_path / "bed.wav", spoken[0])
        tab.drop(tmp_path / "bed.wav")
        tab.until(f"{STATUS}.startsWith('bed.wav: ')")
        own = tab.text("status")
        tab.run("document.getElementById('original').click()")
        assert "yes" in tab.text("status")
        tab.open("about:blank")
        tab.open(link)
        tab.until(f"{STATUS} === 'Ready for eins.'")
        tab.drop(tmp_path / "bed.wav")
        tab.until(f"{STATUS} === {json.dumps(own)}")
        tab.run("location.hash = '#words=e30='")
        assert "not a model of own words" in tab.problem()
        assert tab.log == []

"""The page in a browser: what is spoken is what is shown. Skips where there is no Chromium or npm.

The model is made on the spot of the very recordings that are played: each class is a pattern of a
spectrogram, and its logit how well the pattern fits somewhere. What is tested is the page.
"""

import json
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from kws.audio.features import log_mel
from kws.audio.recordings import read_audio, resample, write_audio
from kws.cli import run as run_command
from kws.data.listing import read_listing
from kws.data.protocols import COMMANDS
from kws.errors import UsageError
from kws.inference.detector import Detector, Trigger
from kws.inference.waveform_graph import FromWaveform
from kws.inference.web_page import server_of, write_page
from kws.inference.web_runtime import runtime_files
from kws.training.checkpoint import load_model
from tests.chromium import chromium

pytestmark = [pytest.mark.slow, pytest.mark.no_shapes]

LABELS = ("_silence_", "_unknown_", *COMMANDS)
SPOKEN = ("bed", *COMMANDS)  # in the order of the classes, after silence
TEXTS = ("silence", "another word", *COMMANDS)  # as the page calls them
PAUSE = 1.4  # seconds between words: a detection rests for 1.5
BEGIN = 2.0  # seconds before the first: opening the microphone takes a moment
FRAMES, SHARPNESS, SILENT = 36, 80, 0.8  # of the model
STATUS = "document.getElementById('status').innerText"
READY = "!document.getElementById('listen').disabled"
NARROW, WIDE = 360, 1280  # a phone, a desktop; CSS pixels


class Patterns(nn.Module):
    """Classes by the correlation with a pattern (frames × bands) at its best place.

    `_silence_` is what no pattern fits to a share of SILENT.
    """

    def __init__(self, patterns: list[torch.Tensor]):
        super().__init__()
        centered = [pattern - pattern.mean() for pattern in patterns]
        kernels = torch.stack([pattern.mT / pattern.norm() for pattern in centered])
        self.kernels = nn.Parameter(kernels)  # (C, F, frames)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        x, width = mel.mT, self.kernels.shape[2]
        total, squares = (y.sum(1, keepdim=True).unfold(2, width, 1).sum(3) for y in (x, x * x))
        size = (squares - total.square() / self.kernels[0].numel() + 400).sqrt()
        fits = (nn.functional.conv1d(x, self.kernels) / size).amax(dim=2)
        return SHARPNESS * torch.cat([torch.full_like(fits[:, :1], SILENT), fits], dim=1)


def features(waveform):
    return log_mel(waveform, n_mels=40, floor=1e-4)


@pytest.fixture(scope="module")
def words(tiny_corpus) -> list[torch.Tensor]:
    """One recording of each word that is spoken."""
    return [read_audio(sorted((tiny_corpus / word).glob("*.wav"))[0]) for word in SPOKEN]


@pytest.fixture(scope="module")
def model(words) -> Patterns:
    """The loudest frames in a row of each recording."""
    patterns = []
    for word in words:
        mel = features(torch.nn.functional.pad(word, (0, 16_000 - len(word)))[None])[0]
        start = int(mel.mean(1).unfold(0, FRAMES, 1).sum(1).argmax())
        patterns.append(mel[start : start + FRAMES])
    return Patterns(patterns).eval()


@pytest.fixture(scope="module")
def page(model, tmp_path_factory) -> Path:
    try:
        runtime_files()
    except UsageError as error:
        pytest.skip(f"needs ONNX Runtime Web: {error}")
    return write_page(tmp_path_factory.mktemp("web") / "page", model, LABELS, features)


@pytest.fixture(scope="module")
def address(page) -> Iterator[str]:
    with server_of(page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def speech(words, tmp_path_factory) -> Path:
    """Every word once, in quiet noise, as a microphone of 48 kHz would record them."""
    noise = torch.Generator().manual_seed(0)

    def quiet(seconds: float) -> torch.Tensor:
        return 1e-3 * torch.randn(int(16_000 * seconds), generator=noise)

    parts = [quiet(BEGIN), *(part for word in words for part in (word, quiet(PAUSE)))]
    out = tmp_path_factory.mktemp("speech") / "speech.wav"
    write_audio(out, resample(torch.cat(parts), 16_000, 48_000), 48_000)
    return out


def events_of(model, waveform) -> list[tuple[float, str]]:
    """What torch and our detector say of a recording and a second of silence, window by window."""
    whole = torch.cat([waveform, torch.zeros(16_000)])
    detector, found = Detector(LABELS, Trigger()), []
    reader, shown = FromWaveform(model, features), torch.ones(1, 101, 40)
    for end in range(16_000, len(whole) + 1, 1_600):
        with torch.inference_mode():
            shares = reader(whole[None, end - 16_000 : end], shown)[0].softmax(1)[0].tolist()
        event = detector.push(end / 16_000, shares)
        if event is not None:
            found.append((event.time, event.word))
    return found


def detections(tab) -> list[tuple[str, str]]:
    """(time, word) as the page shows them, the first one first."""
    rows = "[...document.querySelectorAll('#detections li:not(.source)')]"
    return [
        tuple(row)
        for row in tab.run(f"{rows}.map(r => [r.children[0].innerText, r.children[1].innerText])")
    ][::-1]


def problem_of(tab) -> str:
    """The one sentence of what is wrong."""
    tab.until("!document.getElementById('problem').hidden")
    output = tab.text("problem")
    assert output.endswith("."), output
    assert ". " not in output, output
    return output


def test_the_word_spoken_is_the_word_shown_for_every_class(address, speech, tmp_path):
    seconds = len(read_audio(speech, resample=True)) / 16_000
    with chromium("--use-fake-ui-for-media-stream", microphone=speech) as tab:
        tab.open(address)
        tab.until(READY)
        tab.run(
            """window.shown = []; new MutationObserver(() => shown.push(now.textContent)).observe(
                window.now = document.getElementById("now"), {childList: true}); 0"""
        )
        tab.run("document.getElementById('listen').click()")
        tab.until(
            f"document.querySelectorAll('#detections li:not(.source)').length === {len(COMMANDS)}",
            seconds + 30,
        )
        assert [word for _, word in detections(tab)] == list(COMMANDS)
        shown = [word for word in dict.fromkeys(tab.run("shown")) if word != "–"]
        assert shown == list(TEXTS), "each class in its turn, silence and other words too"
        assert tab.text("status") == "Listening."
        assert "ms from sound to score" in tab.text("latency")
        tab.until("document.getElementById('looked-text').innerText.startsWith('go: most of all')")
        for width in (NARROW, WIDE):
            tab.picture(tmp_path / "page.png", width=width, dark=width == NARROW)
            assert tab.run("document.documentElement.scrollWidth <= innerWidth"), width
        assert tab.log == []


def test_a_dropped_file_is_heard_as_by_us(address, speech, words, model, tmp_path):
    write_audio(tmp_path / "clip.wav", words[3])
    write_audio(tmp_path / "quiet.wav", 1e-3 * torch.randn(40_000))
    (tmp_path / "essay.wav").write_text("no sound at all")
    (tmp_path / "model.onnx").write_text("another model")
    with chromium() as tab:
        tab.open(address)
        tab.until(READY)
        tab.drop(tmp_path / "clip.wav")
        tab.until(f"{STATUS}.startsWith('clip.wav: up, ')")
        tab.drop(speech)
        seconds = len(read_audio(speech, resample=True)) / 16_000
        tab.until(f"{STATUS} === 'speech.wav: {seconds:.1f} s read.'")
        expected = events_of(model, read_audio(speech, resample=True))
        assert [word for _, word in expected] == list(COMMANDS)
        assert detections(tab)[1:] == [(f"{time:.1f} s", word) for time, word in expected]
        tab.drop(tmp_path / "quiet.wav")
        tab.until(f"{STATUS}.includes('no word detected')")
        tab.drop(tmp_path / "essay.wav")
        assert "essay.wav is not a recording that this browser can read" in problem_of(tab)
        tab.run(
            """{
                const held = new DataTransfer(), million = new Uint8Array(1e6);
                held.items.add(new File(Array(201).fill(million), "hours.wav"));
                const how = {bubbles: true, cancelable: true, dataTransfer: held};
                document.body.dispatchEvent(new DragEvent("drop", how));
            }"""
        )
        tab.until("document.getElementById('problem').innerText.includes('too long')")
        assert "use kws listen RUN FILE" in problem_of(tab)
        tab.drop(tmp_path / "model.onnx")
        tab.until("document.getElementById('problem').innerText.includes('is a model')")
        assert "run kws web" in problem_of(tab)


def test_no_microphone_and_one_that_is_refused(address):
    with chromium("--deny-permission-prompts") as tab:
        tab.open(address)
        tab.until(READY)
        tab.run("document.getElementById('listen').click()")
        assert "The microphone is not allowed: allow it" in problem_of(tab)
        for name, output in (
            ("NotFoundError", "no microphone: connect"),
            ("NotReadableError", "Another"),
        ):
            fails = f"async () => {{ throw new DOMException('', '{name}') }}"
            tab.run(f"navigator.mediaDevices.getUserMedia = {fails}; 0")
            tab.run("document.getElementById('listen').click()")
            tab.until(f"document.getElementById('problem').innerText.includes('{output}')")
        assert tab.run("!document.getElementById('choose').disabled"), "files can still be read"


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
        assert "“a/b” cannot be the name of a folder" in problem_of(tab)
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


def test_own_words_are_trained_in_the_page_shared_and_detected(address, speech, words, tmp_path):
    with chromium("--use-fake-ui-for-media-stream", microphone=speech) as tab:
        tab.open(address)
        tab.until(READY)
        # what is said in turn is recorded as two words, which the page then tells apart
        tab.run("document.getElementById('word').value = 'eins'")
        tab.run("document.getElementById('ten').click()")
        tab.until("document.querySelectorAll('#clips li').length === 5", 60)
        tab.run("document.getElementById('ten').click()")
        tab.run("document.getElementById('background').click()")
        tab.until("document.querySelectorAll('#clips li').length === 10", 60)
        tab.run("document.getElementById('train').click()")
        tab.until("document.getElementById('trained').innerText.startsWith('Trained in')", 60)
        assert tab.text("status") == "Ready for eins."
        rows = "[...document.querySelectorAll('#scores li')]"
        labels = tab.run(f"{rows}.map(row => row.children[0].innerText)")
        assert labels == ["silence", "eins"]
        link = tab.run("document.getElementById('link').href")
        write_audio(tmp_path / "bed.wav", words[0])
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
        assert "not a model of own words" in problem_of(tab)
        assert tab.log == []


def test_it_works_without_a_network(page, tmp_path):
    with server_of(page) as server, chromium() as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://localhost:{server.server_port}/"
        tab.open(address)
        tab.until("document.getElementById('about').innerText.includes('without a network')")
        server.shutdown()
        server.server_close()
        tab.open(address)
        tab.until(READY)
        asked = tab.run(
            "performance.getEntriesByType('resource').map(one => new URL(one.name).host)"
        )
        assert set(asked) == {f"localhost:{server.server_port}"}, "nobody else was asked"


@pytest.mark.parametrize(
    ("change", "output"),
    [
        (lambda page: (page / "model.onnx").write_bytes(b"other"), "not the model that this page"),
        (
            lambda page: (page / "model.onnx").unlink(),
            "model.onnx is missing here: copy every file",
        ),
        (lambda page: (page / "page.json").unlink(), "page.json is missing here: copy every file"),
        (lambda page: (page / "runtime/ort.js").unlink(), "cannot be run here"),
    ],
)
def test_a_folder_that_is_not_whole(change, output, page, tmp_path):
    other = Path(shutil.copytree(page, tmp_path / "page"))
    change(other)
    with server_of(other) as server, chromium() as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.open(f"http://localhost:{server.server_port}/")
        assert output in problem_of(tab)
        assert tab.text("status") == "Not ready."
        server.shutdown()


def test_a_browser_without_simd(address):
    with chromium() as tab:
        tab.call("Page.enable")
        tab.call(
            "Page.addScriptToEvaluateOnNewDocument", source="WebAssembly.validate = () => false"
        )
        tab.open(address)
        assert "This browser has no WebAssembly SIMD" in problem_of(tab)
        assert tab.run("document.getElementById('listen').disabled")


def test_every_control_is_reached_by_keyboard_and_has_a_name(address):
    with chromium() as tab:
        tab.open(address)
        tab.until(READY)
        reached = []
        for _ in range(6):
            for kind in ("rawKeyDown", "keyUp"):
                tab.call(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    key="Tab",
                    code="Tab",
                    windowsVirtualKeyCode=9,
                )
            reached.append(tab.run("document.activeElement.id"))
        own = ["background", "word", "record", "ten"]
        assert reached == ["listen", "choose", *own]
        tree = tab.call("Accessibility.getFullAXTree")["nodes"]
        kinds = ("button", "textbox", "meter", "image", "log", "Canvas")
        for node in tree:
            kind = node.get("role", {}).get("value")
            if kind in kinds and not node["ignored"]:
                assert node["name"]["value"], node
        assert sum(node.get("role", {}).get("value") == "meter" for node in tree) == len(LABELS)

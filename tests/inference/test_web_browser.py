"""The page in a browser: what is spoken is what is shown. Skips without Chromium or npm."""

import shutil
import threading
from pathlib import Path

import pytest
import torch

from kws.audio.recordings import read_audio, write_audio
from kws.cli import run as run_command
from kws.data.protocols import COMMANDS
from kws.inference.detector import Detector, Trigger
from kws.inference.waveform_graph import FromWaveform
from kws.inference.web_page import Handler, server_of
from tests.chromium import chromium
from tests.conftest import PATIENCE
from tests.inference.conftest import LABELS, features
from tests.other_browsers import firefox, until, webkit

pytestmark = [pytest.mark.slow, pytest.mark.no_shapes]

TEXTS = ("silence", "another word", *COMMANDS)  # as the page calls them
STATUS = "document.getElementById('status').innerText"
READY = "!document.getElementById('listen').disabled"
NARROW, WIDE = 360, 1280  # a phone, a desktop; CSS pixels


def events_of(patterns, waveform) -> list[tuple[float, str]]:
    """What torch and our detector say of a recording and a second of silence, window by window."""
    whole = torch.cat([waveform, torch.zeros(16_000)])
    detector, found = Detector(LABELS, Trigger()), []
    reader, shown = FromWaveform(patterns, features), torch.ones(1, 101, 40)
    for end in range(16_000, len(whole) + 1, 1_600):
        with torch.inference_mode():
            shares = reader(whole[None, end - 16_000 : end], shown)[0].softmax(1)[0].tolist()
        event = detector.push(end / 16_000, shares)
        if event is not None:
            found.append((event.time, event.word))
    return found


def test_the_word_spoken_is_the_word_shown_for_every_class(address, web_page, speech, tmp_path):
    shutil.copy(speech, web_page / "speech.wav")
    with chromium() as tab:
        tab.open(address)
        tab.until(READY)
        tab.run(Path(__file__).with_name("web_microphone.js").read_text(encoding="utf-8"))
        tab.run(
            """window.shown = []; new MutationObserver(() => shown.push(now.textContent)).observe(
                window.now = document.getElementById("now"), {childList: true}); 0"""
        )
        tab.run("document.getElementById('listen').click()")
        words = "document.querySelectorAll('#detections li:not(.source)').length"
        tab.until(f"{words} === {len(COMMANDS)}", PATIENCE)
        assert [word for _, word in tab.detections()] == list(COMMANDS)
        shown = [word for word in dict.fromkeys(tab.run("shown")) if word != "–"]
        assert shown == list(TEXTS), "each class in its turn, silence and other words too"
        assert tab.text("status") == "Listening."
        assert "ms from sound to score" in tab.text("latency")
        tab.until("document.getElementById('looked-text').innerText.startsWith('go: most of all')")
        for width in (NARROW, WIDE):
            tab.picture(tmp_path / "page.png", width=width, dark=width == NARROW)
            assert tab.run("document.documentElement.scrollWidth <= innerWidth"), width
        assert tab.log == []


def test_a_dropped_file_is_heard_as_by_us(address, speech, spoken, patterns, tmp_path):
    write_audio(tmp_path / "clip.wav", spoken[3])
    write_audio(tmp_path / "quiet.wav", 1e-3 * torch.randn(40_000))
    for kind in ("wav", "flac"):
        write_audio(tmp_path / f"telephone.{kind}", spoken[3][::2], 8_000)
        write_audio(tmp_path / f"cut.{kind}", spoken[3].repeat(8))
        whole = (tmp_path / f"cut.{kind}").read_bytes()
        (tmp_path / f"cut.{kind}").write_bytes(whole[: len(whole) // 2])
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
        expected = events_of(patterns, read_audio(speech, resample=True))
        assert [word for _, word in expected] == list(COMMANDS)
        assert tab.detections()[1:] == [(f"{time:.1f} s", word) for time, word in expected]
        tab.drop(tmp_path / "quiet.wav")
        tab.until(f"{STATUS}.includes('no word detected')")
        for kind in ("wav", "flac"):
            for name, why in (("telephone", "was recorded at 8000 Hz"), ("cut", "is cut short")):
                tab.drop(tmp_path / f"{name}.{kind}")
                tab.until(f"document.body.innerText.includes('{name}.{kind} {why}')")
        tab.drop(tmp_path / "essay.wav")
        tab.until("document.getElementById('problem').innerText.includes('essay')")
        assert "essay.wav is not a recording that this browser can read" in tab.problem()
        tab.run(
            """{
                const held = new DataTransfer(), million = new Uint8Array(1e6);
                held.items.add(new File(Array(201).fill(million), "hours.wav"));
                const how = {bubbles: true, cancelable: true, dataTransfer: held};
                document.body.dispatchEvent(new DragEvent("drop", how));
            }"""
        )
        tab.until("document.getElementById('problem').innerText.includes('too long')")
        assert "use kws listen RUN FILE" in tab.problem()
        tab.drop(tmp_path / "model.onnx")
        tab.until("document.getElementById('problem').innerText.includes('is a model')")
        assert "run kws web" in tab.problem()


def test_no_microphone_and_one_that_is_refused(address):
    with chromium("--deny-permission-prompts") as tab:
        tab.open(address)
        tab.until(READY)
        tab.run("document.getElementById('listen').click()")
        assert "The microphone is not allowed: allow it" in tab.problem()
        for name, output in (
            ("NotFoundError", "no microphone: connect"),
            ("NotReadableError", "Another"),
        ):
            fails = f"async () => {{ throw new DOMException('', '{name}') }}"
            tab.run(f"navigator.mediaDevices.getUserMedia = {fails}; 0")
            tab.run("document.getElementById('listen').click()")
            tab.until(f"document.getElementById('problem').innerText.includes('{output}')")
        assert tab.run("!document.getElementById('choose').disabled"), "files can still be read"


@pytest.mark.parametrize("browser", [firefox, webkit])
def test_other_browsers_hear_and_listen_without_a_network(browser, web_page):
    with server_of(web_page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with browser(f"http://localhost:{server.server_port}/") as run:
            until(run, READY)
            run("document.querySelector('#example-list button').click()")
            until(run, f"{STATUS}.startsWith('Example “up”: up, ')")
            until(run, "document.getElementById('looked-text').innerText.startsWith('up: most')")
        server.shutdown()


def test_the_model_of_kws_is_loaded_in_four_megabytes_each_file_once(tmp_path, monkeypatch):
    """What the server sends to a browser until the page is ready and works without a network."""
    sent: list[tuple[str, int]] = []
    plain = Handler.send_header

    def send_header(self, keyword, value):
        if keyword == "Content-Length":
            sent.append((self.path, int(value)))
        plain(self, keyword, value)

    monkeypatch.setattr(Handler, "send_header", send_header)
    if run_command(["web", str(tmp_path / "page")]) != 0:
        pytest.skip("needs ONNX Runtime Web")
    with server_of(tmp_path / "page") as server, chromium() as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.open(f"http://localhost:{server.server_port}/")
        tab.until("document.getElementById('about').innerText.includes('without a network')")
        tab.until(READY)
        server.shutdown()
    assert sum(size for _, size in sent) < 4e6
    large = [path for path, size in sent if size > 10_000]
    assert len(large) == len(set(large))


def test_it_works_without_a_network(web_page, tmp_path):
    with server_of(web_page) as server, chromium() as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://localhost:{server.server_port}/"
        tab.open(address)
        tab.until("document.getElementById('about').innerText.includes('without a network')")
        server.shutdown()
        server.server_close()
        tab.open(address)
        tab.until(READY)
        wanted = tab.run(
            "performance.getEntriesByType('resource').map(one => new URL(one.name).host)"
        )
        assert set(wanted) == {f"localhost:{server.server_port}"}, "nobody else was asked"


def test_a_newer_version_of_the_page_is_loaded_whole(web_page, tmp_path):
    other = Path(shutil.copytree(web_page, tmp_path / "page"))
    with server_of(other) as server, chromium() as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.open(f"http://localhost:{server.server_port}/")
        tab.until(READY)
        for name, old, new in (("page.json", '"Key', '"New key'), ("sw.js", 'N = "', 'N = "2')):
            text = (other / name).read_text().replace(old, new, 1)
            (other / name).write_text(text)
        tab.open(f"http://localhost:{server.server_port}/")
        tab.until("document.title === 'New keyword spotter'")
        tab.until(READY)
        server.shutdown()


@pytest.mark.parametrize(
    ("change", "output"),
    [
        (lambda page: (page / "model.onnx").write_bytes(b"other"), "not the model that this page"),
        (lambda page: (page / "model.onnx").unlink(), "model.onnx is missing here: copy every"),
        (lambda page: (page / "page.json").unlink(), "page.json is missing here: copy every file"),
        (lambda page: (page / "runtime/ort.js").unlink(), "cannot be run here"),
    ],
)
def test_a_folder_that_is_not_whole(change, output, web_page, tmp_path):
    other = Path(shutil.copytree(web_page, tmp_path / "page"))
    change(other)
    with server_of(other) as server, chromium() as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.open(f"http://localhost:{server.server_port}/")
        assert output in tab.problem()
        assert tab.text("status") == "Not ready."
        server.shutdown()


def test_a_browser_without_simd(address):
    with chromium() as tab:
        tab.call("Page.enable")
        tab.call(
            "Page.addScriptToEvaluateOnNewDocument", source="WebAssembly.validate = () => false"
        )
        tab.open(address)
        assert "This browser has no WebAssembly SIMD" in tab.problem()
        assert tab.run("document.getElementById('listen').disabled")


def test_every_control_is_reached_by_keyboard_and_has_a_name(address):
    with chromium() as tab:
        tab.open(address)
        tab.until(READY)
        reached = []
        for _ in range(13):
            for kind in ("rawKeyDown", "keyUp"):
                tab.call(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    key="Tab",
                    code="Tab",
                    windowsVirtualKeyCode=9,
                )
            reached.append(tab.run("document.activeElement.id"))
        first = ["projector", "listen", "choose", "choose-folder", "", "", ""]  # examples
        assert reached == [*first, "log", "threshold", "word", "ten", "record", "background"]
        tree = tab.call("Accessibility.getFullAXTree")["nodes"]
        kinds = ("button", "textbox", "meter", "image", "log", "Canvas")
        for node in tree:
            kind = node.get("role", {}).get("value")
            if kind in kinds and not node["ignored"]:
                assert node["name"]["value"], node
        assert sum(node.get("role", {}).get("value") == "meter" for node in tree) == len(LABELS)

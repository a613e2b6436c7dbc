"""A browser for tests: the system's Chromium without a window, driven by the DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/. A recording can be its microphone.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
QUIET = (
    "--no-sandbox",  # tests may run as root, and open their own pages alone
    "--disable-gpu",
    "--disable-dev-shm-usage",
)
FLAGS = (
    *QUIET,
    "--headless=new",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
STARTS, ANSWERS = 60, 60  # seconds, on a slow and busy machine


class Tab:
    """A page of the browser."""

    def __init__(self, socket: Any):
        self.socket, self.count = socket, 0
        self.log: list[str] = []  # what the page complained about

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": arguments}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("method") == "Runtime.exceptionThrown":
                self.log.append(json.dumps(message["params"]["exceptionDetails"]))
            if message.get("method") == "Log.entryAdded":
                self.log.append(message["params"]["entry"]["text"])
            if message.get("id") == self.count:
                assert "error" not in message, message["error"]
                return message["result"]

    def run(self, code: str) -> Any:
        """The value of an expression of JavaScript; of a promise, what it comes to."""
        found = self.call(
            "Runtime.evaluate",
            expression=code,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, address: str) -> None:
        """Load a page."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def until(self, code: str, seconds: float = ANSWERS) -> None:
        """Wait for an expression to be true."""
        end = time.monotonic() + seconds
        while not self.run(code):
            assert time.monotonic() < end, (
                f"{code}: {self.run('document.body.innerText')} {self.log}"
            )
            time.sleep(0.1)

    def text(self, name: str) -> str:
        """What is written in the element with this id."""
        return self.run(f"document.getElementById('{name}').innerText").strip()

    def problem(self) -> str:
        """The one sentence of what is wrong."""
        self.until("!document.getElementById('problem').hidden")
        output = self.text("problem")
        assert output.endswith("."), output
        assert ". " not in output, output
        return output

    def detections(self) -> list[tuple[str, str]]:
        """(time, word) of all recordings as the page lists them, the first one first."""
        rows = "[...document.querySelectorAll('#detections li:not(.source)')]"
        cells = f"{rows}.map(r => [r.children[0].innerText, r.children[1].innerText])"
        return [tuple(row) for row in self.run(cells)][::-1]

    def drop_really(self, path: Path) -> None:
        """Drop a file or a folder as a user does: the browser itself looks into it."""
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=100, y=100, data=data)

    def drop(self, path: Path) -> None:
        """Drop a file on the page."""
        data = base64.b64encode(path.read_bytes()).decode()
        self.run(
            f"""{{
                const held = new DataTransfer();
                const bytes = Uint8Array.from(atob("{data}"), (c) => c.charCodeAt(0));
                held.items.add(new File([bytes], {json.dumps(path.name)}));
                const how = {{bubbles: true, cancelable: true, dataTransfer: held}};
                document.body.dispatchEvent(new DragEvent("drop", how));
            }}"""
        )

    def picture(self, out: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """A screenshot of the whole page at a width, as a phone's if that is narrow."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        out.write_bytes(base64.b64decode(data))


@contextmanager
def chromium(*flags: str, microphone: Path | None = None) -> Iterator[Tab]:
    """A browser with one empty page; skips the test where there is no Chromium.

    `microphone` is a wav file, played once from the moment the microphone is opened.
    """
    if BROWSER is None:
        pytest.skip("needs a browser: install chromium")
    websocket = pytest.importorskip("websocket", reason="needs websocket-client")
    if microphone is not None:
        flags = (*flags, f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [BROWSER, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = _port(Path(profile, "DevToolsActivePort"))
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
            socket = websocket.create_connection(
                pages[0]["webSocketDebuggerUrl"], timeout=ANSWERS, suppress_origin=True
            )
            try:
                yield Tab(socket)
            finally:
                socket.close()
        finally:
            process.terminate()
            process.wait(STARTS)


def _port(path: Path) -> int:
    end = time.monotonic() + STARTS
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end, "Chromium did not start"
        time.sleep(0.1)
    return int(path.read_text().splitlines()[0])

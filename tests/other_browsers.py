"""Firefox and WebKit for tests, where they are installed: open a page, run JavaScript.

Firefox speaks WebDriver BiDi over a socket (https://w3c.github.io/webdriver-bidi/); WebKitGTK has a
WebDriver of its own (https://www.w3.org/TR/webdriver2/; Debian's webkit2gtk-driver), as Safari has.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import ANSWERS, STARTS

Run = Callable[[str], Any]  # an expression of JavaScript, which may be a promise -> its value


def until(run: Run, code: str, seconds: float = ANSWERS) -> None:
    """Wait for an expression to be true."""
    end = time.monotonic() + seconds
    while not run(code):
        assert time.monotonic() < end, f"{code}: {run('document.body.innerText')}"
        time.sleep(0.2)


@contextmanager
def firefox(address: str) -> Iterator[Run]:
    """Firefox with the page of the address; skips the test where there is none."""
    program = next(filter(None, map(shutil.which, ("firefox", "firefox-esr"))), None)
    websocket = pytest.importorskip("websocket", reason="needs websocket-client")
    if program is None:
        pytest.skip("needs a browser: install firefox or firefox-esr")
    port = _free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, "--headless", "--no-remote", "--profile", profile]
        command += [f"--remote-debugging-port={port}", "about:blank"]
        with _running(command, {"HOME": profile}):
            bidi = _patiently(
                lambda: websocket.create_connection(
                    f"ws://127.0.0.1:{port}/session", timeout=ANSWERS, suppress_origin=True
                )
            )

            def call(method: str, **arguments: Any) -> Any:
                bidi.send(json.dumps({"id": 1, "method": method, "params": arguments}))
                while "id" not in (answer := json.loads(bidi.recv())):
                    pass
                assert answer["type"] == "success", answer
                return answer["result"]

            call("session.new", capabilities={})
            tab = call("browsingContext.getTree")["contexts"][0]["context"]
            call("browsingContext.navigate", context=tab, url=address, wait="complete")

            def run(code: str) -> Any:
                code = f"Promise.resolve({code}).then((value) => JSON.stringify(value) ?? 'null')"
                where = {"target": {"context": tab}, "awaitPromise": True, "userActivation": True}
                answer = call("script.evaluate", expression=code, **where)
                assert answer["type"] == "success", answer
                return json.loads(answer["result"]["value"])

            yield run
            bidi.close()


@contextmanager
def webkit(address: str) -> Iterator[Run]:
    """WebKitGTK's small browser with the page; skips the test where there is none."""
    program, display = shutil.which("WebKitWebDriver"), shutil.which("Xvfb")
    browsers = sorted(Path("/usr").glob("lib*/**/webkit2gtk-4.*/MiniBrowser"))
    if not program or not browsers or not (display or os.environ.get("DISPLAY")):
        pytest.skip("needs a browser: install webkit2gtk-driver and xvfb")
    port, screen = _free_port(), f":{_free_port()}"
    options = {"binary": str(browsers[-1]), "args": ["--automation"]}
    environment = {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1", "LIBGL_ALWAYS_SOFTWARE": "1"}
    environment |= {} if os.environ.get("DISPLAY") else {"DISPLAY": screen}
    x = [display, screen, "-screen", "0", "1280x900x24"] if "DISPLAY" in environment else ["true"]
    with _running(x), _running([program, f"--port={port}"], environment):

        def call(method: str, path: str, **arguments: Any) -> Any:
            data = json.dumps(arguments).encode() if method == "POST" else None
            asked = urllib.request.Request(
                f"http://127.0.0.1:{port}{path}", data, method=method
            )
            with urllib.request.urlopen(asked, timeout=ANSWERS) as answer:
                return json.load(answer)["value"]

        wanted = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
        session = "/session/" + _patiently(
            lambda: call("POST", "/session", capabilities=wanted)["sessionId"]
        )
        try:
            call("POST", f"{session}/url", url=address)

            def run(code: str) -> Any:
                script = f"const done = arguments[0]; Promise.resolve({code}).then(done)"
                return call("POST", f"{session}/execute/async", script=script, args=[])

            yield run
        finally:
            call("DELETE", session)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def _running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        env=os.environ | (environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(STARTS)


def _patiently(work: Callable[[], Any]) -> Any:
    """What `work` gives once its server listens."""
    end = time.monotonic() + STARTS
    while True:
        try:
            return work()
        except OSError:
            assert time.monotonic() < end, "the browser did not start"
            time.sleep(0.2)

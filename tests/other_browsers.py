"""Firefox and WebKit for tests, where they are installed: a page, and JavaScript that runs in it.

Firefox speaks WebDriver BiDi over a socket (https://w3c.github.io/webdriver-bidi/), WebKitGTK the
WebDriver of https://www.w3.org/TR/webdriver2/ (Debian: webkit2gtk-driver, xvfb), as Safari does.
"""

import json
import os
import shutil
import signal
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


def until(run: Run, code: str) -> None:
    """Wait for an expression to be true."""
    end = time.monotonic() + ANSWERS
    while not run(code):
        assert time.monotonic() < end, f"{code}: {run('document.body.innerText')}"
        time.sleep(0.2)


@contextmanager
def firefox(address: str) -> Iterator[Run]:
    """Firefox with the page of the address; skips the test where there is none."""
    program = shutil.which("firefox") or shutil.which("firefox-esr")
    websocket = pytest.importorskip("websocket", reason="needs websocket-client")
    if program is None:
        pytest.skip("needs a browser: install firefox or firefox-esr")
    port = _free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = [program, "--headless", "--no-remote", "--profile", home]
        with _running([*command, f"--remote-debugging-port={port}", "about:blank"], HOME=home):
            connect = websocket.create_connection
            where = f"ws://127.0.0.1:{port}/session"
            bidi = _patiently(lambda: connect(where, timeout=ANSWERS, suppress_origin=True))

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
                how = {"target": {"context": tab}, "awaitPromise": True, "userActivation": True}
                return json.loads(
                    call("script.evaluate", expression=code, **how)["result"]["value"]
                )

            yield run
            bidi.close()


@contextmanager
def webkit(address: str) -> Iterator[Run]:
    """WebKitGTK's small browser with the page; skips the test where there is none."""
    browsers = sorted(Path("/usr").glob("lib*/**/webkit2gtk-4.*/MiniBrowser"))
    screen = [] if os.environ.get("DISPLAY") else ["xvfb-run", "--auto-servernum"]
    if not browsers or not all(map(shutil.which, ["WebKitWebDriver", *screen[:1]])):
        pytest.skip("needs a browser: install webkit2gtk-driver and xvfb")
    port = _free_port()
    options = {"binary": str(browsers[-1]), "args": ["--automation"]}
    as_root = {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}  # it opens our own page alone
    with _running([*screen, "WebKitWebDriver", f"--port={port}"], **as_root):

        def call(path: str, **arguments: Any) -> Any:
            url = f"http://127.0.0.1:{port}/session{path}"
            with urllib.request.urlopen(url, json.dumps(arguments).encode()) as answer:
                return json.load(answer)["value"]

        wanted = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
        session = "/" + _patiently(lambda: call("", capabilities=wanted)["sessionId"])
        call(f"{session}/url", url=address)

        def run(code: str) -> Any:
            script = f"const done = arguments[0]; Promise.resolve({code}).then(done)"
            return call(f"{session}/execute/async", script=script, args=[])

        yield run


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def _running(command: list[str], **environment: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, env=os.environ | environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
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

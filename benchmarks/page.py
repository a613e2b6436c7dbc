"""What a browser loads of the page of the model that comes with kws, and what its 8 bits cost.

    python benchmarks/page.py [CLIPS]

The bytes are those that `kws web --serve` sends to Chromium from an empty cache until the page is
ready and works without a network, by part. With CLIPS (`speech_commands_excerpt`) the page's graph
labels the test clips by speakers whom the model was not trained on, beside torch.
"""

import argparse
import json
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import torch

import kws
from kws.cli import run
from kws.data.speech_commands import load_speech_commands
from kws.inference.onnx_tools import open_session
from kws.inference.web_page import Handler, server_of
from kws.metrics import Proportion

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.chromium import BROWSER, chromium

PARTS = {
    "runtime": ("/runtime/",),
    "model": ("/model.onnx",),
    "examples": ("/examples/",),
    "embeddings of other words": ("/others.bin",),
}


def part_of(path: str) -> str:
    """The line of the table in which a file is counted."""
    found = (name for name, starts in PARTS.items() if path.startswith(starts))
    return next(found, "page and scripts")


def loaded(page: Path) -> Counter[str]:
    """Bytes of content that a browser is sent, by part."""
    sent: Counter[str] = Counter()
    plain = Handler.send_header

    def send_header(self: Handler, keyword: str, value: str) -> None:
        if keyword == "Content-Length":
            sent[part_of(self.path)] += int(value)
        plain(self, keyword, value)

    Handler.send_header = send_header  # type: ignore[method-assign]
    with server_of(page) as server, chromium() as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.open(f"http://localhost:{server.server_port}/")
        tab.until("document.getElementById('about').innerText.includes('without a network')")
        tab.until("!document.getElementById('listen').disabled")
        server.shutdown()
    return sent


def compare(page: Path, clips: Path) -> dict[str, object]:
    """Accuracy of torch and of the page's graph, and how often both give the same label."""
    trained = kws.load("keywords")
    split = load_speech_commands(clips, "v2-12", "testing")
    session, answers = open_session(page / "model.onnx"), []
    shown = np.ones((1, *trained.features(torch.zeros(1, 16_000)).shape[1:]), np.float32)
    for row in torch.arange(len(split)).split(1):
        waveform = split.waveforms(row)
        with torch.inference_mode():
            expected = trained.model.eval()(trained.features(waveform)).softmax(1)
        (logits,) = session.run(["logits"], {"waveform": waveform.numpy(), "shown": shown})
        found = torch.from_numpy(logits).softmax(1)
        difference = float((found - expected).abs().max())
        answers.append((int(expected.argmax()), int(found.argmax()), difference))
    labels, n = split.labels.tolist(), len(split)
    pairs = [(torch_label, label) for torch_label, label, _ in answers]
    counted = {
        "torch": sum(a == label for (a, _), label in zip(pairs, labels, strict=True)),
        "the page": sum(b == label for (_, b), label in zip(pairs, labels, strict=True)),
        "the same label": sum(a == b for a, b in pairs),
    }
    shares = {name: str(Proportion(correct=right, n=n)) for name, right in counted.items()}
    return {**shares, "largest difference of a probability": max(d for *_, d in answers)}


def main() -> None:
    """Print a line a part, then one of JSON."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("clips", type=Path, nargs="?")
    arguments = parser.parse_args()
    if BROWSER is None:
        print("not run: Chromium is not installed")
        print(json.dumps({}))
        return
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch, "page")
        if run(["web", "keywords", str(page)]) != 0:
            raise SystemExit(2)
        result: dict[str, object] = dict(loaded(page).most_common())
        result["all"] = sum(value for value in result.values() if isinstance(value, int))
        if arguments.clips:
            result |= compare(page, arguments.clips)
    for name, value in result.items():
        print(f"{name}: {value:,} bytes" if isinstance(value, int) else f"{name}: {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""A folder of static files that shows a model to anyone: microphone to words, in the browser.

    write_page("page", model, labels, features)

Any web server can serve the folder; `serve` does on this machine. The page's own files are in
`kws/web`: they read `page.json`, which has the name of the model, its words and what it needs.
Nothing is requested from another host, and a service worker keeps all files for use offline.
"""

import gzip
import http.server
import io
import json
import tempfile
import webbrowser
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kws import __version__
from kws.audio.features import pad_or_trim
from kws.audio.recordings import CLIP_SAMPLES, SAMPLE_RATE, read_audio
from kws.data.listing import read_listing
from kws.data.own_words import spare_corpus
from kws.errors import UsageError
from kws.files import write_bytes
from kws.inference.detector import Trigger, words_of
from kws.inference.waveform_graph import (
    SPECTROGRAM_MELS,
    Features,
    FromWaveform,
    export_waveform,
    export_waveform_step,
)
from kws.inference.web_runtime import runtime_files

FILES = Path(__file__).parents[1] / "web"
SETTINGS, GRAPH, STEP, WORKER = "page.json", "model.onnx", "step.onnx", "sw.js"
STEPPING = Trigger(hop_ms=30, smooth_ms=510, in_a_row=11)  # 300 ms at the threshold, as by default
OTHERS = "others.bin"  # embeddings of other words, int8, row by row
MOST_EXAMPLES = 10
TIMES, BANDS = 10, 5  # the grid of what is hidden in turn, to see where the model looked
TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".onnx": "application/octet-stream"}


def write_page(
    out: str | Path,
    model: nn.Module,
    labels: Sequence[str],
    features: Features,
    *,
    title: str = "Keyword spotter",
    trigger: Trigger | None = None,
    mel_features: bool = True,
    runtime: str | Path | None = None,
    others: tuple[Sequence[str], Float[Tensor, "n D"]] | None = None,
    examples: Mapping[str, bytes] | None = None,
    measured: str = "",
    has_state: bool = False,
) -> Path:
    """Write the page of a keyword model into the folder `out`, and return it.

    Args:
        out: a new or empty folder, or one that holds such a page: its files are replaced.
        model: what the model reads (B, T, F) -> logits (B, C).
        labels: the C classes; those in underscores are no words.
        features: waveforms (B, 16000) -> what the model reads.
        title: of the page.
        trigger: what makes a detection of scores; None: that of `kws listen`, of a model with
            state in as many milliseconds.
        mel_features: features of a frame go from low frequencies to high ones.
        runtime: a folder with ONNX Runtime Web; None fetches it by npm, once.
        others: words and their embeddings: "another word" for own words that are trained there.
        examples: words and recordings of them (wav files) to click on; None: `example_clips`.
        measured: evaluation-stream.json, or a card, for the slider of the threshold.
        has_state: a `CausalModel` steps through a stream, in place of reading windows of a second.

    Raises:
        UsageError: the folder holds something else, a package or the runtime is missing, or the
            graph does not fit the model.
    """
    out, trigger = Path(out), trigger or (STEPPING if has_state else Trigger())
    words = words_of(labels)
    if not words:
        raise UsageError(f"none of the labels is a word: {', '.join(labels)}: name at least one")
    if out.exists() and not (out / SETTINGS).is_file() and (out.is_file() or any(out.iterdir())):
        raise UsageError(f"{out}: contains something other than such a page: choose another folder")
    files = {f"runtime/{name}": data for name, data in runtime_files(runtime).items()}
    files |= {path.name: path.read_bytes() for path in sorted(FILES.iterdir()) if path.is_file()}
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch, GRAPH)
        metadata = {"producer": f"kws {__version__}", "labels": json.dumps(list(labels))}
        _, (frames, size, width) = export_waveform(
            model, features, graph, num_classes=len(labels), metadata=metadata
        )
        files[GRAPH] = graph.read_bytes()
        step = None
        if has_state:
            about = export_waveform_step(model, features, graph)
            files[STEP] = graph.read_bytes()
            step = {**about, **described(STEP, files[STEP])}
    names, rows = others or ((), torch.zeros(1, width))
    scale = float(rows.abs().max()) / 127 or 1.0
    files[OTHERS] = (rows / scale).round().to(torch.int8).numpy().tobytes() if names else b""
    examples = example_clips(model, labels, features) if examples is None else examples
    places = {word: f"examples/{row}.wav" for row, word in enumerate(examples)}
    files |= {places[word]: data for word, data in examples.items()}
    settings = {
        "title": title,
        "about": f"Made by kws {__version__}.",
        "labels": list(labels),
        "words": list(words),
        "trigger": vars(trigger),
        "rate": SAMPLE_RATE,
        "samples": CLIP_SAMPLES,
        "frames": frames,
        "features": size,
        "mels": SPECTROGRAM_MELS,
        "low": 20,  # Hz, of those bands
        "high": SAMPLE_RATE // 2,
        "examples": [{"word": word, "file": file} for word, file in places.items()],
        "measured": measured,
        "embedding": width,
        "others": {"file": OTHERS, "words": list(names), "scale": scale},
        "explain": {"times": TIMES, "bands": BANDS if mel_features else 1},
        "model": described(GRAPH, files[GRAPH]),
        "step": step,
    }
    files[SETTINGS] = (json.dumps(settings, ensure_ascii=False, indent=1) + "\n").encode()
    files[WORKER] = service_worker(files)
    for name in sorted(files):
        write_bytes(out / name, files[name])
    return out


def described(name: str, data: bytes) -> dict[str, str | int]:
    """What a page compares a file with."""
    return {"file": name, "bytes": len(data), "sha256": sha256(data).hexdigest()}


@torch.no_grad()
def example_clips(model: nn.Module, labels: Sequence[str], features: Features) -> dict[str, bytes]:
    """The best test clip of up to `MOST_EXAMPLES` labels and of one other word, as wav."""
    listing = read_listing(spare_corpus())
    clips: dict[str, list[Path]] = defaultdict(list)
    for name, split in zip(listing.names, listing.splits, strict=True):
        if split == "testing":
            clips[name.partition("/")[0]].append(listing.root / name)
    words = [word for word in labels if word in clips][:MOST_EXAMPLES]
    chosen, reader = {}, FromWaveform(model, features)
    for word in words:
        waveforms = torch.stack([pad_or_trim(read_audio(path)) for path in clips[word]])
        logits, _, _ = reader(waveforms, torch.ones_like(features(waveforms)))
        best = int(logits.softmax(1)[:, list(labels).index(word)].argmax())
        chosen[word] = clips[word][best].read_bytes()
    others = [word for word in clips if word not in labels][:1]
    return chosen | {word: clips[word][0].read_bytes() for word in others}


def service_worker(files: dict[str, bytes]) -> bytes:
    """The service worker that keeps `files`; its version changes when one of them does."""
    kept = ["./", *sorted(name for name in files if name != WORKER)]
    version = sha256(b"".join(files[name] for name in sorted(files))).hexdigest()[:16]
    text = files[WORKER].decode()
    return text.replace("{version}", version).replace("{files}", json.dumps(kept)).encode()


@lru_cache(maxsize=64)
def compressed(path: Path, changed: int) -> bytes:
    """The file by gzip; `changed`, its time in nanoseconds, has it read again."""
    return gzip.compress(path.read_bytes(), mtime=0)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve files with the types that browsers require on any system; no log."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, **TYPES}  # noqa: RUF012

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Files are compressed where the browser takes that: a quarter of the bytes."""
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if "gzip" not in self.headers.get("Accept-Encoding", "") or not path.is_file():
            return super().send_head()
        data = compressed(path, path.stat().st_mtime_ns)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        return io.BytesIO(data)

    def end_headers(self) -> None:
        """Let nothing be kept but what the service worker keeps: pages are made again."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def server_of(folder: str | Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A web server on localhost, not yet serving. UsageError: `port` (0: any) is taken."""

    class Here(Handler):
        def __init__(self, *args: object):
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), Here)
    except (OSError, OverflowError):
        raise UsageError(f"--port {port}: cannot be used here: choose another port") from None


def serve(folder: str | Path, port: int = 0) -> None:
    """Serve the page on localhost, in the browser, until Ctrl-C."""
    with server_of(folder, port) as server:
        address = f"http://localhost:{server.server_port}/"
        print(f"serving {folder} at {address} until Ctrl-C", flush=True)
        webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")

"""What listening costs: CPU seconds of one core a second of audio, start and memory of the command.

    python benchmarks/listening.py [--seconds 60] [--starts 5]

Audio comes in blocks of 100 ms, as from a microphone. The model that comes with kws reads its last
second again every 100 ms; those of STATEFUL read each frame once, a step every 30 ms (with fresh
weights: their speed does not depend on them). All by torch and by onnxruntime, log-mel included.
The command is timed from its start to the end of recordings of two seconds and of a minute, as many
times as --starts says; the lowest counts, for the machine has other work.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from report import hardware

import kws
from kws.audio.normalize import Normalizer
from kws.audio.recordings import write_audio
from kws.inference.export import export_step
from kws.inference.onnx_stream import SHIPPED_ONNX, OnnxStream
from kws.inference.streaming import StreamModel, posteriors
from kws.inference.torch_stream import TorchStream
from kws.training.checkpoint import SHIPPED, Trained, new_model
from kws.training.recipe import load_recipe

BLOCK = 1600  # samples, 100 ms
STATEFUL = ("keywords-causal", "keywords-causal-conformer")
COMMAND = """
import sys, time
from pathlib import Path
from kws.cli import run
run(["listen", *sys.argv[1:]])
status = Path("/proc/self/status").read_text()
peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
print("torch" in sys.modules, time.process_time(), peak, file=sys.stderr)
"""


def blocks(seconds: int) -> Iterator[np.ndarray]:
    """Noise."""
    rng = np.random.default_rng(0)
    return (rng.normal(0, 0.05, BLOCK).astype(np.float32) for _ in range(10 * seconds))


def cost(model: StreamModel, hop_ms: int, seconds: int) -> tuple[float, int]:
    """CPU milliseconds a second of audio, and posteriors."""
    sum(1 for _ in posteriors(model, blocks(3), hop_ms=hop_ms))  # tables and caches
    began = time.process_time()
    count = sum(1 for _ in posteriors(model, blocks(seconds), hop_ms=hop_ms))
    return 1000 * (time.process_time() - began) / seconds, count


def started(arguments: list[str], times: int) -> dict[str, float]:
    """The lowest wall time, CPU time and memory of the command, with a recording."""
    rows = []
    for _ in range(times):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", COMMAND, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        wall = time.perf_counter() - began
        loaded, cpu, peak = done.stderr.splitlines()[-1].split()
        assert loaded == str(arguments[0] == str(SHIPPED["keywords"]))
        rows.append((wall, float(cpu), int(peak) / 1000))
    seconds, cpu_seconds, mb = (min(column) for column in zip(*rows, strict=True))
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "mb": mb}


def untrained(name: str, like: Trained) -> Trained:
    """The model of the recipe `name`, with fresh weights and the labels of another."""
    recipe = load_recipe(name)
    return Trained(
        model=new_model(recipe, len(like.labels)).eval(),
        recipe=recipe,
        labels=like.labels,
        protocol=like.protocol,
        normalizer=Normalizer(kind="none"),
        step=0,
    )


def main() -> None:
    """Print a line a model, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--starts", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    shipped = kws.load("keywords")
    with tempfile.TemporaryDirectory() as scratch:
        clips = {each: Path(scratch) / f"{each}.wav" for each in (2, 60)}  # by seconds
        for each, clip in clips.items():
            write_audio(clip, torch.zeros(16_000 * each))
        models: dict[str, tuple[StreamModel, int]] = {
            "windows every 100 ms, torch": (TorchStream(shipped), 100),
            "windows every 100 ms, onnxruntime": (OnnxStream(SHIPPED_ONNX), 100),
        }
        for name in STATEFUL:
            state, graph = untrained(name, shipped), Path(scratch) / f"{name}.onnx"
            export_step(state, graph)
            models[f"{name}, steps every 30 ms, torch"] = TorchStream(state), 30
            models[f"{name}, steps every 30 ms, onnxruntime"] = OnnxStream(graph), 30
        rows = {name: cost(*each, chosen.seconds) for name, each in models.items()}
        for name, (milliseconds, count) in rows.items():
            print(f"{name}: {milliseconds:.1f} CPU ms a second of audio, {count:,} posteriors")
        commands = {"torch": str(SHIPPED["keywords"]), "onnxruntime": "keywords"}
        starts = {
            f"{name}, {each} s": started([model, str(clip)], chosen.starts)
            for name, model in commands.items()
            for each, clip in clips.items()
        }
        for name, found in starts.items():
            print(
                f"kws listen FILE, {name}: {found['seconds']:.2f} s, {found['cpu_seconds']:.2f} "
                f"CPU s, {found['mb']:.0f} MB (lowest of {chosen.starts})"
            )
    print(hardware())
    print(json.dumps({"benchmark": "listening", "seconds": chosen.seconds, "rows": rows, **starts}))


if __name__ == "__main__":
    main()

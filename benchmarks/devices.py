"""Which model fits a device: accuracy, size and time of runs, in float and in 8 bits.

    python benchmarks/devices.py FOLDER RUN RUN …

Each run is exported by `kws.inference.quantize`, calibrated on the training part of FOLDER and
measured on its testing part; times are CPU milliseconds of one core for one clip, features not
included.
"""

import argparse
import copy
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from report import hardware
from torch.utils.flop_counter import FlopCounterMode

from kws.audio.recordings import CLIP_SAMPLES
from kws.data.clips import ClipSplit
from kws.inference.evaluate import load_split
from kws.inference.export import export_onnx
from kws.inference.onnx_tools import open_session
from kws.inference.quantize import export_quantized
from kws.inference.streaming import WINDOW_FRAMES
from kws.metrics import percent
from kws.models.counts import count_parameters
from kws.training.checkpoint import Trained, load_model

TIMED = 50  # clips, one at a time; the median counts


def multiply_adds(trained: Trained) -> int:
    """Multiplications with an addition that a clip of a second takes, the features not included.

    Counted by torch while the model reads one.
    """
    features = trained.features(torch.zeros(1, CLIP_SAMPLES)).double()
    model = copy.deepcopy(trained.model).cpu().double().eval()  # fast twins are not counted
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(features, None)
    return counter.get_total_flops() // 2


def milliseconds(model: Path, trained: Trained) -> float:
    """Median CPU time of one clip on one core: other work on the machine is not counted."""
    session = open_session(model)
    size = (1, WINDOW_FRAMES, trained.recipe.features.num_features)
    inputs = {"features": torch.randn(size).numpy(), "valid": np.ones(size[:2], dtype=bool)}
    times = []
    for _ in range(TIMED):
        began = time.process_time()
        session.run(None, inputs)
        times.append(time.process_time() - began)
    return 1000 * float(np.median(times))


def main() -> None:
    """Print the table as Markdown, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| model | parameters | multiply-adds | float kB | int8 kB | float ms | int8 ms "
        "| float % | int8 % | n | 95 % interval, int8 |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    rows = []
    for run in arguments.runs:
        trained = load_model(run)
        training, testing = (
            load_split(trained, arguments.data, split) for split in ("training", "testing")
        )
        assert isinstance(training, ClipSplit)
        assert isinstance(testing, ClipSplit)
        with tempfile.TemporaryDirectory() as folder:
            whole, small = (Path(folder) / f"{name}.onnx" for name in ("whole", "small"))
            found = export_quantized(trained, small, training, testing)
            export_onnx(trained, whole)
            times = [milliseconds(path, trained) for path in (whole, small)]
        counted = multiply_adds(trained)
        name, parameters = trained.recipe.model.name, count_parameters(trained.model)
        print(
            f"| {name} | {parameters:,} | {counted / 1e6:.1f} M "
            f"| {found.bytes_before / 1e3:,.0f} | {found.bytes_after / 1e3:,.0f} "
            f"| {times[0]:.2f} | {times[1]:.2f} "
            f"| {percent(found.before.value)} | {percent(found.after.value)} | {found.after.n} "
            f"| {percent(found.after.low)}–{percent(found.after.high)} |",
            flush=True,
        )
        rows.append(
            {
                "model": name,
                "parameters": parameters,
                "multiply_adds": counted,
                "bytes": [found.bytes_before, found.bytes_after],
                "ms": times,
                "accuracy": [found.before.as_dict(), found.after.as_dict()],
            }
        )
    print(hardware())
    print(json.dumps({"benchmark": "devices", "threads": 1, "rows": rows}))


if __name__ == "__main__":
    main()

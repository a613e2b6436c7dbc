"""Which model fits a device: accuracy, size and time of runs, in float and in 8 bits.

    python benchmarks/devices.py FOLDER RUN RUN …

Each run is exported by `kws.inference.quantize`, calibrated on the training part of FOLDER and
measured on its testing part; times are CPU milliseconds of one core for one clip, features not
included.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from report import hardware

from kws.data.clips import ClipSplit
from kws.inference.evaluate import load_split
from kws.inference.quantize import export_quantized
from kws.metrics import percent
from kws.models.counts import count_parameters
from kws.training.checkpoint import load_model


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
            found = export_quantized(trained, Path(folder) / "m.onnx", training, testing)
        name, parameters = trained.recipe.model.name, count_parameters(trained.model)
        print(
            f"| {name} | {parameters:,} | {found.multiply_adds / 1e6:.1f} M "
            f"| {found.bytes_before / 1e3:,.0f} | {found.bytes_after / 1e3:,.0f} "
            f"| {found.ms_before:.2f} | {found.ms_after:.2f} "
            f"| {percent(found.before.value)} | {percent(found.after.value)} | {found.after.n} "
            f"| {percent(found.after.low)}–{percent(found.after.high)} |",
            flush=True,
        )
        rows.append(
            {
                "model": name,
                "parameters": parameters,
                "multiply_adds": found.multiply_adds,
                "bytes": [found.bytes_before, found.bytes_after],
                "ms": [found.ms_before, found.ms_after],
                "accuracy": [found.before.as_dict(), found.after.as_dict()],
            }
        )
    print(hardware())
    print(json.dumps({"benchmark": "devices", "threads": 1, "rows": rows}))


if __name__ == "__main__":
    main()

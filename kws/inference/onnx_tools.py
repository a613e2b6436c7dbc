"""What every ONNX export needs: the packages, torch's exporter without its noise, a session."""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kws.errors import UsageError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def require_onnx() -> None:
    """UsageError that names the packages of `PACKAGES` that are not installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"ONNX export needs {', '.join(missing)}: run pip install {' '.join(PACKAGES)}"
        )


@contextmanager
def quiet(name: str = "torch.onnx") -> Iterator[None]:
    """Silence warnings, and those of a logger: about torch itself, or advice to optimize first."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def open_session(onnx: Path) -> Any:
    """onnxruntime's session of a file, on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the batches are small: starting threads would take longer
    return onnxruntime.InferenceSession(
        onnx.read_bytes(), options, providers=["CPUExecutionProvider"]
    )

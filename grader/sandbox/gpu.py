"""A GPU for submitted code, only for training by the grader (`--retrain`), if staff request it.

    KWS_GRADER_GPU=1 python -m grader grade class --retrain

A process that trains may then use the nodes of NVIDIA's driver; all others, including the one that
measures the result, are confined as usual. If a confined process cannot compute on the GPU, all
runs on the CPU, and the report has the reason. Besides its nodes the driver gets what snapd's
interface cuda-support allows (interfaces/builtin/cuda_support.go), except named memory and making
nodes.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kws.errors import UsageError

VARIABLE, VISIBLE = "KWS_GRADER_GPU", "CUDA_VISIBLE_DEVICES"
NODES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia[0-9]*")
READ = (  # what the driver reads
    "/proc/driver/nvidia",
    "/proc/devices",
    "/proc/modules",
    "/proc/sys/vm/mmap_min_addr",
    "/sys/devices/system/memory/block_size_bytes",
)
DATA = 4 << 30  # bytes of main memory that the driver and its libraries may take
WEAKNESSES = (
    "where the grader trains (--retrain), submitted code talks to the GPU's driver, a part of the "
    "kernel, and to sockets of its own",
    "there it may take all of the GPU's memory; main memory is limited less strictly, addresses "
    "are not",
)


@dataclass(frozen=True)
class Gpu:
    nodes: tuple[str, ...] = ()  # paths of device nodes, to be read, written and controlled
    # what CUDA_VISIBLE_DEVICES is there; None leaves it out, so that all are seen
    visible: str | None = None

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any] | None) -> "Gpu | None":
        return None if plain is None else cls(tuple(plain["nodes"]), plain["visible"])

    def show(self) -> None:
        """Make the allowed GPUs visible to CUDA in this process, before CUDA is initialized."""
        if self.visible is None:
            os.environ.pop(VISIBLE, None)
        else:
            os.environ[VISIBLE] = self.visible


def read_gpu(environ: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> Gpu | None:
    """The GPU that KWS_GRADER_GPU asks for (1, 0 or unset), without nodes where there are none."""
    wanted = environ.get(VARIABLE, "0") or "0"
    if wanted not in ("0", "1"):
        raise UsageError(f"{VARIABLE}={wanted!r}: give 1 to train on a GPU (--retrain), 0 not to")
    if wanted == "0":
        return None
    found = sorted(str(path) for name in NODES for path in devices.glob(name))
    return Gpu(tuple(found), environ.get(VISIBLE))

"""What student code may use: isolation tiers, resource limits, and for training a GPU.

Three tiers. *Sealed*: user, mount, process, network and IPC namespaces, Landlock, seccomp, resource
limits. *Fenced*: Landlock, seccomp and resource limits, for machines that refuse user namespaces.
*Process*: a separate process with resource limits, for systems without Landlock. Every report names
its tier and what that leaves open.

A GPU is only for training by the grader, if staff request it: `KWS_GRADER_GPU=1 python -m grader
grade class --retrain`. A process that trains may then use the nodes of NVIDIA's driver; all others,
including the one that measures the result, are confined as usual. If a confined process cannot
compute on the GPU, all runs on the CPU, and the report has the reason. Besides its nodes the driver
gets what snapd's interface cuda-support allows (interfaces/builtin/cuda_support.go), except named
memory and making nodes.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from kws.errors import UsageError


class Tier(str, Enum):
    SEALED = "sealed"
    FENCED = "fenced"
    PROCESS = "process"

    @property
    def strength(self) -> int:
        """The rank of the tier: compare these, not the names."""
        return {"sealed": 3, "fenced": 2, "process": 1}[self.value]

    @property
    def weaknesses(self) -> tuple[str, ...]:
        """What this tier leaves open, as text for students and instructors."""
        return _WEAKNESSES[self]


_PATHS = (
    "submitted code can find out whether a path that it guesses exists, though it can list, read "
    "and write nothing there"
)
_WEAKNESSES = {
    Tier.SEALED: (_PATHS,),
    Tier.FENCED: (
        "this machine refuses user namespaces: submitted code sees that other processes exist",
        _PATHS,
        "the disk space that submitted code may fill is limited per file, not in total",
    ),
    Tier.PROCESS: (
        "this machine has no Landlock: submitted code can read and write every file that the "
        "grader's user can",
        "submitted code can reach the network and start programs",
        "submitted code can send signals to other processes of the grader's user",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    seconds: float = 20.0  # of processor time; the wall clock ends a check after `wall`
    memory: int = 2 << 30  # bytes beyond what the fresh process has
    disk: int = 64 << 20  # bytes in its temporary folder (per file where the tier is not sealed)
    message: int = 256 << 20  # bytes of one answer
    threads: int = 1  # that torch computes with

    @property
    def wall(self) -> float:
        """Wall-clock seconds: twice the processor time, as other checks may run concurrently."""
        return 2 * self.seconds + 5


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
GPU_WEAKNESSES = (
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

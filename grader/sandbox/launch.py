"""Start the sandbox's server with a clean environment and one socket."""

import os
import site
import socket
import subprocess
import sys
from dataclasses import dataclass

from grader import ROOT

_BOOT = """
import gc, site, sys
gc.disable()  # until all is loaded: what is loaded stays
root, descriptor, *folders = sys.argv[1:]
sys.path[:] = [path for path in sys.path if path]
[site.addsitedir(folder) for folder in folders]
sys.path.insert(0, root)
from grader.sandbox import server
sys.path.remove(root)
server.main(int(descriptor))
"""


@dataclass(frozen=True)
class Launched:
    process: subprocess.Popen[bytes]
    control: socket.socket


def launch() -> Launched:
    """Start a server. It ends when its socket is closed here."""
    control, theirs = socket.socketpair()
    users = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    folders = [folder for folder in users if folder in sys.path]
    arguments = [str(ROOT), str(theirs.fileno()), *folders]
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-s", "-c", _BOOT, *arguments],
            env=_environment(),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
    return Launched(process, control)


def _environment() -> dict[str, str]:
    kept = ("HOME", "LD_LIBRARY_PATH", "MPLCONFIGDIR")
    one = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        **{f"{name}_NUM_THREADS": "1" for name in one},
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "CUDA_VISIBLE_DEVICES": "",  # a process that has a GPU shows it to itself: `gpu.Gpu.show`
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # CUDA, once begun, cannot be used after a fork
        "TORCHDYNAMO_DISABLE": "1",  # torch.compile needs a compiler; what it wraps runs as it is
        "MALLOC_ARENA_MAX": "2",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # large pages: a fork takes half the time
        "PYTHONMALLOC": "malloc",  # so Python's objects lie in them too
        "MPLBACKEND": "Agg",
        "PYTHONHASHSEED": "0",
        "PYTHONSAFEPATH": "1",
    }

"""Apply the parts of an isolation tier, once per session and once per check.

A session process starts the namespaces and never runs student code. A check process is forked from
it, confines itself, and only then loads student code.
"""

import contextlib
import math
import os
import resource
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from grader import ROOT
from grader.sandbox import landlock, linux, namespaces, seccomp
from grader.sandbox.tier import DATA, READ, Gpu, Limits, Tier

SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system/cpu")
DEVICES = (("/dev/null", 1), ("/dev/zero", 0), ("/dev/urandom", 0), ("/dev/random", 0))  # written?
FILES = 256  # open at once
RESERVE = 512 << 20  # bytes of addresses that threads and allocators reserve but do not use


def readable(withheld: Sequence[str] = ()) -> list[landlock.Rule]:
    """What student code may read: Python, its packages, the system's libraries, kws in part."""
    site = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    on_path = [path for path in sys.path if path and Path(path).resolve() != ROOT]
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    base = [str(Path(sys.base_prefix, name)) for name in ("lib", "lib64")]
    wanted = [*site, *on_path, *base, *SYSTEM, *filter(None, libraries)]
    kws = _kws_folder()
    hidden = [str(ROOT), str(kws)]
    rules = landlock.read_only_rules(
        [path for path in wanted if os.path.realpath(path) != "/"], hidden
    )
    return rules + landlock.read_only_rules([str(kws)], _files_of(kws, withheld))


def _kws_folder() -> Path:
    spec = find_spec("kws")
    locations = spec and spec.submodule_search_locations
    if not locations:
        raise OSError("the package kws is not installed beside the grader")
    return Path(next(iter(locations))).resolve()


def _files_of(kws: Path, withheld: Sequence[str]) -> list[str]:
    found = []
    for name in withheld:
        stem = kws.joinpath(*name.split(".")[1:])
        found += [str(stem), str(stem.with_suffix(".py"))]
        found += map(str, stem.parent.glob(f"__pycache__/{stem.name}.*"))
    return found


@dataclass
class Confinement:
    tier: Tier
    rules: list[landlock.Rule] = field(default_factory=list)
    gpu: Gpu | None = None  # for a check that trains
    folder: str = ""  # that each check finds empty; "" where each gets one of its own

    @classmethod
    def build(
        cls, tier: Tier, withheld: Sequence[str], user: int, group: int, gpu: Gpu | None = None
    ) -> "Confinement":
        """Run in the session process, which `namespaces.start` made if the tier is sealed."""
        confinement = cls(tier, gpu=gpu)
        if tier is not Tier.PROCESS:
            confinement.rules = readable(withheld)
        if tier is Tier.SEALED:
            namespaces.enter(user, group)
            confinement.folder = namespaces.choose_folder([path for path, _ in confinement.rules])
        if linux.LINUX:
            with contextlib.suppress(OSError):  # where memory runs out, this one ends first
                Path("/proc/self/oom_score_adj").write_text("1000")
            linux.prctl(linux.SET_DUMPABLE, 0)
            linux.prctl(linux.SET_CHILD_SUBREAPER, 1)
        return confinement

    def new_folder(self) -> str:
        """A folder for a check, to be removed after it; "" if it disappears by itself."""
        return "" if self.folder else tempfile.mkdtemp(prefix="kws-check-")

    def bind(self, folder: str, limit: Limits, *, trains: bool = False) -> None:
        """Confine this check process from here on; OSError if a part refuses."""
        gpu = self.gpu if trains else None
        if self.tier is Tier.SEALED:
            namespaces.lay_empty_folder(self.folder, limit.disk)
        home = self.folder or folder
        os.chdir(home)
        os.environ.update(HOME=home, TMPDIR=home, MPLCONFIGDIR=home)
        tempfile.tempdir = None
        apply_limits(limit, has_gpu=gpu is not None)
        if linux.LINUX:
            linux.prctl(linux.NO_NEW_PRIVILEGES, 1)
        if self.tier is not Tier.PROCESS:
            devices = [
                (path, landlock.READ_FILE | written * landlock.WRITE_FILE)
                for path, written in DEVICES
            ]
            if gpu:
                devices += _rules_of(gpu)
            landlock.restrict([*self.rules, *devices, (home, landlock.WRITE | landlock.TRUNCATE)])
        if gpu:
            gpu.show()
        if linux.LINUX:
            linux.drop_capabilities()
        if self.tier is not Tier.PROCESS:
            seccomp.restrict(has_gpu=gpu is not None)


def _rules_of(gpu: Gpu) -> list[landlock.Rule]:
    used = landlock.READ_FILE | landlock.WRITE_FILE | landlock.CONTROL
    nodes = [(path, used) for path in gpu.nodes]
    return [*nodes, *landlock.read_only_rules(filter(os.path.exists, READ), ())]


def remove(folder: str) -> None:
    def open_and_retry(function: object, path: str, _: object) -> None:
        with contextlib.suppress(OSError):
            Path(path).parent.chmod(0o700)
            Path(path).chmod(0o700)
            shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()

    if folder:
        with contextlib.suppress(OSError, RecursionError):
            shutil.rmtree(folder, onerror=open_and_retry)


def apply_limits(limits: Limits, *, has_gpu: bool = False) -> None:
    """Bind this process, and what it starts, for good.

    Memory is limited beyond the present use: MemoryError, or torch's RuntimeError; processor time
    by SIGXCPU, one second later by SIGKILL. CUDA reserves addresses for all memory of machine and
    GPUs, so with a GPU they are not limited.
    """
    seconds = math.ceil(limits.seconds)
    _limit(resource.RLIMIT_CPU, seconds, seconds + 1)
    _limit(resource.RLIMIT_FSIZE, limits.disk)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, FILES)
    held = memory_held()
    if held is not None:
        addresses, data = held
        _limit(resource.RLIMIT_DATA, data + limits.memory + (DATA if has_gpu else 0))
        if not has_gpu:
            _limit(resource.RLIMIT_AS, addresses + limits.memory + RESERVE)


def memory_held() -> tuple[int, int] | None:
    """Bytes of addresses and of private memory of this process; None if unknown."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    table = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(table["VmSize"].split()[0]) << 10, int(table["VmData"].split()[0]) << 10


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    ceiling = resource.getrlimit(which)[1]
    values = [soft, soft if hard is None else hard]
    if ceiling != resource.RLIM_INFINITY:
        values = [min(value, ceiling) for value in values]
    with contextlib.suppress(OSError, ValueError):  # some systems define a limit but cannot set it
        resource.setrlimit(which, (values[0], values[1]))

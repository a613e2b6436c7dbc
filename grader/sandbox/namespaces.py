"""Start a process in new namespaces: no other process, no network, no writable files.

The process is number 1 of its process namespace: when it ends, the kernel kills all others there.
It has root rights only in these namespaces, under the user's own id.

The raw system call creates namespaces and process in one fork: a second fork of a process with
torch loaded takes longer than the rest.
"""

import contextlib
import ctypes
import os
import platform
import signal
import struct
from pathlib import Path

from grader.sandbox import linux

_CLONE = {"x86_64": 56, "aarch64": 220}
_MOUNT_SETATTR = 442
_RECURSIVE, _HERE, _READ_ONLY = 0x8000, -100, 1
_PRIVATE = 0x40000 | 0x4000  # MS_PRIVATE | MS_REC
_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
_FLAGS = linux.NEWUSER | linux.NEWNS | linux.NEWPID | linux.NEWNET | linux.NEWIPC | linux.NEWUTS
FOLDERS = ("/tmp", "/var/tmp", "/mnt", "/media", "/srv")  # where an empty folder can be laid over


def start() -> int:
    """Fork into new namespaces: 0 in the child, which has to `enter`, and its id in the parent."""
    number = _CLONE.get(platform.machine())
    if number is None:
        raise OSError(f"namespaces: not for {platform.machine()}")
    python = ctypes.pythonapi  # keeps the GIL during calls, as fork must
    clone = ctypes.PyDLL(None, use_errno=True).syscall
    clone.restype = ctypes.c_long
    zero = ctypes.c_long(0)
    flags = ctypes.c_long(_FLAGS | signal.SIGCHLD)
    python.PyOS_BeforeFork()
    pid = clone(ctypes.c_long(number), flags, zero, zero, zero, zero)
    error = ctypes.get_errno()
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(error, f"user namespaces: {os.strerror(error)}")
    return pid


def enter(user: int, group: int) -> None:
    """In the child of `start`: keep the ids, and make every mounted folder read-only."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        Path("/proc/self", name).write_text(text)
    linux.mount("none", "/", "none", _PRIVATE, "")
    attributes = struct.pack("QQQQ", _READ_ONLY, 0, 0, 0)
    with contextlib.suppress(OSError):  # before Linux 5.12: Landlock alone has to refuse writing
        size = len(attributes)
        linux.call(_MOUNT_SETATTR, _HERE, b"/", _RECURSIVE, attributes, size, what="mount_setattr")


def choose_folder(needed: list[str]) -> str:
    """A folder without needed files, over which an empty one can be mounted."""
    for folder in FOLDERS:
        inside = [path for path in needed if os.path.realpath(path).startswith(folder + "/")]
        if Path(folder).is_dir() and not inside:
            return folder
    raise OSError(f"each of {', '.join(FOLDERS)} contains files of Python or the course")


def lay_empty_folder(folder: str, size: int) -> None:
    """Mount an empty folder of `size` bytes in memory over `folder`, for this process."""
    linux.unshare(linux.NEWNS)
    options = f"size={size},nr_inodes=4096,mode=700"
    linux.mount("tmpfs", folder, "tmpfs", _NOSUID_NODEV_NOEXEC, options)

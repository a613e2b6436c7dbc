"""System calls without a Python function; unused on other systems."""

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

LINUX = sys.platform == "linux"
NO_NEW_PRIVILEGES, SET_DUMPABLE, SET_SECCOMP, SET_CHILD_SUBREAPER = 38, 4, 22, 36
SET_PDEATHSIG = 1
NEWNS, NEWUSER, NEWPID = 0x00020000, 0x10000000, 0x20000000
LARGE, _COLLAPSE = 2 << 20, 25  # bytes of a large page; MADV_COLLAPSE
NEWNET, NEWIPC, NEWUTS = 0x40000000, 0x08000000, 0x04000000


@cache
def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def or_error(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def call(number: int, *arguments: object, what: str) -> int:
    """Make a system call by number, with integers, bytes or None as arguments."""
    plain = [
        ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments
    ]
    return or_error(libc().syscall(ctypes.c_long(number), *plain), what)


def prctl(option: int, value: int, more: object = 0) -> None:
    last = ctypes.c_ulong(more) if isinstance(more, int) else more
    zero = ctypes.c_ulong(0)
    or_error(libc().prctl(option, ctypes.c_ulong(value), last, zero, zero), f"prctl {option}")


def mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    arguments = (source.encode(), target.encode(), kind.encode())
    or_error(libc().mount(*arguments, ctypes.c_ulong(flags), options.encode()), f"mount {target}")


def unshare(flags: int) -> None:
    or_error(libc().unshare(ctypes.c_int(flags)), "unshare")


def collapse() -> None:
    """Move this process's memory to huge pages, which fork faster (Linux 6.1 and later)."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights = line.split()[:2]
        start, end = (int(number, 16) for number in span.split("-"))
        start, end = -(-start // LARGE) * LARGE, end // LARGE * LARGE
        if rights == "rw-p" and start < end:
            libc().madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _COLLAPSE)


def drop_capabilities() -> None:
    """Drop all capabilities, so that root has the rights of an ordinary user."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    or_error(libc().capset(header, (ctypes.c_uint32 * 6)()), "capset")

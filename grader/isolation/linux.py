"""The few system calls that Python has no name for. Nothing here is called on another system."""

import ctypes
import os
import sys
from functools import cache

LINUX = sys.platform == "linux"
NO_NEW_PRIVILEGES, SET_DUMPABLE, SET_SECCOMP, SET_CHILD_SUBREAPER = 38, 4, 22, 36
NEWNS, NEWUSER, NEWPID = 0x00020000, 0x10000000, 0x20000000
NEWNET, NEWIPC, NEWUTS = 0x40000000, 0x08000000, 0x04000000


@cache
def libc() -> ctypes.CDLL:
    """The C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """`result`, or the OSError that its call left."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def call(number: int, *arguments: object, what: str) -> int:
    """A system call by its number: integers, bytes and None may be its arguments."""
    plain = [
        ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments
    ]
    return check(libc().syscall(ctypes.c_long(number), *plain), what)


def prctl(option: int, value: int, more: object = 0) -> None:
    """`prctl`, for the options above."""
    last = ctypes.c_ulong(more) if isinstance(more, int) else more
    zero = ctypes.c_ulong(0)
    check(libc().prctl(option, ctypes.c_ulong(value), last, zero, zero), f"prctl {option}")


def mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    """`mount`."""
    arguments = (source.encode(), target.encode(), kind.encode())
    check(libc().mount(*arguments, ctypes.c_ulong(flags), options.encode()), f"mount {target}")


def unshare(flags: int) -> None:
    """`unshare`."""
    check(libc().unshare(ctypes.c_int(flags)), "unshare")


def drop_capabilities() -> None:
    """Leave this process without any: root too, who then is a user like others."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    check(libc().capset(header, (ctypes.c_uint32 * 6)()), "capset")

"""The filter, run by an interpreter of its few instructions: for machines that are not at hand."""

import errno
import socket
import struct

import pytest

from grader.sandbox import seccomp

ALLOW, KILL = 0x7FFF0000, 0x80000000
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
BOTH = pytest.mark.parametrize("machine", ARCHITECTURE)
EPERM, ENOSYS = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
PID = 31


def run(
    machine: str,
    number: int,
    *arguments: int,
    architecture: int | None = None,
    has_gpu: bool = False,
) -> int:
    """What the kernel would do with a call."""
    padded = *arguments, *[0] * (6 - len(arguments))
    data = struct.pack("<IIQ6Q", number, architecture or ARCHITECTURE[machine], 0, *padded)
    program = seccomp.program(machine, PID, has_gpu=has_gpu)
    steps = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            return value
        else:
            holds = accumulator == value if code == 0x15 else accumulator >= value
            at += yes if holds else no


def column(machine: str) -> int:
    return list(ARCHITECTURE).index(machine)


@BOTH
def test_calls_of_the_table_are_refused_and_with_a_gpu_only_local_sockets_are_more(machine):
    for name, numbers in seccomp.REFUSED.items():
        number = numbers[column(machine)]
        assert number is None or run(machine, number) == EPERM, name
    for name, numbers in seccomp.REFUSED.items():
        if (number := numbers[column(machine)]) is not None:
            allowed = name in ("bind", "listen")
            assert run(machine, number, has_gpu=True) == (ALLOW if allowed else EPERM), name
    number = seccomp.REFUSED["socket"][column(machine)]
    assert number is not None
    assert run(machine, number, socket.AF_UNIX, has_gpu=True) == ALLOW
    assert run(machine, number, socket.AF_INET, has_gpu=True) == EPERM
    assert run(machine, number, socket.AF_UNIX) == EPERM


@BOTH
def test_what_python_and_torch_live_on_is_allowed_and_unknown_calls_and_architectures_are_not(
    machine,
):
    numbers = {  # read, write, close, mmap, munmap, mprotect, brk, futex, madvise, exit_group
        "x86_64": (0, 1, 3, 9, 11, 10, 12, 202, 28, 231),
        "aarch64": (63, 64, 57, 222, 215, 226, 214, 98, 233, 94),
    }[machine]
    assert [run(machine, number) for number in numbers] == [ALLOW] * len(numbers)
    for name, numbers in seccomp.ABSENT.items():
        assert run(machine, numbers[column(machine)]) == ENOSYS, name
    for number in (449, 600, 1 << 30, 0xFFFFFFFF):
        assert run(machine, number) == ENOSYS
    assert run(machine, 0, architecture=0x40000003) == KILL


@BOTH
def test_threads_may_start_and_processes_may_not_and_files_neither_signal_nor_truncate(machine):
    clone = {"x86_64": 56, "aarch64": 220}[machine]
    assert run(machine, clone, 0x3D0F00) == ALLOW
    assert run(machine, clone, 17) == EPERM
    assert run(machine, clone, 17 | 0x10000000) == EPERM
    fcntl, ioctl = {"x86_64": (72, 16), "aarch64": (25, 29)}[machine]
    assert [run(machine, fcntl, 3, command) for command in (8, 10, 15)] == [EPERM] * 3
    assert [run(machine, fcntl, 3, command) for command in (1, 2, 3, 4)] == [ALLOW] * 4
    assert run(machine, ioctl, 3, 0x8901) == EPERM
    assert run(machine, ioctl, 3, 0x5401) == ALLOW
    openat = {"x86_64": 257, "aarch64": 56}[machine]
    assert run(machine, openat, 0, 0, 0x200) == EPERM
    assert run(machine, openat, 0, 0, 0x201) == run(machine, openat, 0, 0, 0x80000) == ALLOW


@BOTH
@pytest.mark.parametrize("name", ["kill", "tgkill", "rt_sigqueueinfo"])
def test_signals_and_limits_are_for_the_process_itself_alone(machine, name):
    numbers = {"kill": (62, 129), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138)}[name]
    number = numbers[column(machine)]
    assert run(machine, number, PID, 9) == ALLOW
    for other in (0, 1, PID + 1, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF):
        assert run(machine, number, other, 9) == EPERM
    prlimit = {"x86_64": 302, "aarch64": 261}[machine]
    assert run(machine, prlimit, 0) == run(machine, prlimit, PID) == ALLOW
    assert run(machine, prlimit, 1) == EPERM


def test_a_machine_without_a_table_is_refused():
    with pytest.raises(OSError, match="no table for riscv64"):
        seccomp.program("riscv64", PID)

"""seccomp: a filter, built from a table, refuses system calls that student code does not need.

Threads may start, processes may not; no program, socket, signal to another process, trace, mount,
namespace, key, shared memory by name, change of modes, owners or times. Refused means EPERM, an
ordinary PermissionError. Calls newer than the table do not exist (ENOSYS): callers fall back.
"""

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass
from functools import cache

from grader.sandbox import linux

# fmt: off
REFUSED: dict[str, tuple[int | None, int | None]] = {  # name -> number on x86_64, on aarch64
    # processes and programs (clone: below)
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "ptrace": (101, 117), "kcmp": (312, 272), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    # signals to others (kill, tgkill, rt_sigqueueinfo: below)
    "tkill": (200, 130), "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424),
    # sockets
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206),
    "sendmsg": (46, 211), "sendmmsg": (307, 269), "recvfrom": (45, 207), "recvmsg": (47, 212),
    "recvmmsg": (299, 243), "shutdown": (48, 210), "setsockopt": (54, 208),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    # files: modes, owners, times, truncation by name; opening by other ways than open
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None),
    "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54), "truncate": (76, 45),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "mknod": (133, None), "mknodat": (259, 33),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "fanotify_init": (300, 262),
    # memory that no limit counts, and keys
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "shmat": (30, 196), "shmctl": (31, 195), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # the kernel's large surfaces
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "seccomp": (317, 277), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    # the machine, and how others are scheduled
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "syslog": (103, 116), "vhangup": (153, 58), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, None),
    "ioperm": (173, None), "modify_ldt": (154, None), "personality": (135, 92),
    "setpriority": (141, 140), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "ioprio_set": (251, 30), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "lookup_dcookie": (212, 18),
}
# fmt: on
ABSENT: dict[str, tuple[int | None, int | None]] = {  # ENOSYS: libraries have a fallback
    "clone3": (435, 435),
    "openat2": (437, 437),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
OF_CUDA = ("socket", "bind", "listen")  # it makes a local socket for each process, and ends without
NEWER = 449  # the first number after the tables
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, the kernel's name
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_CLONE_THREAD, _TRUNCATE, _ACCESS = 0x10000, 0x200, 3
_SET_OWNER = (8, 15, 10)  # F_SETOWN, F_SETOWN_EX, F_SETSIG of fcntl: signals by way of a file
_IOCTL_OWNER = (0x8901, 0x8902)
_UNIX = 1  # AF_UNIX: sockets of this machine


@dataclass(frozen=True)
class _Step:
    """One instruction; `yes` and `no` are the numbers of instructions to skip."""

    code: int
    value: int
    yes: int = 0
    no: int = 0

    def __bytes__(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.yes, self.no, self.value)


def program(machine: str, pid: int, *, has_gpu: bool = False) -> bytes:
    """The filter for a process `pid` on `machine`; OSError for a machine without a table."""
    return _tables(machine, has_gpu) + _looking_at_arguments(machine, pid, has_gpu)


@cache
def _tables(machine: str, has_gpu: bool) -> bytes:
    """The part that is the same for every check: built once in the server, then inherited."""
    if machine not in _MACHINES:
        raise OSError(f"seccomp: no table for {machine}")
    column, architecture = _MACHINES[machine]
    steps = [
        _Step(_LOAD, 4),
        _Step(_EQUAL, architecture, 1, 0),
        _Step(_RETURN, _KILL),
        _Step(_LOAD, 0),
        _Step(_AT_LEAST, NEWER, 0, 1),
        _refuse(errno.ENOSYS),
    ]
    for table, error in ((REFUSED, errno.EPERM), (ABSENT, errno.ENOSYS)):
        for name in sorted(table):
            known = table[name][column]
            if known is not None and not (has_gpu and name in OF_CUDA):
                steps += [_Step(_EQUAL, known, 0, 1), _refuse(error)]
    return b"".join(map(bytes, steps))


def _looking_at_arguments(machine: str, pid: int, has_gpu: bool) -> bytes:
    """Calls allowed only with some arguments, such as a signal to itself."""
    column, _ = _MACHINES[machine]
    steps: list[_Step] = []
    own = (0, pid)
    for numbers, body in (
        ((56, 220), _only_if_bit(0, _CLONE_THREAD)),
        ((62, 129), _only_if_one_of(0, (pid,))),  # kill
        ((234, 131), _only_if_one_of(0, (pid,))),  # tgkill
        ((129, 138), _only_if_one_of(0, (pid,))),  # rt_sigqueueinfo
        ((302, 261), _only_if_one_of(0, own)),  # prlimit64
        ((203, 122), _only_if_one_of(0, own)),  # sched_setaffinity
        ((72, 25), _unless_one_of(1, _SET_OWNER)),  # fcntl
        ((16, 29), _unless_one_of(1, _IOCTL_OWNER)),  # ioctl
        ((257, 56), _no_truncation_by_readers(2)),  # openat
        ((2, None), _no_truncation_by_readers(1)),  # open
        (REFUSED["socket"], _only_if_one_of(0, (_UNIX,)) if has_gpu else []),
    ):
        if (known := numbers[column]) is not None and body:
            steps += [_Step(_EQUAL, known, 0, len(body)), *body]
    steps.append(_Step(_RETURN, _ALLOW))
    return b"".join(map(bytes, steps))


def restrict(*, has_gpu: bool = False) -> None:
    """Filter this process and its threads, which have given up new privileges before."""
    filters = program(platform.machine(), os.getpid(), has_gpu=has_gpu)
    buffer = ctypes.create_string_buffer(filters, len(filters))

    class FilterProgram(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filters", ctypes.c_void_p)]

    pointer = FilterProgram(len(filters) // 8, ctypes.addressof(buffer))
    linux.prctl(linux.SET_SECCOMP, 2, ctypes.byref(pointer))


def _refuse(error: int) -> _Step:
    return _Step(_RETURN, _ERROR | error)


def _argument(index: int) -> _Step:
    """Load the low half of an argument, which is all that these calls use."""
    return _Step(_LOAD, 16 + 8 * index)


def _only_if_bit(index: int, bit: int) -> list[_Step]:
    ends = [_Step(_RETURN, _ALLOW), _refuse(errno.EPERM)]
    return [_argument(index), _Step(_AND, bit), _Step(_EQUAL, bit, 0, 1), *ends]


def _only_if_one_of(index: int, values: tuple[int, ...]) -> list[_Step]:
    allow = [step for value in values for step in (_Step(_EQUAL, value, 0, 1), _ALLOWED)]
    return [_argument(index), *allow, _refuse(errno.EPERM)]


def _unless_one_of(index: int, values: tuple[int, ...]) -> list[_Step]:
    refuse = [
        step for value in values for step in (_Step(_EQUAL, value, 0, 1), _refuse(errno.EPERM))
    ]
    return [_argument(index), *refuse, _ALLOWED]


def _no_truncation_by_readers(index: int) -> list[_Step]:
    """Refuse O_TRUNC without write access, which early Landlock does not check."""
    reads_and_truncates = [
        _argument(index),
        _Step(_AND, _TRUNCATE),
        _Step(_EQUAL, _TRUNCATE, 0, 4),
        _argument(index),
        _Step(_AND, _ACCESS),
        _Step(_EQUAL, 0, 0, 1),
    ]
    return [*reads_and_truncates, _refuse(errno.EPERM), _ALLOWED]


_ALLOWED = _Step(_RETURN, _ALLOW)

"""Isolation tiers for student code, and its resource limits.

Three tiers. *Sealed*: user, mount, process, network and IPC namespaces, Landlock, seccomp, resource
limits. *Fenced*: Landlock, seccomp and resource limits, for machines that refuse user namespaces.
*Process*: a separate process with resource limits, for systems without Landlock. Every report names
its tier and what that leaves open.
"""

from dataclasses import dataclass
from enum import Enum


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

"""What is planted in our solution: mistakes, other right answers, and borrowed ones."""

from dataclasses import dataclass
from typing import NamedTuple


class Edit(NamedTuple):
    """A text that stands in the solution once, and what is put there instead."""

    find: str
    put: str


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrong answer to `task`: `find` becomes `put` (and `also`, more edits).

    The `question` is asked by every trial whose results it changes, or by the one `check`.
    """

    task: str
    name: str
    question: str
    find: str
    put: str
    also: tuple[Edit, ...] = ()
    check: str = ""

    @property
    def edits(self) -> tuple[Edit, ...]:
        return (Edit(self.find, self.put), *self.also)


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """Another right answer, which keeps all points."""

    name: str
    edit: tuple[Edit, ...]


@dataclass(frozen=True, kw_only=True)
class Borrowed:
    """An answer of somebody else's to `check`'s task, or a model that only looks as it should.

    It would earn the points of the check where names or what a module says of itself decide.
    `ready` is whether it answers rightly, by a library. In its code `SPELLED(name)` stands for an
    expression that puts the name together while it runs, so that no reader finds it.
    """

    name: str
    check: str
    edit: tuple[Edit, ...]
    ready: bool = True

    @property
    def task(self) -> str:
        return self.check.partition("-")[0]

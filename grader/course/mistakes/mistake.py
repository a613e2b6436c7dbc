"""Edits of our solution: mistakes, other right answers, and borrowed ones."""

from dataclasses import dataclass
from typing import NamedTuple


class Edit(NamedTuple):
    """A text that occurs once in the solution, and its replacement."""

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
    """A foreign solution of `check`'s task, or a model with only the right appearance.

    It would earn points if names or the module's own claims decided. `ready`: it is right, by a
    library. `SPELLED(name)` in its code becomes an expression that builds the name at run time, so
    that static checks miss it.
    """

    name: str
    check: str
    edit: tuple[Edit, ...]
    ready: bool = True

    @property
    def task(self) -> str:
        return self.check.partition("-")[0]

"""What a planted mistake is: an edit of our solution, and what its check has to say of it."""

from dataclasses import dataclass

Edit = tuple[str, str]  # old text, which stands in the solution once, and new text


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrong answer: `replace` becomes `by` (and `also`, more edits), and `check` catches it.

    `hint` is part of what that check says: of its hint or, where it has none, of its message.
    """

    name: str
    check: str
    hint: str
    replace: str
    by: str
    also: tuple[Edit, ...] = ()

    @property
    def task(self) -> str:
        """The task whose check catches it."""
        return self.check.partition("-")[0]

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All of its edits."""
        return ((self.replace, self.by), *self.also)

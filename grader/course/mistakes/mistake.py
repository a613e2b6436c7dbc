"""What a planted mistake is: an edit of our solution, and what to ask whoever made it."""

from dataclasses import dataclass

Edit = tuple[str, str]  # old text, which stands in the solution once, and new text


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrong answer to `task`: `replace` becomes `by` (and `also`, more edits).

    Whoever makes it is asked the `question`, in the notebook and when it is graded: it belongs to
    every trial of the task (`kws.contracts`) whose results it changes. Where the task is judged
    otherwise, by what a training reached for one, `check` says which check has to ask it.
    """

    task: str
    name: str
    question: str
    replace: str
    by: str
    also: tuple[Edit, ...] = ()
    check: str = ""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All of its edits."""
        return ((self.replace, self.by), *self.also)

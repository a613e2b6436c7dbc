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

    name: str
    replace: str
    by: str
    also: tuple[Edit, ...] = ()
    task: str = ""
    question: str = ""
    check: str = ""
    hint: str = ""  # TRANSITION: until every assignment has a contract

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", self.task or self.check.partition("-")[0])
        object.__setattr__(self, "question", self.question or self.hint)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All of its edits."""
        return ((self.replace, self.by), *self.also)

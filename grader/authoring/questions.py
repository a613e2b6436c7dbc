"""Questions that are answered in words: how they stand in a solution, and in the notebook.

    # %% [markdown] tags=["written"]
    # ### Written answer 3.A (4 points): why this model?
    # Compare two models that you trained …
    # BEGIN ANSWER
    # Our answer, and what earns points: for the staff.
    # END ANSWER

The student gets the text down to BEGIN ANSWER, and a cell below it to write in. A code cell with
the same tag further down is a place to draw a figure for it.
"""

import re
from dataclasses import dataclass

from kws.errors import UsageError

HEADING = re.compile(
    r"#+ Written answer (?P<id>\d+\.[A-Z]) \((?P<points>\d+(?:\.\d+)?) points?\): (?P<title>.+)"
)
BEGIN, END = "BEGIN ANSWER", "END ANSWER"
PLACEHOLDER = "*Write your answer to {id} here, in place of this line; drag pictures in.*"


@dataclass(frozen=True, kw_only=True)
class DividedQuestion:
    """One question of a solution: what students read, and what only staff do."""

    id: str
    points: float
    title: str
    prompt: str
    answer: str


def divide_question(source: str, where: str) -> DividedQuestion:
    """The two parts of a cell. UsageError, naming `where`, for one of another form."""
    heading = HEADING.match(source)
    if heading is None:
        first = source.partition("\n")[0]
        raise UsageError(
            f"{where}: {first!r} is not a heading of a written question: write "
            "`### Written answer 3.A (4 points): why this model?`"
        )
    lines = [line.strip() for line in source.split("\n")]
    if lines.count(BEGIN) != 1 or lines.count(END) != 1 or lines[-1] != END:
        raise UsageError(
            f"{where}: {heading['id']} has no answer of ours: close the cell with a line "
            f"{BEGIN!r}, the answer, and a line {END!r}"
        )
    at = lines.index(BEGIN)
    answer = "\n".join(lines[at + 1 : -1]).strip()
    if not answer or float(heading["points"]) <= 0:
        raise UsageError(f"{where}: {heading['id']} has no points, or an empty answer of ours")
    return DividedQuestion(
        id=heading["id"],
        points=float(heading["points"]),
        title=heading["title"].rstrip(),
        prompt="\n".join(source.split("\n")[:at]).rstrip(),
        answer=answer,
    )

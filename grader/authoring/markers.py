"""How a solution is written: cells in py:percent format, regions of answers, written questions.

*Cells.* A line `# %%` begins a cell, `# %% [markdown]` one whose lines are comments;
`tags=["export"]` may follow. Blank lines between cells are dropped. `read_percent` equals
`jupytext.reads` (tested), which takes long to import. Source: https://jupytext.readthedocs.io, "The
percent format".

*Regions.* An answer between two markers, and the TODO that a student sees instead:

    # BEGIN SOLUTION 2.1
    #: Score every query against every key.       one numbered step
    scores = q @ k.mT                             removed
    # END SOLUTION

becomes

    # TODO 2.1
    #   1. Score every query against every key.
    raise NotImplementedError("TODO 2.1")

A `#:` line right below another continues that step. Markers that are malformed, nested, unclosed or
worth nothing raise MarkerError, with file and line.

*Questions that are answered in words.*

    # %% [markdown] tags=["written"]
    # ### Written answer 3.A (4 points): why this model?
    # Compare two models that you trained …
    # BEGIN ANSWER
    # Our answer, and what earns points: for the staff.
    # END ANSWER

The student gets the text above BEGIN ANSWER and an empty cell. A later code cell with the same tag
is for a figure.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from grader.core.written import WrittenQuestion
from kws.errors import UsageError

HEAD = re.compile(r"# ?%%(?P<rest>.*)")
KIND = re.compile(r"\[(markdown|md|raw)\]")
TAGS = re.compile(r"\btags=(\[[^\]]*\])")


@dataclass(frozen=True)
class RawCell:
    """One cell: `cell_type` is code, markdown or raw; `line`, from 1, is where its text begins."""

    cell_type: str
    source: str
    tags: tuple[str, ...]
    line: int


def read_percent(text: str) -> list[RawCell]:
    """Read the cells of a script; text before the first head is a code cell."""
    return list(_cells(text.split("\n")))


def _cells(lines: list[str]) -> Iterator[RawCell]:
    heads = [at for at, line in enumerate(lines) if line[:1] == "#" and HEAD.fullmatch(line)]
    if any(line.strip() for line in lines[: heads[0] if heads else len(lines)]):
        heads.insert(0, -1)
    for at, after in zip(heads, [*heads, len(lines)][1:], strict=True):
        rest = ""
        if at >= 0 and (head := HEAD.fullmatch(lines[at])):
            rest = head["rest"]
        kind = KIND.search(rest)
        tags = TAGS.search(rest)
        name = "code" if kind is None else "markdown" if kind[1] == "md" else kind[1]
        first, last = at + 1, after
        while first < last and not lines[first].strip():
            first += 1
        while last > first and not lines[last - 1].strip():
            last -= 1
        body = lines[first:last]
        if name != "code":
            body = [line.removeprefix("#").removeprefix(" ") for line in body]
        yield RawCell(
            cell_type=name,
            source="\n".join(body),
            tags=_tags(tags[1]) if tags else (),
            line=first + 1,
        )


def _tags(text: str) -> tuple[str, ...]:
    """A list of tags; anything else is one tag, which is unknown."""
    try:
        return tuple(str(tag) for tag in ast.literal_eval(text))
    except (SyntaxError, ValueError):
        return (text,)


BEGIN = re.compile(r"(?P<indent> *)# BEGIN SOLUTION (?P<task>\d+\.\d+)")
END = re.compile(r"(?P<indent> *)# END SOLUTION")
STEP = re.compile(r" *#: (?P<text>\S.*)")
SIMILAR = re.compile(r"#[\s#:]*(?:begin|end)[\s_-]*solution", re.IGNORECASE)


class MarkerError(UsageError):
    """A solution region that cannot become a TODO."""


@dataclass
class Region:
    task: str
    indent: str
    line: int
    steps: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)

    def todo(self) -> list[str]:
        steps = [f"{self.indent}#   {n}. {text}" for n, text in enumerate(self.steps, start=1)]
        error = f'{self.indent}raise NotImplementedError("TODO {self.task}")'
        return [f"{self.indent}# TODO {self.task}", *steps, error]


def strip_solutions(source: str, *, where: str = "cell", line: int = 1) -> str:
    """Replace the solutions of a cell with TODOs; `where` and `line` are for error messages."""
    return "\n".join(_walk(source, where, line)[0])


def regions_of(source: str, *, where: str = "cell", line: int = 1) -> list[Region]:
    return _walk(source, where, line)[1]


def _walk(source: str, where: str, first: int) -> tuple[list[str], list[Region]]:
    student: list[str] = []
    regions: list[Region] = []
    region: Region | None = None
    step_above = False  # is the line above a step, which this one may continue?
    for number, line in enumerate(source.splitlines(), start=first):
        at = f"{where}:{number}"
        stepping = False
        if begin := BEGIN.fullmatch(line):
            if region:
                raise MarkerError(
                    f"{at}: BEGIN SOLUTION {begin['task']} inside the region of {region.task}, "
                    f"which began on line {region.line}: end that one first"
                )
            region = Region(begin["task"], begin["indent"], number)
        elif end := END.fullmatch(line):
            if region is None:
                raise MarkerError(f"{at}: END SOLUTION without a BEGIN: remove it or add one")
            _finish(region, end["indent"], at)
            student += region.todo()
            regions.append(region)
            region = None
        elif SIMILAR.search(line):
            raise MarkerError(
                f"{at}: malformed marker {line.strip()!r}: write `# BEGIN SOLUTION 2.1` or "
                "`# END SOLUTION`, alone on its line"
            )
        elif region is None:
            student.append(line)
        elif step := STEP.fullmatch(line):
            if step_above:
                region.steps[-1] += " " + step["text"]
            else:
                region.steps.append(step["text"])
            stepping = True
        elif line.strip().startswith("#:"):
            raise MarkerError(f"{at}: a step without words: write `#: What to do.`")
        else:
            region.code.append(line)
        step_above = stepping
    if region:
        raise MarkerError(
            f"{where}:{region.line}: the region of {region.task} is not ended in its cell: "
            "add `# END SOLUTION`"
        )
    return student, regions


def _finish(region: Region, indent: str, at: str) -> None:
    if indent != region.indent:
        raise MarkerError(
            f"{at}: END SOLUTION is indented by {len(indent)}, its BEGIN on line {region.line} by "
            f"{len(region.indent)}: indent both equally"
        )
    if not region.steps:
        raise MarkerError(f"{at}: the region of {region.task} has no step: add a `#:` line")
    if not any(line.strip() and not line.strip().startswith("#") for line in region.code):
        raise MarkerError(f"{at}: the region of {region.task} has no code: answer it")


HEADING = re.compile(
    r"#+ Written answer (?P<id>\d+\.[A-Z]) \((?P<points>\d+(?:\.\d+)?) points?\): (?P<title>.+)"
)
BEGIN_ANSWER, END_ANSWER = "BEGIN ANSWER", "END ANSWER"
PLACEHOLDER = "*Write your answer to {id} here, in place of this line; drag pictures in.*"


def divide_question(source: str, where: str) -> WrittenQuestion:
    """Divide a written question into its two parts; UsageError names `where`."""
    heading = HEADING.match(source)
    if heading is None:
        first = source.partition("\n")[0]
        raise UsageError(
            f"{where}: {first!r} is not a heading of a written question: write "
            "`### Written answer 3.A (4 points): why this model?`"
        )
    lines = [line.strip() for line in source.split("\n")]
    if lines.count(BEGIN_ANSWER) != 1 or lines.count(END_ANSWER) != 1 or lines[-1] != END_ANSWER:
        raise UsageError(
            f"{where}: {heading['id']} has no answer of ours: close the cell with a line "
            f"{BEGIN_ANSWER!r}, the answer, and a line {END_ANSWER!r}"
        )
    at = lines.index(BEGIN_ANSWER)
    answer = "\n".join(lines[at + 1 : -1]).strip()
    if not answer or float(heading["points"]) <= 0:
        raise UsageError(f"{where}: {heading['id']} has no points, or an empty answer of ours")
    return WrittenQuestion(
        id=heading["id"],
        points=float(heading["points"]),
        title=heading["title"].rstrip(),
        prompt="\n".join(source.split("\n")[:at]).rstrip(),
        answer=answer,
    )

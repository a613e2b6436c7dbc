"""Solution regions: an answer between two markers, and the TODO that a student sees instead.

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
"""

import re
from dataclasses import dataclass, field

from kws.errors import UsageError

BEGIN = re.compile(r"(?P<indent> *)# BEGIN SOLUTION (?P<task>\d+\.\d+)")
END = re.compile(r"(?P<indent> *)# END SOLUTION")
STEP = re.compile(r" *#: (?P<text>\S.*)")
LOOKS_LIKE_ONE = re.compile(r"#[\s#:]*(?:begin|end)[\s_-]*solution", re.IGNORECASE)


class MarkerError(UsageError):
    """A solution region that cannot become a TODO."""


@dataclass
class Region:
    """One region: the task it answers, its steps, and the lines of the answer."""

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
    """One cell with TODOs for its solutions; `where` and `line` name its place in errors."""
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
        elif LOOKS_LIKE_ONE.search(line):
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
            f"{len(region.indent)}: indent them alike"
        )
    if not region.steps:
        raise MarkerError(f"{at}: the region of {region.task} has no step: add a `#:` line")
    if not any(line.strip() and not line.strip().startswith("#") for line in region.code):
        raise MarkerError(f"{at}: the region of {region.task} holds no code: answer it")

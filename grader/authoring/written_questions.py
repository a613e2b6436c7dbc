"""The written questions of an assignment, as the grader needs them: read from its solution."""

from functools import cache
from pathlib import Path

from grader import ROOT
from grader.adapters import ASSIGNMENTS
from grader.authoring.build import SolutionCell, read_solution, student_cells
from grader.authoring.markers import strip_solutions
from grader.authoring.questions import divide_question
from grader.core.written import WrittenQuestion
from kws.errors import UsageError


@cache
def written_questions(number: str, root: Path = ROOT) -> tuple[WrittenQuestion, ...]:
    """The questions that a person marks, in order; UsageError for one that is there twice."""
    solution = root / "solutions" / f"{ASSIGNMENTS[number].stem}.py"
    given = frozenset(_given(cell) for cell in student_cells(solution))
    found: dict[str, WrittenQuestion] = {}
    for cell in read_solution(solution):
        if "written" not in cell.tags or cell.kind != "markdown":
            continue
        where = f"{solution.parent.name}/{solution.name}:{cell.line}"
        one = divide_question(cell.source, where)
        if one.id in found or int(one.id.partition(".")[0]) != int(number):
            raise UsageError(f"{where}: {one.id} is there twice, or of another assignment")
        found[one.id] = WrittenQuestion(
            id=one.id,
            title=one.title,
            points=one.points,
            prompt=one.prompt,
            answer=one.answer,
            given=given,
        )
    return tuple(found.values())


def _given(cell: SolutionCell) -> str:
    return strip_solutions(cell.source).strip() if cell.kind == "code" else cell.source.strip()

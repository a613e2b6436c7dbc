"""Run the check cells of a notebook without its trials, and record what they compare.

The results for our answers and for planted mistakes let the notebook recognize the mistake in a
student's answer (`grader.course.goldens`).
"""

import ast
import io
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from functools import cache
from typing import Any

import torch

from grader.authoring.markers import read_percent
from grader.authoring.reference import Results
from grader.course.mistakes.planted import solution
from kws.course.checking import Listener, compared, forget_checks, lines_go_to
from kws.course.notebooks import task_of


@cache
def checks_by_hand(number: str) -> tuple[str, ...]:
    """Ids of the checks that compare values made in the check cells."""
    return tuple(check for node in _statements(number) for check in _checks(node))


def compare_by_hand(
    number: str, answers: Mapping[str, Any], task: str = "", listener: Listener = lambda *_: None
) -> dict[str, Results]:
    """Check -> the values compared, up to the first wrong one, or an exception."""
    names, found = dict(answers), {}
    forget_checks()
    with lines_go_to(listener), redirect_stdout(io.StringIO()):
        for node in _statements(number):
            wanted = [check for check in _checks(node) if task in ("", task_of(check))]
            if wanted or not _checks(node):
                with suppress(Exception):
                    torch.default_generator.manual_seed(0)  # the CPU's alone: spares 2 ms
                    exec(compile(ast.Module([node], []), "<check>", "exec"), names)
                found |= {check: compared[check] for check in wanted}
                forget_checks()
    return found


@cache
def _statements(number: str) -> list[ast.stmt]:
    cells = read_percent(solution(number).read_text(encoding="utf-8"))
    parsed = [(cell, ast.parse(cell.source).body) for cell in cells if cell.cell_type == "code"]
    imports = [n for _, body in parsed for n in body if isinstance(n, ast.Import | ast.ImportFrom)]
    checks = [node for cell, body in parsed if "check" in cell.tags for node in body]
    return [*imports, *(n for n in checks if not ast.unparse(n).startswith("check_values("))]


def _checks(node: ast.stmt) -> list[str]:
    calls = [item.context_expr for item in node.items] if isinstance(node, ast.With) else []
    return [
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "check"
    ]

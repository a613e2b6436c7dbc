"""Every suspect of a by-hand check of notebooks 6 to 9 is what a planted mistake gives there."""

import ast
from contextlib import suppress

import pytest

from grader.authoring.markers import read_percent
from grader.authoring.reference import exported_cells, load_answers
from grader.course.mistakes.planted import mistaken, planted, solution
from kws.course.checking import NotStarted, Unmet, forget_checks, lines_go_to

NUMBERS = [
    pytest.param(n, marks=[] if n == "09" else pytest.mark.slow) for n in ["06", "07", "08", "09"]
]


def by_hand(number: str) -> dict[str, tuple[str, set[str]]]:
    """Check -> its code, without what compares with our results, and the hints that it may give."""
    found = {}
    for cell in read_percent(solution(number).read_text(encoding="utf-8")):
        body = ast.parse(cell.source).body if "check" in cell.tags else []
        checks = [node for node in body if isinstance(node, ast.With)]
        if checks:
            kept = [node for node in body if not ast.unparse(node).startswith("check_values(")]
            tables = [node for node in ast.walk(checks[0]) if isinstance(node, ast.Dict)]
            keys = [key for table in tables for key in table.keys if isinstance(key, ast.Constant)]
            hints = {str(key.value) for key in keys if " " in str(key.value)}
            name = ast.literal_eval(checks[0].items[0].context_expr.args[0])
            found[name] = ast.unparse(ast.Module(kept, [])), hints
    return found


def imports(number: str) -> str:
    """What the notebook imports, whichever cell does."""
    cells = read_percent(solution(number).read_text(encoding="utf-8"))
    nodes = [node for c in cells if c.cell_type == "code" for node in ast.parse(c.source).body]
    return "\n".join(ast.unparse(n) for n in nodes if isinstance(n, ast.Import | ast.ImportFrom))


@pytest.mark.parametrize("number", NUMBERS)
def test_every_suspect_is_reached_by_a_planted_mistake(number):
    checks, first, hinted = by_hand(number), imports(number), []
    for mistake in planted(number).mistakes:
        text = mistaken(number, [mistake]).decode()
        names = load_answers([first, *exported_cells(solution(number), text)], mistake.name)
        forget_checks()
        with lines_go_to(lambda mark, check, text: hinted.append((check, text))):
            for check, (code, _) in checks.items():
                if check.startswith(f"{mistake.task}-"):
                    with suppress(Unmet, NotStarted, RuntimeError, ValueError, TypeError):
                        exec(code, dict(names))
    wanted = [(check, hint) for check, (_, hints) in checks.items() for hint in hints]
    assert wanted
    missing = [
        (check, hint)
        for check, hint in wanted
        if not any(check == one and text.endswith(f"hint: {hint}") for one, text in hinted)
    ]
    assert missing == []

"""`pytest grader/`: checks in, points out, and nothing that a submission holds runs in pytest.

The first half drives the hooks on checks made up here; the second runs the command itself.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save

import grader.conftest
import grader.grading.plugin
from grader.adapters import ASSIGNMENTS
from grader.core.outcomes import Reason, Report
from grader.core.seed import Seed
from grader.grading.grading_run import OURS, GradingRun
from grader.grading.in_process import OPTIONS
from grader.reports.page import page
from grader.reports.scorecard import closing_lines
from grader.submission.contents import Piece, Submission
from tests.conftest import PATIENCE
from tests.grader.conftest import code_beside

ROOT = Path(__file__).parents[3]
SOLUTION = ROOT / "solutions" / "02_attention.py"
TASKS = [task.id for task in ASSIGNMENTS["02"].tasks]
CODE = code_beside(__file__)
ENDS, WRONG = CODE["ends"], CODE["ends"]["wrong"]["checks"]


@pytest.fixture
def graded(tmp_path, monkeypatch, best):
    """`graded(checks, code="", …)`: the report when these are all checks of assignment 2.

    A check that passes is added for every task that has none.
    """
    monkeypatch.setattr(grader.grading.plugin, "GRADER", tmp_path)
    monkeypatch.setattr(grader.grading.plugin, "CHECKS", tmp_path)

    def grade(checks: str, code: str = "", *arguments: str, retrain: bool = False) -> Report:
        rest = "\n".join(
            f'@check("{task}")\ndef test_rest_{i}(): "It passes."\n'
            for i, task in enumerate(TASKS)
            if f'"{task}"' not in checks
        )
        if "@check(" not in checks or "@check()" in checks or "@check(points" in checks:
            rest = rest.replace('@check("2.1")\ndef test_rest_0(): "It passes."\n', "")
        source = "\n".join((CODE["head"], checks, rest))
        (tmp_path / "a02_attention").mkdir(exist_ok=True)
        (tmp_path / "a02_attention" / "test_checks.py").write_text(source)
        pieces = (Piece(source=code, where="cell 1", line=1, names=("attend",)),) if code else ()
        weights = save({"w": torch.ones(2)}) if "weights)" in checks and code else None
        submission = Submission(assignment="02", pieces=pieces, digest="d", weights=weights)
        run = GradingRun(submissions={"02": submission}, sandbox=best, seed=Seed(), retrain=retrain)
        grading = grader.grading.plugin.Grading(run)
        options = [*OPTIONS, f"--rootdir={tmp_path}", "-c/dev/null", "-pno:logging"]
        fixtures = ModuleType("fixtures")  # of the conftest, without its hooks
        vars(fixtures).update({k: x for k, x in vars(grader.conftest).items() if k[:2] != "py"})
        plugins = [grading, grader.grading.plugin, fixtures]
        try:
            code_ = pytest.main([*options, *arguments, str(tmp_path)], plugins=plugins)
        finally:
            run.close()
            sys.modules.pop("a02_attention.test_checks", None)
        assert grading.reports, f"pytest ended with {code_!r}"
        report = grading.reports[0]
        assert code_ == int(report.score < report.max_score), "the exit code tells"
        return report

    return grade


def first(report: Report):
    return report.checks[0]


def test_a_check_is_called_after_task_function_and_parameters_and_earns_its_points(graded):
    report = graded(CODE["several"])
    assert [(c.id, c.title, c.earned) for c in report.checks[:3]] == [
        ("2.1-two-words", "It holds.", 2),
        ("2.1-a[3]", "It holds too.", 2),
        ("2.1-a[5]", "It holds too.", 0),
    ]
    assert report.max_score == report.score + 4 == 2 * (len(TASKS) + 2)
    (blocked,) = (check for check in report.checks if check.id == "2.2-b")
    assert (blocked.earned, blocked.reason) == (0, Reason.NOT_RUN)
    assert blocked.message == "not run: 2.1-a[5] comes first"


@pytest.mark.parametrize("end", ENDS)
def test_points_reason_and_message_of_a_check(graded, end):
    about = ENDS[end]
    result = first(graded(about["checks"], about.get("code", "")))
    assert result.earned == about.get("points")
    assert result.reason == (Reason(about["reason"]) if "reason" in about else None)
    ours = OURS if result.reason is Reason.INFRASTRUCTURE else ""
    assert about.get("message", ours) in result.message
    assert "hidden" not in str(result)
    assert end != "wrong" or result.hint == "why?"


def test_some_of_the_points(graded):
    result = first(graded(CODE["partial"]))
    assert (result.earned, result.reason, result.facts) == (0.5, Reason.PARTIAL, {"n": 3})
    assert result.figures[0].title == "t"


@pytest.mark.parametrize(
    ("options", "score", "reason"),
    [(("-k", "rest_1"), 2, Reason.NOT_RUN), (("-x",), 0, Reason.WRONG)],
    ids=["deselected", "after a stop"],
)
def test_checks_that_do_not_run_are_in_the_inventory(graded, options, score, reason):
    report = graded(WRONG, "", *options)
    assert report.max_score == 2 * len(report.checks) == 2 * len(TASKS)
    assert report.score == score
    assert first(report).reason is reason


def test_points_that_exist_only_when_training_again_are_shown_as_such(graded):
    report, usual = graded(CODE["retrained"], retrain=True), graded(CODE["retrained"])
    assert {c.id for c in report.checks} - {c.id for c in usual.checks} == {"2.1-b"}
    assert report.max_score == usual.max_score + 2
    lines = "\n".join(closing_lines(report))
    assert f"2 of them exist with --retrain only: without it there are {usual.max_score:g}" in lines
    assert "--retrain" not in "\n".join(closing_lines(usual))
    assert "2 of them exist with --retrain only" in page([report]).decode()


@pytest.mark.parametrize("checks", CODE["refused"])
def test_checks_that_make_no_sense_are_no_grade(graded, checks, capsys):
    with pytest.raises(AssertionError, match="pytest ended with"):
        graded(checks)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "expected", "passed"),
    [
        ("student, weights", "42", True),  # the student's own, with which they were trained
        ("student, weights", "TypeError", True),  # ours
        ("student, weights", "43", False),
        ("student", "42", False),  # ours stands in
    ],
)
def test_weights_are_tried_in_ones_own_definitions_too(graded, arguments, expected, passed):
    source = CODE["weights"].replace("@arguments@", arguments).replace("@expected@", expected)
    report = graded(source, "def attend():\n    return 42")
    assert report.checks[1].passed is passed
    assert report.checks[1].earned == 3 * passed


def command(*arguments: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "KWS_GRADER"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=PATIENCE,
        env={**kept, "OMP_NUM_THREADS": "1", **environ},
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """Our own solution, beside files that pytest would like to run."""
    folder = tmp_path_factory.mktemp("hostile") / "handed in"
    folder.mkdir()
    shutil.copy(SOLUTION, folder)
    evil = f"import pathlib; pathlib.Path({str(folder.parent / 'hijacked')!r}).write_text('ran')\n"
    for name in ("conftest.py", "sitecustomize.py", "usercustomize.py", "test_evil.py"):
        (folder / name).write_text(evil)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p conftest\npythonpath = .\n")
    return folder


@pytest.mark.slow
def test_our_solution_earns_all_points_with_every_file_and_nothing_in_a_submission_runs_in_pytest(
    hostile, tmp_path
):
    done = command(
        str(ROOT / "grader"), "--submission", ".", "--student", "s-1",
        "--results", str(tmp_path / "r.json"),
        "--page", str(tmp_path / "p.html"), cwd=hostile,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert any(line.split()[1:2] == ["2.1-attend-values:"] for line in lines)
    assert "Score card: Attention (assignment 02)" in lines
    assert any(line.startswith("isolation: ") for line in lines)
    assert "verdict: graded" in done.stdout
    for word in ("test session starts", "rootdir", "passed in", "Traceback", "====", "::"):
        assert word not in done.stdout + done.stderr
    table = json.loads((tmp_path / "r.json").read_text())
    assert table["score"] == sum(test["max_score"] for test in table["tests"]) > 0
    assert b"s-1" in (tmp_path / "p.html").read_bytes()
    assert not (hostile.parent / "hijacked").exists()


@pytest.mark.slow
def test_another_configuration_is_refused_before_a_submission_can_run(hostile):
    done = command("-c", "/dev/null", "grader/", "--submission", str(hostile))
    assert not (hostile.parent / "hijacked").exists()
    assert done.returncode not in (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--submission", "/there/is/none"), "/there/is/none"),
        (("--submission", "docs"), "has no answer to any assignment"),
        (("--submission", "docs", "--require-isolation", "strong"), "choose one of sealed"),
        (("--assignment", "77", "-n", "2"), "leave -n out"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_and_still_a_result(tmp_path, arguments, word):
    out = tmp_path / "r.json"
    done = command("grader/", "--results", str(out), *arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert word in json.loads(out.read_text())["output"]


@pytest.mark.slow
def test_other_tests_do_not_run_the_checks():
    done = command("--collect-only", "-q", "grader/", "tests/training/test_schedule.py")
    assert "test_02" not in done.stdout
    assert "test_schedule" in done.stdout

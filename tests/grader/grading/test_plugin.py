"""`pytest grader/`: checks in, points out, and nothing that a submission holds runs in pytest.

The first half drives the hooks on checks made up here; the second runs the command itself.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

import grader.grading.fixtures
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

ROOT = Path(__file__).parents[3]
SOLUTION = ROOT / "solutions" / "02_attention.py"
TASKS = [task.id for task in ASSIGNMENTS["02"].tasks]
HEAD = """
    import pytest
    from grader.grading.feedback import Failure
    from grader.core.outcomes import Figure, Reason, Stopped

    def check(task="2.1", **options):
        return pytest.mark.check(task, **{"points": 2, **options})

    def expect_equal(what, actual, expected):
        if actual != expected:
            raise Failure(f"{what} is {actual}")
"""


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
        source = "\n".join(map(textwrap.dedent, (HEAD, checks, rest)))
        (tmp_path / "a02_attention").mkdir(exist_ok=True)
        (tmp_path / "a02_attention" / "test_checks.py").write_text(source)
        pieces = (Piece(source=code, where="cell 1", line=1, names=("attend",)),) if code else ()
        weights = save({"w": torch.ones(2)}) if "weights)" in checks and code else None
        submission = Submission(assignment="02", pieces=pieces, digest="d", weights=weights)
        run = GradingRun(submissions={"02": submission}, sandbox=best, seed=Seed(), retrain=retrain)
        grading = grader.grading.plugin.Grading(run)
        options = [*OPTIONS, f"--rootdir={tmp_path}", "-c/dev/null", "-pno:logging"]
        plugins = [grading, grader.grading.plugin, grader.grading.fixtures]
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
    source = """
    @check()
    def test_two_words():
        "It holds."

    @check()
    @pytest.mark.parametrize("n", [3, 5])
    def test_a(n):
        "It holds too."
        expect_equal("n", n, 3)
    """
    report = graded(source)
    assert [(c.id, c.title, c.earned) for c in report.checks[:3]] == [
        ("2.1-two-words", "It holds.", 2),
        ("2.1-a[3]", "It holds too.", 2),
        ("2.1-a[5]", "It holds too.", 0),
    ]
    assert report.max_score == report.score + 2 == 2 * (len(TASKS) + 2)


def body(*lines: str, given: str = "", title: str = "T.", marks: str = "@check()") -> str:
    """The source of a check."""
    return f'{marks}\ndef test_a({given}):\n    "{title}"\n    ' + "\n    ".join(lines)


TORCHS_OWN = "def attend():\n    import torch.nn as n\n    return n.MultiheadAttention(4, 2)"
COUNTS = "def attend(seen=[]):\n    seen.append(1)\n    return len(seen)"
TWO = "a, b = new_student(seed=1), new_student(seed=2)"
EQUAL = 'expect_equal("first", (a.attend(), a.attend(), b.attend()), (1, 2, 1))'
FAULTS = ["raise KeyError('hidden')", "assert 1 == 2", "[][0]", "raise SystemExit(0)"]
BROKEN = '@pytest.fixture\ndef broken():\n    raise KeyError("hidden")\n'
TRY = ["tries.append(1)", 'expect_equal("tries", len(tries), 2)']
LATER = ["if len(tries) == 1:", '    raise OSError("passing")']
FAULTS_ONCE = "tries = []\n" + body(TRY[0], *LATER, TRY[1], given="student")
ENDS = {  # a check, what was handed in, and the points (of 2), reason and message that it ends with
    "wrong": (body('raise Failure("off", "why?")'), "", (0, Reason.WRONG, "off")),
    **{fault: (body(fault), "", (None, Reason.INFRASTRUCTURE, OURS)) for fault in FAULTS},
    "a broken fixture": (
        BROKEN + body("", given="broken"),
        "",
        (None, Reason.INFRASTRUCTURE, OURS),
    ),
    "a fault once": (FAULTS_ONCE, "", (2, None, "")),  # tried again in a fresh session
    "a wrong answer once": ("tries = []\n" + body(*TRY), "", (0, Reason.WRONG, "tries is 1")),
    "skipped inside": (body('pytest.skip("no time")'), "", (0, Reason.NOT_RUN, "not run: no time")),
    "skipped": (
        body("", marks='@check()\n@pytest.mark.skip(reason="no time")'),
        "",
        (0, Reason.NOT_RUN, "not run: no time"),
    ),
    "a student is called": (
        body('expect_equal("attend()", student.attend(), 42)', given="student"),
        "def attend():\n    return 42",
        (2, None, ""),
    ),
    "two processes share nothing": (body(TWO, EQUAL, given="new_student"), COUNTS, (2, None, "")),
    "forbidden": (
        body("student.attend()", given="student"),
        TORCHS_OWN,
        (0, Reason.FORBIDDEN, "torch.nn.MultiheadAttention"),
    ),
    "no weights": (body("", given="weights"), "", (0, Reason.MISSING, "02_attention.safetensors")),
}


@pytest.mark.parametrize("end", ENDS)
def test_points_reason_and_message_of_a_check(graded, end):
    source, code, (earned, reason, message) = ENDS[end]
    result = first(graded(source, code))
    assert (result.earned, result.reason) == (earned, reason)
    assert message in result.message
    assert "hidden" not in str(result)
    assert end != "wrong" or result.hint == "why?"


def test_some_of_the_points(graded):
    source = """
    @check()
    def test_a(record):
        "T."
        record.partial(0.25, "some")
        record.fact("n", 3)
        record.figure(Figure(kind="curve", title="t", data={"x": [1], "y": [2]}))
    """
    result = first(graded(source))
    assert (result.earned, result.reason, result.facts) == (0.5, Reason.PARTIAL, {"n": 3})
    assert result.figures[0].title == "t"


@pytest.mark.parametrize(
    ("line", "options", "score", "reason"),
    [("", ("-k", "rest_1"), 2, Reason.NOT_RUN), ('raise Failure("off")', ("-x",), 0, Reason.WRONG)],
    ids=["deselected", "after a stop"],
)
def test_checks_that_do_not_run_are_in_the_inventory(graded, line, options, score, reason):
    report = graded(body(line), "", *options)
    assert report.max_score == 2 * len(report.checks) == 2 * len(TASKS)
    assert report.score == score
    assert first(report).reason is reason


def test_what_a_check_builds_on_comes_first(graded):
    blocked = (
        '@check("2.1", after=("2.1-a",))\ndef test_b():\n    "T."\n    raise KeyError("it ran")'
    )
    result = graded(body('raise Failure("off")') + f"\n{blocked}").checks[1]
    assert (result.earned, result.reason) == (0, Reason.NOT_RUN)
    assert result.message == "not run: 2.1-a comes first"


WITH_RETRAINING = '@check()\ndef test_a(): "T."\n@check("2.1", retrain=True)\ndef test_b(): "T."'


def test_points_that_exist_only_when_training_again_are_shown_as_such(graded):
    report, usual = graded(WITH_RETRAINING, retrain=True), graded(WITH_RETRAINING)
    assert {c.id for c in report.checks} - {c.id for c in usual.checks} == {"2.1-b"}
    assert report.max_score == usual.max_score + 2
    lines = "\n".join(closing_lines(report))
    assert f"2 of them exist with --retrain only: without it there are {usual.max_score:g}" in lines
    assert "--retrain" not in "\n".join(closing_lines(usual))
    assert "2 of them exist with --retrain only" in page([report]).decode()


@pytest.mark.parametrize(
    "checks",
    [
        '@check("9.9")\ndef test_a(): "T."',
        "@check()\ndef test_a(): pass",
        '@check(points=0)\ndef test_a(): "T."',
        '@check(worth=3)\ndef test_a(): "T."',
        '@check()\ndef test_a(): "T."\n@check(after=("2.1-b",))\ndef test_c(): "T."',
        '@check()\ndef test_a(): "T."\ndef test_unmarked(): "T."',
        '@check()\n@pytest.mark.slow\ndef test_a(): "T."',
        "this is not Python",
    ],
)
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
    source = f"""
    @check()
    def test_a():
        "Fails."
        raise Failure("off")

    @check("2.3", points=3)
    def test_b({arguments}):
        "T."
        try:
            found = str(student.attend())
        except Stopped as stopped:
            found = stopped.message
        if "{expected}" not in found:
            raise Failure(found)
    """
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


@pytest.fixture(scope="module")
def of_the_solution(hostile, tmp_path_factory):
    """It is graded from its own folder, with every file that the command can write."""
    out = tmp_path_factory.mktemp("results")
    done = command(
        str(ROOT / "grader"), "--submission", ".", "--student", "s-1",
        "--results", str(out / "r.json"),
        "--page", str(out / "p.html"), cwd=hostile,
    )  # fmt: skip
    return done, out


def test_our_solution_earns_all_points_with_a_line_a_check_and_none_of_pytests_own(of_the_solution):
    done, _ = of_the_solution
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert any(line.split()[1:2] == ["2.1-attend-values:"] for line in lines)
    assert "Score card: Attention (assignment 02)" in lines
    assert any(line.startswith("isolation: ") for line in lines)
    assert "verdict: graded" in done.stdout
    for word in ("test session starts", "rootdir", "passed in", "Traceback", "====", "::"):
        assert word not in done.stdout + done.stderr


def test_every_file_is_written_and_nothing_in_a_submission_runs_in_pytest(of_the_solution, hostile):
    _, out = of_the_solution
    table = json.loads((out / "r.json").read_text())
    assert table["score"] == sum(test["max_score"] for test in table["tests"]) > 0
    assert b"s-1" in (out / "p.html").read_bytes()
    assert not (hostile.parent / "hijacked").exists()


def test_another_configuration_is_refused_before_a_submission_can_run(hostile):
    done = command("-c", "/dev/null", "grader/", "--submission", str(hostile))
    assert not (hostile.parent / "hijacked").exists()
    assert done.returncode not in (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--submission", "/there/is/none"), "/there/is/none"),
        (("--submission", "docs"), "holds no answer to any assignment"),
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


def test_other_tests_do_not_run_the_checks():
    done = command("--collect-only", "-q", "grader/", "tests/training/test_schedule.py")
    assert "test_02" not in done.stdout
    assert "test_schedule" in done.stdout

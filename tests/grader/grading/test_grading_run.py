"""The point rules: what each way of ending a check earns, and what is said about it."""

import json
import math
from dataclasses import replace

import pytest
import torch

from grader.adapters import ASSIGNMENTS
from grader.core.outcomes import CheckResult, Figure, Reason, Record, Stopped, Verdict
from grader.core.seed import Seed
from grader.core.text import clean
from grader.grading import grading_run
from grader.grading.checks import Check
from grader.grading.feedback import Failure
from grader.grading.grading_run import GradingRun, by_assignment, judge, student_program
from grader.sandbox import Code
from grader.submission.contents import Piece, Submission
from tests.grader.conftest import code_beside
from tests.grader.sandbox.conftest import pieces

CODE = code_beside(__file__)


def a_check(name: str = "2.1-values", points: float = 3, **rest) -> Check:
    task = name.partition("-")[0]
    return Check(assignment="02", id=name, task=task, title="It holds.", points=points, **rest)


def judged(error=None, record=None, points: float = 3) -> CheckResult:
    return judge(a_check(points=points), error, record or Record())


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (None, (3, None, "", "")),
        (Failure("it is off", "why?"), (0, Reason.WRONG, "it is off", "why?")),
        (Stopped(Reason.UNREAD, "hw.7z"), (None, Reason.UNREAD, "hw.7z", "")),
    ],
)
def test_right_earns_all_wrong_nothing_and_what_could_not_be_opened_is_open(error, ends):
    result = judged(error)
    assert (result.earned, result.reason, result.message, result.hint) == ends
    assert result.passed == (error is None)


OPEN = (Reason.INFRASTRUCTURE, Reason.UNREAD)


@pytest.mark.parametrize("reason", [r for r in Reason if r not in OPEN])
def test_every_ending_of_the_students_earns_nothing_and_keeps_its_reason(reason):
    result = judged(Stopped(reason, "it stopped", "why?"))
    assert (result.earned, result.reason, result.message) == (0, reason, "it stopped")


FAULTS = [
    kind("of 3") for kind in (KeyError, AssertionError, TypeError, RecursionError, MemoryError)
]
GONE = Stopped(Reason.INFRASTRUCTURE, "the server is gone")


@pytest.mark.parametrize("error", [GONE, *FAULTS], ids=lambda error: type(error).__name__)
def test_a_fault_of_ours_leaves_the_points_open_and_shows_no_value(error):
    result = judged(error)
    assert (result.earned, result.reason) == (None, Reason.INFRASTRUCTURE)
    assert result.message == grading_run.OURS
    messages = json.dumps(result.facts)
    assert type(error).__name__ in messages
    assert "expected_logits" not in messages
    assert "3 == 4" not in messages


@pytest.mark.parametrize(("share", "earned"), [(0.5, 1.5), (1 / 3, 1.0), (0.111, 0.33), (0, 0)])
def test_a_share_of_the_points_is_earned_to_the_cent(share, earned):
    record = Record()
    record.partial(share, "some")
    result = judged(record=record)
    assert (result.earned, result.reason) == (earned, Reason.PARTIAL)


def test_the_smallest_share_counts_and_one_that_is_none_is_a_fault_of_ours_with_its_line():
    record, whole = Record(), Record()
    for share in (0.75, 0.25, 0.5):
        record.partial(share, f"{share} reached")
    assert judged(record=record, points=4).earned == 1
    assert judged(record=record).message == "0.25 reached"
    assert judged(Failure("it is off"), record).earned == 0
    whole.partial(1, "all")
    assert judged(record=whole).passed
    with pytest.raises(AttributeError) as fault:
        judge(None, None, None)  # pyright: ignore[reportArgumentType]
    assert "grading_run.py:" in judged(fault.value).facts[grading_run.STAFF]
    for share in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="not between 0 and 1"):
            Record().partial(share, "")


def test_facts_are_plain_survive_a_failure_and_pictures_hold_what_json_can_hold():
    record = Record()
    for name, value in (("n", torch.tensor(3)), ("loss", math.nan), ("name", "a\x1b[31mb")):
        record.fact(name, value)
    facts = judged(Failure("off"), record).facts
    assert facts == {"n": 3, "loss": "not a number", "name": "ab"}
    record = Record()
    data = {"x": torch.arange(2), "y": [1.0, math.inf], "x_label": "step", "y_label": "loss"}
    record.figure(Figure(kind="curve", title="t", data=data))
    (figure,) = judged(record=record).figures
    assert json.loads(json.dumps(figure.data)) == figure.data
    assert (figure.data["x"], figure.data["y"]) == ([0, 1], [1.0, None])


CLEANED = {
    "a\x00b\x07c": "abc",
    "\x1b[31mred\x1b[0m": "red",
    "\ud800x": "x",
    "two\r\nlines\tand ünï 中 🙂": "two\nlines\tand ünï 中 🙂",
    "\ufffe\uffff": "",
}


def test_what_a_student_can_say_is_cleaned_and_cut_in_message_and_hint():
    assert {text: clean(text) for text in CLEANED} == CLEANED
    result = judged(Stopped(Reason.ERROR, "a\ud800\x00", "b" * 9999))
    assert result.message == "a"
    assert len(result.hint) == len(clean("x" * 10**6)) == 2000


@pytest.fixture
def run() -> GradingRun:
    nothing = Submission(assignment="02", pieces=(), digest="d", repairs=("mended\x00",))
    run = GradingRun(submissions={"02": nothing}, sandbox=None, seed=Seed())
    names = ("2.1-a", "2.1-b", "2.2-c", "2.3-d")
    run.checks["02"] = [a_check(name) for name in names]
    return run


def put(run: GradingRun, name: str, error: BaseException | None = None) -> None:
    check = next(check for check in run.checks["02"] if check.id == name)
    run.results["02", name] = judge(check, error, Record())


def test_a_check_nobody_reported_earns_nothing_and_is_open_if_the_run_was_interrupted(run):
    put(run, "2.1-a")
    report = run.report(ASSIGNMENTS["02"])
    assert [check.earned for check in report.checks] == [3, 0, 0, 0]
    assert {check.reason for check in report.checks[1:]} == {Reason.NOT_RUN}
    assert report.max_score == 12
    assert (report.repairs, report.digest, report.seed_id) == (("mended",), "d", "development")
    report = run.report(ASSIGNMENTS["02"], interrupted=True)
    assert [check.earned for check in report.checks] == [3, None, None, None]
    assert report.verdict is Verdict.PERSON


def test_a_check_is_blocked_by_one_that_earned_nothing_not_by_a_fault_of_ours_or_some_points(run):
    put(run, "2.1-a")
    put(run, "2.2-c", Failure("off"))
    assert run.blocked_by(a_check("2.3-d", after=("2.1-a", "2.2-c"))) == "2.2-c"
    check, record = a_check("2.3-d", after=("2.1-a",)), Record()
    put(run, "2.1-a", KeyError())
    assert run.blocked_by(check) is None
    record.partial(0.5, "half")
    run.results["02", "2.1-a"] = judge(run.checks["02"][0], None, record)
    assert run.blocked_by(check) is None


def test_tasks_that_failed_are_those_this_one_builds_on_and_references_are_given_for_them_only(run):
    put(run, "2.1-a")
    put(run, "2.1-b", Failure("off"))
    put(run, "2.2-c")
    assert run.failed_tasks(a_check("2.3-d")) == ("2.1",)
    assert run.failed_tasks(a_check("2.2-c")) == ()
    assert run.failed_tasks(a_check("2.6-e")) == ("2.1",)
    put(run, "2.1-a", Failure("off"))
    put(run, "2.2-c")
    references = student_program(run, a_check("2.3-d")).references
    names = {name for piece in references for name in piece.names}
    assert "attend" in names
    assert "split_heads" not in names


def test_a_loop_outside_of_functions_runs_for_the_tasks_that_use_it_and_not_for_ours(run):
    run.submissions["02"] = replace(run.submissions["02"], pieces=pieces(CODE["loops"]))

    def loops(task: str) -> bool:
        program = student_program(run, a_check(task))
        return any("while" in piece.source for piece in program.pieces)

    assert [loops(task) for task in ("2.1-a", "2.2-c", "2.3-d")] == [True, False, True]
    put(run, "2.1-a", Failure("off"))
    assert not loops("2.3-d")


def test_the_seed_of_a_check_follows_from_the_secret_one(run):
    other = GradingRun(submissions=run.submissions, sandbox=None, seed=Seed("other"))
    check = a_check("2.2-c")
    seed = student_program(run, check).seed
    assert seed == student_program(run, check).seed != student_program(other, check).seed
    assert student_program(run, check, seed=7).seed == 7


def test_each_known_assignment_is_graded_and_one_that_is_not_there_as_nothing():
    found = [Submission(assignment=a, pieces=(), digest=a) for a in ("02", "77", "")]
    assert list(by_assignment(found, None)) == ["02"]
    chosen = by_assignment([], "02")["02"]
    assert chosen.pieces == ()
    assert "no answer to assignment 02" in chosen.repairs[0]


def counting(most: int) -> tuple[Piece, ...]:
    return pieces(CODE["counts_its_calls"].replace("MOST", str(most)))


def calls_seen(sandbox, most: int) -> list[list[int]]:
    """Results of two trials, with other rules, of an answer that counts its calls."""
    run, seen = GradingRun(submissions={}, sandbox=sandbox, seed=Seed("s")), []
    for forbidden in (), ("torch.nn.MultiheadAttention",):
        program = Code(pieces=counting(most), forbidden=forbidden)
        name = "2.1-attend-values"
        run.trial(a_check(name), program, name, 0, lambda results: seen.append(results))
    run.close()
    return [[value for _, value in results] for results in seen]


def test_trials_share_a_process_while_they_pass_and_do_not_suffer_from_what_one_left(sandbox):
    first, second = calls_seen(sandbox, most=100)
    assert second == [len(first) + count for count in first]
    assert calls_seen(sandbox, most=len(first)) == [first, first]


def test_a_trial_does_not_suffer_from_what_only_another_task_forbids(sandbox):
    run, seen = GradingRun(submissions={}, sandbox=sandbox, seed=Seed("s")), []
    program = Code(pieces=pieces(CODE["ready_made"]))
    for _ in range(2):
        run.trial(a_check(), program, "2.1-attend-values", 0, seen.append)
    assert len(seen) == 2
    strict = replace(program, forbidden=ASSIGNMENTS["02"].task("2.1").forbidden)
    with pytest.raises(Stopped):
        run.trial(a_check(), strict, "2.1-attend-values", 0, seen.append)
    run.close()


def test_what_counts_is_how_a_trial_ends_in_a_fresh_process(sandbox):
    program, messages = Code(pieces=counting(100)), []
    run = GradingRun(submissions={}, sandbox=sandbox, seed=Seed("s"))

    def judge_wrong(results):
        messages.append(results[0][1])
        raise Failure("it is off")

    run.trial(a_check(), program, "2.1-attend-values", 0, lambda results: None)
    with pytest.raises(Failure):
        run.trial(a_check(), program, "2.1-attend-values", 0, judge_wrong)
    assert messages[0] > messages[1] == 1
    with pytest.raises(Failure):  # and nothing runs in a process after that
        run.trial(a_check(), program, "2.1-attend-values", 0, judge_wrong)
    assert messages[2:] == [1]
    run.close()

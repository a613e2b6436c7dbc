"""Every way in which a check can end before its verdict, by real student code in a real process."""

import pytest
import torch

from grader.core.outcomes import Reason
from grader.sandbox import Code, Tier
from grader.submission.contents import Piece
from tests.grader.conftest import code_beside
from tests.grader.sandbox.conftest import pieces, reason, stopped

WEAKER = [pytest.param(tier, marks=pytest.mark.slow) for tier in (Tier.FENCED, Tier.PROCESS)]
ALL = pytest.mark.parametrize("tier", [Tier.SEALED, *WEAKER])
CODE = code_beside(__file__)
BAD = CODE["bad"]


@pytest.fixture
def bad(student):
    """A fresh check with two seconds of processor time."""
    return student(BAD, audited=False, seconds=2)


@pytest.mark.parametrize("end", CODE["ends"], ids=lambda end: end["call"])
def test_a_check_ends_with_its_reason_and_after_an_error_the_process_lives(student, end):
    bad = student(BAD, audited=False, seconds=end.get("seconds", 2))
    ending = stopped(getattr(bad, end["call"]), *end.get("arguments", ()))
    assert ending.reason.value in end["reasons"]
    assert end.get("message", "") in ending.message
    assert "lives" not in end or bad.fine() == 42


def test_sleep_without_end_is_a_timeout(bad, monkeypatch):
    monkeypatch.setattr(bad._connection, "_left", 0.5)
    assert reason(bad.sleep) is Reason.TIMEOUT


@pytest.mark.slow  # a tier of its own
@pytest.mark.skipif("sys.platform != 'linux'")
def test_a_fork_bomb_does_not_go_off(sandboxes):
    code = Code(pieces=pieces(BAD))
    with sandboxes(Tier.FENCED).session() as session, session.check(code) as student:
        messages = stopped(student.fork_bomb)
    assert messages.reason is Reason.ERROR
    assert "PermissionError" in messages.message


def test_exceptions_are_short_and_clean_and_quote_the_students_own_line(bad):
    message = stopped(bad.long_winded, 10_000_000).message
    start = "long_winded raised ValueError: "
    assert message.startswith(start + "<script> xxxx")
    assert message.isprintable()
    assert len(message) == len(start) + 200
    message = stopped(bad.strange_kind).message
    assert message.startswith("strange_kind raised yyyy")
    assert message.isprintable()
    assert len(message) < 150
    messages = stopped(bad.attend, torch.ones(2, 3), torch.ones(2, 3))
    assert messages.reason is Reason.ERROR
    assert messages.message.startswith("attend raised RuntimeError: mat1 and mat2 shapes")
    line = BAD.split("\n").index("    scores = q @ k") + 1
    assert messages.hint == f"cell 7, line {line}: scores = q @ k"
    messages = stopped(bad.deep, torch.ones(2, 3))
    line = BAD.split("\n").index("    return torch.nn.functional.linear(x, torch.zeros(5, 7))") + 1
    assert messages.hint.startswith(f"cell 7, line {line}: return torch.nn.functional.linear(")
    assert "/" not in messages.message + messages.hint
    assert "grader" not in messages.message + messages.hint


@pytest.mark.skipif("sys.version_info < (3, 11)")
def test_a_group_of_exceptions_is_reported_as_one(bad):
    message = stopped(bad.several).message
    assert message == "several raised ExceptionGroup: two of them (2 sub-exceptions)"


@ALL
def test_the_next_check_works_after_one_died(sandboxes, tier):
    with sandboxes(tier).session() as session:
        for name in ("kill", "crash", "todo"):
            with session.check(Code(pieces=pieces(BAD))) as student:
                stopped(getattr(student, name))
            with session.check(Code(pieces=pieces(BAD))) as student:
                assert student.fine() == 42


@ALL
def test_the_same_ends_in_every_tier(sandboxes, tier):
    ends = {"kill": Reason.KILLED, "big_tensor": Reason.MEMORY, "loop": Reason.TIMEOUT}
    with sandboxes(tier).session() as session:
        for name, expected in ends.items():
            with session.check(Code(pieces=pieces(BAD)), seconds=1) as student:
                assert reason(getattr(student, name)) is expected


def test_two_checks_may_be_open_at_once(session):
    with session.check(Code(pieces=pieces(BAD))) as one:
        assert reason(one.value, "__builtins__") is Reason.MISSING
        with session.check(Code(pieces=pieces(BAD))) as two:
            assert one.fine() == two.fine() == 42
            assert reason(two.leave, 0) is Reason.KILLED
        assert one.fine() == 42


def test_loading_that_does_not_end_is_a_timeout(session):
    code = Code(pieces=pieces("X = list(iter(int, 1))\ndef f():\n    return 1"))
    with session.check(code, seconds=1) as student:
        assert reason(student.f) in (Reason.TIMEOUT, Reason.MEMORY)


def test_a_check_that_is_over_and_a_reference_that_fails_are_our_fault(best, session):
    with best.session() as over:
        with over.check(Code(pieces=pieces(BAD))) as student:
            pass
        assert reason(student.fine) is Reason.INFRASTRUCTURE
    assert reason(over.check, Code(pieces=())) is Reason.INFRASTRUCTURE
    ours = Piece(source="def f(:", where="reference", line=1, names=("f",))
    with session.check(Code(pieces=(), references=(ours,))) as student:
        assert reason(student.f) is Reason.INFRASTRUCTURE


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("torch.ones(2).cuda()", "f asked for a GPU, and there is none here: use the device of"),
        ("torch.ones(2, device='cuda')", "f asked for a GPU, and there is none here"),
        ("input('how many? ')", "f asked for keyboard input, which is not available here"),
    ],
)
def test_what_works_in_a_notebook_and_not_here_is_told_with_the_line(student, line, words):
    messages = stopped(student(f"import torch\ndef f():\n    return {line}").f)
    assert messages.reason is Reason.ERROR
    assert messages.message.startswith(words)
    assert messages.hint == f"cell 7, line 3: return {line}"


def test_a_forbidden_function_is_refused_by_its_name_in_another_module(student):
    source = "import torch\ndef f():\n    return torch.signal.windows.windows.hann(4)"
    found = student(source, forbidden=("torch.signal.windows.hann",))
    assert reason(found.f) is Reason.FORBIDDEN

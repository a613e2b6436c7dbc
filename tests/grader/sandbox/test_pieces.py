"""Loading: failures are remembered, what may not be used is trapped or refused while it runs."""

import pytest
import torch

from grader.core.outcomes import Reason
from grader.sandbox import Code
from grader.submission.contents import Piece
from tests.grader.conftest import code_beside
from tests.grader.sandbox.conftest import pieces, reason, stopped

CODE = code_beside(__file__)
TEXTS, FUSED, SHORTCUTS = CODE["texts"], CODE["fused"], CODE["shortcuts"]


@pytest.mark.parametrize("program", CODE["run"])
def test_a_piece_runs_beside_others(student, program):
    assert student(CODE["run"][program]).f(3) == 3


def test_a_failed_piece_says_why_when_its_name_is_asked_for_or_needed(student):
    found = student(TEXTS["failed"])
    assert found.f() == 1
    why = "the definition of B raised ZeroDivisionError: division by zero"
    for call, message, hint in (
        (found.B, why, "cell 7, line 2: B = 1 / 0"),
        (found.g, f"g needs B: {why}", "cell 7, line 6: return B"),
    ):
        messages = stopped(call)
        assert (messages.reason, messages.message, messages.hint) == (Reason.MISSING, message, hint)
    messages = stopped(found.C)
    assert messages.reason is Reason.MISSING
    assert "name 'nowhere' is not defined" in messages.message
    assert "raised UnboundLocalError" in stopped(found.h).message  # a variable of its own
    assert reason(found.D) is Reason.NOT_STARTED


def test_a_syntax_error_costs_its_piece_and_who_needs_it(session):
    bad = Piece(source="def f(:\n    pass", where="cell 3", line=4, names=("f",))
    rest = pieces("def g():\n    return 1\ndef h():\n    return f()")
    why = "f is in cell 3, which Python cannot read (line 4): invalid syntax"
    with session.check(Code(pieces=(bad, *rest))) as student:
        messages = stopped(student.f)
        assert messages.reason is Reason.MISSING
        assert messages.message == why
        assert messages.hint == "cell 3, line 4: def f(:"
        assert student.g() == 1
        assert stopped(student.h).message == f"h needs f: {why}"


def test_a_library_that_is_not_to_be_had_is_named_where_it_is_used(student):
    found = student(TEXTS["libraries"])
    missing = "needs rearrange: einopsen is not installed here"
    assert stopped(found.f).message == f"f {missing}"
    assert stopped(found.f).hint == "cell 7, line 3: return rearrange(3)"
    assert stopped(found.g).message == f"the definition of g {missing}"
    assert reason(found.value, "nonexistent") is Reason.MISSING
    assert "nonexistent" in stopped(found.h).message
    messages = stopped(found.i)
    assert messages.reason is Reason.FORBIDDEN
    assert messages.message == (
        "i needs attend: solutions belongs to the staff: it cannot be imported here"
    )


def test_lines_of_several_pieces_of_a_cell_are_told_right(student):
    found = student("X = 1\n\n\ndef f():\n\n    return 1 / 0\n\ndef g():\n    return {}['a']")
    assert stopped(found.f).hint == "cell 7, line 6: return 1 / 0"
    assert stopped(found.g).hint == "cell 7, line 9: return {}['a']"


def ours(source: str) -> tuple[Piece, ...]:
    return pieces(source, where="reference")


def test_a_reference_replaces_a_definition_also_one_that_fails_and_is_there_first(student):
    found = student(TEXTS["replaced"], references=ours(TEXTS["ours"]))
    assert found.attend() == found.encode() == "ours"
    assert found.both() == pytest.approx((5, 1.5707963))


def changing(source: str, *changes: str) -> Piece:
    """A statement of the student's that defines nothing."""
    return Piece(source=source, where="cell 7", line=9, names=changes, changes=changes)


LAYER, PATCHED = TEXTS["layer"], TEXTS["patched"]


@pytest.mark.parametrize(
    ("change", "result"),
    [(changing("Layer.forward = other"), 2), (changing("Layer.forward = nowhere", "Layer"), 1)],
)
def test_what_changes_something_in_place_runs_and_leaves_the_definition_if_it_fails(
    session, change, result
):
    with session.check(Code(pieces=(*pieces(f"{LAYER}\n{PATCHED}"), change))) as student:
        assert student.f()[0] == result


PATCHES = {
    "directly": changing("Layer.forward = other", "Layer"),
    "by another name": changing("Again = Layer; Again.forward = other", "Again"),
    "in a function": Piece(source=TEXTS["patch"], where="cell 7", line=9, names=("patch", "X")),
}


@pytest.mark.parametrize("patch", PATCHES)
def test_no_statement_of_the_students_changes_a_reference(session, patch):
    rest = (*pieces(PATCHED), PATCHES[patch])
    with session.check(Code(pieces=rest, references=ours(LAYER))) as student:
        assert student.f() == (1, "as defined", False)


TABLE = "TABLE = {'a': 1}\ndef get():\n    return TABLE"


def test_no_table_of_ours_is_changed_and_no_source_of_ours_is_to_be_had(session, student):
    code = Code(pieces=(changing("TABLE['a'] = 2", "TABLE"),), references=ours(TABLE))
    with session.check(code) as check:
        assert check.get() == {"a": 1}
    found = student(
        "import inspect\ndef f():\n    return inspect.getsource(attend)",
        references=ours("def attend():\n    return 'ours'"),
    )
    assert stopped(found.f).message.startswith("f raised OSError")


@pytest.mark.parametrize("name", SHORTCUTS)
def test_a_forbidden_answer_is_told_by_its_name_whatever_it_goes_by(student, name):
    found = student(SHORTCUTS[name], forbidden=(name,))
    for call in "abcd":
        messages = stopped(getattr(found, call))
        assert messages.reason is Reason.FORBIDDEN, call
        assert messages.message == f"{name} is the library's own answer to this task"


@pytest.mark.parametrize("name", list(SHORTCUTS)[:2])
def test_the_same_code_runs_where_nothing_is_forbidden(student, name):
    assert student(SHORTCUTS[name]).a() is not None


def test_honest_attention_is_not_trapped(student):
    found = student(
        "def attend(q, k, v):\n    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v",
        forbidden=tuple(SHORTCUTS),
    )
    q = torch.randn(2, 3, 7, 5)
    expected = torch.nn.functional.scaled_dot_product_attention(q, q, q)
    torch.testing.assert_close(found.attend(q, q, q), expected)


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("call", FUSED["calls"])
def test_a_fused_operator_is_refused_with_all_modes_of_torch_off(student, call, grad):
    """Asked for by a name that the source does not show, past torch's functions and modes."""
    name, arguments = call.split("(", 1)
    source = TEXTS["fused"].replace("@grad@", str(grad))
    source = source.replace("@backwards@", repr(name[::-1])).replace("@arguments@", arguments)
    assert student(source).f() is not None
    forbidden = ("torch.nn.functional.scaled_dot_product_attention", *list(SHORTCUTS)[:3])
    assert reason(student(source, forbidden=forbidden).f) is Reason.FORBIDDEN


@pytest.mark.parametrize("within", FUSED["within"], ids=lambda one: one["call"][:50])
def test_fused_attention_is_refused_within_a_transform_and_in_its_flexible_form(student, within):
    source = f"import torch\nEND = '_attention'\ndef f(x):\n    return ({within['call']})(x)"
    found = student(source, forbidden=(within["forbidden"],))
    assert reason(found.f, torch.ones(2, 1, 3, 4)) is Reason.FORBIDDEN


def test_forbidden_where_it_is_observed_and_in_training_too(student):
    forbidden = ("torch.nn.functional.scaled_dot_product_attention",)
    found = student(TEXTS["module"], forbidden=forbidden)
    module, x = found.Net(), torch.zeros(1, 3, 5)
    for call in (module, module.observe):
        assert reason(call, x) is Reason.FORBIDDEN
    assert reason(module.fit, [(x, x)], steps=1, lr=1.0, loss="mse") is Reason.FORBIDDEN


AUDIT = CODE["audit"]
HEAD, REFUSED = AUDIT["head"], AUDIT["refused"]


def test_what_is_put_together_while_it_runs_is_refused(student):
    lines = [f"def f{n}():\n    return {text}" for n, text in enumerate(REFUSED.values())]
    answers = student(HEAD + AUDIT["helpers"] + "def f():\n    pass\n" + "\n".join(lines))
    for number, name in enumerate(REFUSED):
        ending = stopped(getattr(answers, f"f{number}"))
        assert ending.reason in (Reason.FORBIDDEN, Reason.ERROR), (name, ending)
        words = ("is not for answers", "no files but its own", "loaded already", "was changed")
        assert any(word in ending.message for word in words), (name, ending.message)


def test_usual_python_and_the_libraries_own_affairs_work(student):
    y, kind = student(HEAD.rpartition("names =")[0] + AUDIT["honest"]).f(torch.ones(2, 4))
    assert y.shape == (2, 4)
    assert kind == "int"

"""Loading: what fails is remembered, what may not be used is trapped, ours stand in for theirs."""

import pytest
import torch

from grader.core.outcomes import Reason
from grader.sandbox import Code
from grader.submission.contents import Piece
from tests.grader.conftest import code_beside
from tests.grader.sandbox.conftest import pieces, reason, stopped


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ("A = B + 1\nB = C + 1\nC = 1\ndef f():\n    return A", ()),
        ("import sys\nA = sys.exit(3)\ndef f():\n    return 3", ()),
        ("from __future__ import annotations\ndef f(x: No) -> Way:\n    return x", (3,)),
        (
            "from dataclasses import dataclass\n@dataclass\nclass Config:\n"
            "    width: int = 3\ndef f():\n    return Config().width",
            (),
        ),
    ],
    ids=["needs a later piece", "another one leaves", "future imports", "dataclasses"],
)
def test_a_piece_runs_beside_others(student, source, arguments):
    assert student(source).f(*arguments) == 3


def test_a_failed_piece_says_why_when_its_name_is_asked_for_or_needed(student):
    found = student(
        "A = 1\nB = 1 / 0\ndef f():\n    return A\ndef g():\n    return B\n"
        "C = nowhere + 1\ndef h():\n    if 0:\n        B = 3\n    return B"
    )
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


def test_a_constant_of_a_todo_is_not_started(student):
    found = student("def f():\n    raise NotImplementedError('TODO 1.1')\nA = f()")
    assert reason(found.A) is Reason.NOT_STARTED


def test_a_syntax_error_costs_its_piece_and_who_needs_it(session):
    bad = Piece(source="def f(:\n    pass", where="cell 3", line=4, names=("f",))
    rest = pieces("def g():\n    return 1\ndef h():\n    return f()")
    why = "f stands in cell 3, which Python cannot read (line 4): invalid syntax"
    with session.check(Code(pieces=(bad, *rest))) as student:
        messages = stopped(student.f)
        assert messages.reason is Reason.MISSING
        assert messages.message == why
        assert messages.hint == "cell 3, line 4: def f(:"
        assert student.g() == 1
        assert stopped(student.h).message == f"h needs f: {why}"


def test_a_library_that_is_not_to_be_had_is_named_where_it_is_used(student):
    found = student(
        "from einopsen import rearrange\ndef f():\n    return rearrange(3)\n"
        "@rearrange\ndef g():\n    pass\nimport nonexistent\n"
        "def h():\n    return nonexistent.x\n"
        "from solutions import attend\ndef i():\n    return attend()"
    )
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
    found = student(
        "import math\ndef attend():\n    return 'theirs'\ndef encode():\n    return attend()\n"
        "X = 1 / 0\nHALF = half(math.pi)\ndef both():\n    return X, HALF",
        references=ours("def attend():\n    return 'ours'\nX = 5\ndef half(x):\n    return x / 2"),
    )
    assert found.attend() == found.encode() == "ours"
    assert found.both() == pytest.approx((5, 1.5707963))


def changing(source: str, *changes: str) -> Piece:
    """A statement of the student's that defines nothing."""
    return Piece(source=source, where="cell 7", line=9, names=changes, changes=changes)


LAYER = "class Layer:\n    x = 'as defined'\n    def forward(self):\n        return 1"
FORWARD = "def other(self):\n    return 2"


@pytest.mark.parametrize(
    ("change", "result"),
    [(changing("Layer.forward = other"), 2), (changing("Layer.forward = nowhere", "Layer"), 1)],
)
def test_what_changes_something_in_place_runs_and_leaves_the_definition_if_it_fails(
    session, change, result
):
    rest = pieces(f"{LAYER}\n{FORWARD}\ndef f():\n    return Layer().forward()")
    with session.check(Code(pieces=(*rest, change))) as student:
        assert student.f() == result


PATCHES = {
    "directly": changing("Layer.forward = other", "Layer"),
    "by another name": changing("Again = Layer; Again.forward = other", "Again"),
    "in a function": Piece(
        source="def patch(c):\n    c.forward = c.added = other\n    del c.x\nX = patch(Layer)",
        where="cell 7",
        line=9,
        names=("patch", "X"),
    ),
}


@pytest.mark.parametrize("patch", PATCHES)
def test_no_statement_of_the_students_changes_a_reference(session, patch):
    code = Code(
        pieces=(
            *pieces(
                f"{FORWARD}\ndef f():\n"
                "    return Layer().forward(), Layer.x, hasattr(Layer, 'added')"
            ),
            PATCHES[patch],
        ),
        references=ours(LAYER),
    )
    with session.check(code) as student:
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


SHORTCUTS = code_beside(__file__)["shortcuts"]


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
@pytest.mark.parametrize(
    "call",
    [
        "scaled_dot_product_attention(X, X, X)",
        "_scaled_dot_product_attention_math(X, X, X)",
        "_scaled_dot_product_flash_attention_for_cpu(X, X, X)",
        "_native_multi_head_attention(X[0], X[0], X[0], 4, 2, W, B, W[:4], B[:4])",
        "_transformer_encoder_layer_fwd(X[0], 4, 2, W, B, W[:4], B[:4], False, False, 0.0, "
        "B[:4], B[:4], B[:4], B[:4], W[:4], B[:4], W[:4], B[:4])",
    ],
)
def test_a_fused_operator_is_refused_with_all_modes_of_torch_off(student, call, grad):
    """Asked for by a name that the source does not show, past torch's functions and modes."""
    name, arguments = call.split("(", 1)
    source = (
        "import torch\nfrom torch.utils import _python_dispatch as modes\n"
        f"X = torch.ones(1, 2, 3, 4, requires_grad={grad})\n"
        "W, B = torch.ones(12, 4), torch.ones(12)\n"
        "def f():\n"
        f"    op = torch._C._get_operation_overload('aten::' + {name[::-1]!r}[::-1], '')[0]\n"
        "    with modes._disable_current_modes(), torch._C.DisableTorchFunction():\n"
        f"        return op({arguments}"
    )
    assert student(source).f() is not None
    forbidden = ("torch.nn.functional.scaled_dot_product_attention", *list(SHORTCUTS)[:3])
    assert reason(student(source, forbidden=forbidden).f) is Reason.FORBIDDEN


@pytest.mark.parametrize(
    ("call", "forbidden"),
    [
        (
            "torch.vmap(lambda q: getattr(torch._C._nn, 'scaled_dot_product' + END)(q, q, q))",
            "torch.nn.functional.scaled_dot_product_attention",
        ),
        (
            "torch.vmap(lambda q: getattr(torch.ops.aten, 'scaled_dot_product' + END)(q, q, q))",
            "torch.nn.functional.scaled_dot_product_attention",
        ),
        (
            "lambda x: __import__('torch.nn.attention.flex_attention', fromlist=['x'])"
            ".flex_attention(x, x, x)",
            "torch.nn.attention",
        ),
        (
            "lambda x: __import__('torch._higher_order_ops.flex_attention', fromlist=['x'])"
            ".math_attention(x, x, x, lambda s, *_: s, None, 0.5, {})",
            "torch._higher_order_ops.flex_attention.math_attention",
        ),
    ],
)
def test_fused_attention_is_refused_within_a_transform_and_in_its_flexible_form(
    student, call, forbidden
):
    source = f"import torch\nEND = '_attention'\ndef f(x):\n    return ({call})(x)"
    assert reason(student(source, forbidden=(forbidden,)).f, torch.ones(2, 1, 3, 4)) is (
        Reason.FORBIDDEN
    )


def test_forbidden_where_it_is_observed_and_in_training_too(student):
    found = student(
        "from torch import nn\nfrom torch.nn import functional as F\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.l = nn.Linear(5, 5)\n"
        "    def forward(self, x):\n        x = self.l(x)\n"
        "        return F.scaled_dot_product_attention(x, x, x)",
        forbidden=("torch.nn.functional.scaled_dot_product_attention",),
    )
    module, x = found.Net(), torch.zeros(1, 3, 5)
    for call in (module, module.observe):
        assert reason(call, x) is Reason.FORBIDDEN
    assert reason(module.fit, [(x, x)], steps=1, lr=1.0, loss="mse") is Reason.FORBIDDEN

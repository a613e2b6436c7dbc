"""Loading: what fails is remembered, what may not be used is trapped, ours stand in for theirs."""

import pytest
import torch

from grader.core.outcomes import Reason
from grader.sandbox import Code
from grader.submission.contents import Piece
from tests.grader.sandbox.conftest import pieces, reason, stopped


def test_a_piece_may_need_a_later_one(student):
    found = student("A = B + 1\nB = C + 1\nC = 1\ndef f():\n    return A")
    assert found.f() == 3


def test_a_failed_piece_says_why_when_its_name_is_asked_for(student):
    found = student("A = 1\nB = 1 / 0\ndef f():\n    return A")
    assert found.f() == 1
    told = stopped(found.value, "B")
    assert told.reason is Reason.MISSING
    assert told.message == "the definition of B raised ZeroDivisionError: division by zero"
    assert told.hint == "cell 7, line 2: B = 1 / 0"


def test_a_name_that_never_comes_says_so(student):
    told = stopped(student("A = nowhere + 1").value, "A")
    assert told.reason is Reason.MISSING
    assert "name 'nowhere' is not defined" in told.message


def test_a_constant_of_a_todo_is_not_started(student):
    found = student("def f():\n    raise NotImplementedError('TODO 1.1')\nA = f()")
    assert reason(found.value, "A") is Reason.NOT_STARTED


def test_a_syntax_error_costs_its_piece_alone(session):
    bad = Piece(source="def f(:\n    pass", where="cell 3", line=4, names=("f",))
    with session.check(Code(pieces=(bad, *pieces("def g():\n    return 1")))) as student:
        told = stopped(student.f)
        assert told.reason is Reason.MISSING
        assert told.message.startswith("f stands in cell 3, which Python cannot read (line 4): ")
        assert told.message.endswith(": invalid syntax")
        assert told.hint == "cell 3, line 4: def f(:"
        assert student.g() == 1


def test_who_needs_what_python_cannot_read_is_told_where_it_stands(session):
    bad = Piece(source="def f(:\n    pass", where="cell 3", line=4, names=("f",))
    with session.check(Code(pieces=(bad, *pieces("def g():\n    return f()")))) as student:
        assert stopped(student.g).message == (
            "g needs f: f stands in cell 3, which Python cannot read (line 4): invalid syntax"
        )


def test_who_needs_what_failed_is_told_why(student):
    found = student("A = 1 / 0\ndef f():\n    return A")
    told = stopped(found.f)
    assert told.reason is Reason.MISSING
    assert told.message == (
        "f needs A: the definition of A raised ZeroDivisionError: division by zero"
    )
    assert told.hint == "cell 7, line 3: return A"


def test_a_library_that_is_not_there_is_named_where_it_is_used(student):
    found = student(
        "from einopsen import rearrange\ndef f():\n    return rearrange(3)\n"
        "@rearrange\ndef g():\n    pass"
    )
    assert stopped(found.f).message == "f needs rearrange: einopsen is not installed here"
    assert stopped(found.f).hint == "cell 7, line 3: return rearrange(3)"
    assert stopped(found.g).message == (
        "the definition of g needs rearrange: einopsen is not installed here"
    )


def test_what_may_not_be_imported_is_said_where_it_is_used(session):
    code = Code(pieces=pieces("from solutions import attend\ndef f():\n    return attend()"))
    with session.check(code) as student:
        told = stopped(student.f)
        assert told.reason is Reason.FORBIDDEN
        assert told.message == (
            "f needs attend: solutions belongs to the staff: it cannot be imported here"
        )


def test_a_variable_that_was_never_set_is_no_missing_definition(student):
    found = student("A = 1 / 0\ndef f():\n    if 0:\n        A = 3\n    return A")
    assert "raised UnboundLocalError" in stopped(found.f).message


def test_an_import_that_fails_names_what_uses_it(student):
    found = student("import nonexistent\ndef f():\n    return nonexistent.x")
    assert reason(found.value, "nonexistent") is Reason.MISSING
    assert "nonexistent" in stopped(found.f).message


def test_a_piece_that_leaves_does_not_take_the_others_along(student):
    found = student("import sys\nA = sys.exit(3)\ndef f():\n    return 1")
    assert found.f() == 1


def test_future_imports_reach_later_pieces(student):
    found = student(
        "from __future__ import annotations\ndef f(x: Nowhere) -> Elsewhere:\n    return x"
    )
    assert found.f(3) == 3


def test_dataclasses_work(student):
    found = student(
        "from dataclasses import dataclass\n@dataclass\nclass Config:\n"
        "    width: int = 3\ndef f():\n    return Config().width"
    )
    assert found.f() == 3


def test_lines_of_several_pieces_of_a_cell_are_told_right(student):
    found = student("X = 1\n\n\ndef f():\n\n    return 1 / 0\n\ndef g():\n    return {}['a']")
    assert stopped(found.f).hint == "cell 7, line 6: return 1 / 0"
    assert stopped(found.g).hint == "cell 7, line 9: return {}['a']"


def ours(source: str) -> tuple[Piece, ...]:
    return pieces(source, where="reference")


def test_a_reference_replaces_the_students_definition(student):
    found = student(
        "def attend():\n    return 'theirs'\ndef encode():\n    return attend()",
        references=ours("def attend():\n    return 'ours'"),
    )
    assert found.attend() == found.encode() == "ours"


def test_a_reference_replaces_a_definition_that_fails(student):
    found = student("X = 1 / 0", references=ours("X = 5"))
    assert found.value("X") == 5


def test_a_reference_may_use_imports_and_is_there_before_the_rest(student):
    found = student(
        "import math\nHALF = half(math.pi)", references=ours("def half(x):\n    return x / 2")
    )
    assert found.value("HALF") == pytest.approx(1.5707963)


def changing(source: str, *changes: str) -> Piece:
    """A statement of the student's that defines nothing."""
    return Piece(source=source, where="cell 7", line=9, names=changes, changes=changes)


LAYER = "class Layer:\n    x = 'as defined'\n    def forward(self):\n        return 1"
FORWARD = "def other(self):\n    return 2"


def test_what_changes_something_in_place_runs(session):
    code = Code(
        pieces=(
            *pieces(f"{LAYER}\n{FORWARD}\ndef f():\n    return Layer().forward()"),
            changing("Layer.forward = other"),
        )
    )
    with session.check(code) as student:
        assert student.f() == 2


def test_a_change_that_fails_does_not_take_the_definition_along(session):
    code = Code(
        pieces=(
            *pieces(f"{LAYER}\ndef f():\n    return Layer().forward()"),
            changing("Layer.forward = nowhere", "Layer"),
        )
    )
    with session.check(code) as student:
        assert student.f() == 1
        assert student.has("Layer")


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


def test_no_table_of_ours_is_changed_either(session):
    code = Code(pieces=(changing("TABLE['a'] = 2", "TABLE"),), references=ours("TABLE = {'a': 1}"))
    with session.check(code) as student:
        assert student.value("TABLE") == {"a": 1}


def test_the_source_of_a_reference_is_not_to_be_had(student):
    found = student(
        "import inspect\ndef f():\n    return inspect.getsource(attend)",
        references=ours("def attend():\n    return 'ours'"),
    )
    assert stopped(found.f).message.startswith("f raised OSError")


SHORTCUTS = {
    "torch.nn.MultiheadAttention": (
        "import torch\nfrom torch import nn\nfrom torch.nn import MultiheadAttention as M\n"
        "class Sub(nn.MultiheadAttention):\n    pass\n"
        "def a():\n    return nn.MultiheadAttention(6, 2)\n"
        "def b():\n    return M(6, 2)\n"
        "def c():\n    return Sub(6, 2)\n"
        "def d():\n    return torch.nn.modules.activation.MultiheadAttention(6, 2)"
    ),
    "torch.nn.functional.scaled_dot_product_attention": (
        "import torch\nfrom torch.nn import functional as F\n"
        "from torch.nn.functional import scaled_dot_product_attention as sdpa\n"
        "X = torch.zeros(1, 2, 3, 5)\n"
        "def a():\n    return F.scaled_dot_product_attention(X, X, X)\n"
        "def b():\n    return sdpa(X, X, X)\n"
        "def c():\n    return torch._C._nn.scaled_dot_product_attention(X, X, X)\n"
        "def d():\n    return torch.ops.aten.scaled_dot_product_attention(X, X, X)"
    ),
    "torch.nn.TransformerEncoder": (
        "import torch\nfrom torch import nn\nimport torch.nn as other\n"
        "def a():\n    return nn.TransformerEncoder(None, 2)\n"
        "def b():\n    return other.modules.TransformerEncoder(None, 2)\n"
        "def c():\n    return getattr(nn, 'Transformer' + 'Encoder')(None, 2)\n"
        "def d():\n    return object.__new__(nn.TransformerEncoder).forward(0)"
    ),
    "torchaudio.models.Conformer": (
        "import torchaudio\nfrom torchaudio.models import Conformer\n"
        "def a():\n    return torchaudio.models.Conformer(8, 2, 8, 1, 3)\n"
        "def b():\n    return Conformer(8, 2, 8, 1, 3)\n"
        "def c():\n    return torchaudio.models.conformer.Conformer(8, 2, 8, 1, 3)\n"
        "def d():\n    return Conformer.forward(None)"
    ),
    "kws.models.attention.attend": (
        "import torch\nX = torch.zeros(1, 2, 3, 5)\n"
        "def a():\n    from kws.models.attention import attend\n    return attend(X, X, X)\n"
        "def b():\n    import kws.models.attention as m\n    return m.attend(X, X, X)\n"
        "def c():\n    return b()\n"
        "def d():\n    from importlib import import_module\n"
        "    return import_module('kws.models.attention').attend(X, X, X)"
    ),
    "kws.models.transformer": (
        "def a():\n    import kws.models.transformer\n"
        "def b():\n    from kws.models import transformer\n"
        "def c():\n    __import__('kws.models.transformer')\n"
        "def d():\n    from kws.models.transformer import Encoder"
    ),
}


@pytest.mark.parametrize("name", SHORTCUTS)
def test_a_forbidden_answer_is_told_by_its_name_whatever_it_goes_by(student, name):
    found = student(SHORTCUTS[name], forbidden=(name,))
    for call in "abcd":
        told = stopped(getattr(found, call))
        assert told.reason is Reason.FORBIDDEN, call
        assert told.message == f"{name} is the library's own answer to this task"


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


def test_forbidden_in_a_trace_and_in_training_too(student):
    found = student(
        "from torch import nn\nfrom torch.nn import functional as F\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.l = nn.Linear(5, 5)\n"
        "    def forward(self, x):\n        x = self.l(x)\n"
        "        return F.scaled_dot_product_attention(x, x, x)",
        forbidden=("torch.nn.functional.scaled_dot_product_attention",),
    )
    module, x = found.Net(), torch.zeros(1, 3, 5)
    for call in (module, module.trace, module.gradients):
        assert reason(call, x) is Reason.FORBIDDEN
    assert reason(module.fit, [(x, x)], steps=1, lr=1.0, loss="mse") is Reason.FORBIDDEN

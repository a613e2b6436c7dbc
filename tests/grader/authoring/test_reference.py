"""Our answer to one task can be cut out of the solution and runs without the others."""

import pytest
import torch

from grader.adapters import ASSIGNMENTS, Assignment
from grader.authoring.reference import reference_pieces
from kws.errors import UsageError

ATTENTION = Assignment(number="02", slug="attention", title="Attention", tasks=())


def run(pieces, **there):
    """The namespace after all pieces ran."""
    names = dict(there)
    for piece in pieces:
        exec(piece.source, names)
    return names


def test_the_answer_of_one_task_runs_alone_and_one_that_nobody_answers_is_refused(course):
    pieces = reference_pieces(ATTENTION, "2.1", course)
    assert [piece.names for piece in pieces] == [("math",), ("torch",), ("attend",)]
    assert run(pieces)["attend"](*torch.ones(3, 2, 3, 7, 5)).shape == (2, 3, 7, 5)
    lines = (course / "solutions" / "02_attention.py").read_text(encoding="utf-8").splitlines()
    assert pieces[-1].where == "02_attention.py"
    assert lines[pieces[-1].line - 1] == pieces[-1].source.splitlines()[0]
    with pytest.raises(UsageError, match=r"02_attention\.py: no exported cell answers task 2\.9"):
        reference_pieces(ATTENTION, "2.9", course)


def test_given_code_that_an_answer_needs_comes_with_it_and_other_answers_are_the_students(course):
    pieces = reference_pieces(ATTENTION, "2.2", course)
    assert "attend" not in {name for piece in pieces for name in piece.names}
    heads = run(pieces, attend=lambda q, k, v: v)["Heads"]
    assert heads(7).projection.in_features == 35  # given() and WIDTH


@pytest.mark.parametrize(
    ("task", "there", "absent"),
    [
        ("4.3", {"ConvolutionModule", "load_convolution", "part"}, "load_block"),
        ("2.5", {"EncoderLayer", "load_layer"}, "load_attention"),
    ],
)
def test_what_loads_known_weights_comes_with_the_answer_that_it_fits(task, there, absent):
    pieces = reference_pieces(ASSIGNMENTS[f"0{task[0]}"], task)
    names = {name for piece in pieces for name in piece.names}
    assert there <= names
    assert absent not in names

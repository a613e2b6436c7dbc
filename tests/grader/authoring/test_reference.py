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


def test_the_answer_of_one_task_runs_alone(course):
    names = run(reference_pieces(ATTENTION, "2.1", course))
    assert names["attend"](*torch.ones(3, 2, 3, 7, 5)).shape == (2, 3, 7, 5)


def test_the_answers_of_other_tasks_are_left_to_the_student(course):
    pieces = reference_pieces(ATTENTION, "2.2", course)
    assert "attend" not in {name for piece in pieces for name in piece.names}


def test_what_an_answer_needs_of_the_given_code_comes_with_it(course):
    pieces = reference_pieces(ATTENTION, "2.2", course)
    heads = run(pieces, attend=lambda q, k, v: v)["Heads"]
    assert heads(7).projection.in_features == 35  # given() and WIDTH


def test_what_no_answer_needs_stays_out(course):
    pieces = reference_pieces(ATTENTION, "2.1", course)
    assert [piece.names for piece in pieces] == [("math",), ("torch",), ("attend",)]


def test_a_piece_says_where_it_stands(course):
    piece = reference_pieces(ATTENTION, "2.1", course)[-1]
    lines = (course / "solutions" / "02_attention.py").read_text(encoding="utf-8").splitlines()
    assert piece.where == "02_attention.py"
    assert lines[piece.line - 1] == piece.source.splitlines()[0]


def test_a_task_that_nobody_answers_is_refused(course):
    with pytest.raises(UsageError, match=r"02_attention\.py: no exported cell answers task 2\.9"):
        reference_pieces(ATTENTION, "2.9", course)


def test_the_door_of_known_weights_comes_with_the_answer_that_it_fits():
    block = reference_pieces(ASSIGNMENTS["04"], "4.3")
    assert {"ConvolutionModule", "load_convolution", "part"} <= {n for p in block for n in p.names}
    assert "load_block" not in {n for p in block for n in p.names}


def test_the_doors_of_other_tasks_stay_the_students():
    layer = reference_pieces(ASSIGNMENTS["02"], "2.5")
    assert {"EncoderLayer", "load_layer"} <= {n for p in layer for n in p.names}
    assert "load_attention" not in {n for p in layer for n in p.names}

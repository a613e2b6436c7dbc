"""Visible checks: one line, kind and true, whatever the answer does."""

import re

import pytest
import torch

from kws.course.checking import (
    NotStarted,
    Unmet,
    check,
    check_accuracy,
    expect_between,
    expect_close,
    expect_equal,
    lines_go_to,
)


def line_of(capsys) -> str:
    return capsys.readouterr().out


def test_a_met_check_says_what_holds_and_an_unmet_one_the_fact_and_the_question(capsys):
    with check("2.1-values", "attend agrees"):
        expect_close("attend(q)", torch.tensor([1.0]), [1.0])
    assert line_of(capsys) == "✓ 2.1-values  attend agrees\n"
    with pytest.raises(Unmet), check("2.1-values", "attend agrees"):
        expect_close("attend(q)", torch.tensor([1.5]), [1.0])
    shown = "attend(q): got\n  [1.5]\n  expected\n  [1]\n"
    assert line_of(capsys) == f"✗ 2.1-values  {shown}"


def test_a_todo_is_not_started_and_one_of_an_earlier_task_is_waited_for_by_name(capsys):
    with pytest.raises(NotStarted, match=r"TODO 2.1"), check("2.1-values", "attend agrees"):
        raise NotImplementedError("TODO 2.1")
    assert line_of(capsys) == "· 2.1-values  not started\n"
    with pytest.raises(NotStarted), check("2.3-values", "x"):
        raise NotImplementedError("TODO 2.1")
    assert line_of(capsys) == "· 2.3-values  waits for your answer to 2.1\n"


def test_an_error_of_the_answer_keeps_its_traceback_and_one_of_the_check_is_a_fact(capsys):
    answer = eval(compile("lambda x: 1 / x", "<cell 1>", "eval"))
    with pytest.raises(ZeroDivisionError), check("2.1-values", "attend agrees"):
        answer(0)
    assert "raised an error" in line_of(capsys)
    with pytest.raises(Unmet, match="cannot be used at `answer"), check("2.1-values", "attend"):
        answer(1)()
    for ending in (Unmet("fact"), NotStarted("2.1-values", "not started")):
        assert ending._render_traceback_() == []
    received = []
    with lines_go_to(lambda *line: received.append(line)), check("2.1-values", "attend agrees"):
        pass
    assert (received, "✓" in line_of(capsys)) == ([("✓", "2.1-values", "attend agrees")], False)


def test_values_may_differ_by_the_tolerance_only_and_between_has_bounds_on_both_sides():
    expect_close("y", torch.tensor(0.05), 0.0, atol=0.1)
    with pytest.raises(Unmet, match=r"^y: got 0\.05, expected 0$"):
        expect_close("y", torch.tensor(0.05), 0.0)
    expect_between("n", torch.tensor(3.0), 3, 4)
    with pytest.raises(Unmet, match=r"n: got 600,000, expected 1 to 500,000\n  hint: too wide?"):
        expect_between("n", 600_000, 1, 500_000, "too wide?")
    with pytest.raises(Unmet, match=r"n: got 0.5, expected at least 0.9"):
        expect_between("n", 0.5, 0.9)
    with pytest.raises(Unmet, match="n: got nan"):
        expect_between("n", float("nan"), 0.9)
    with pytest.raises(Unmet, match="n: got None, expected a number"):
        expect_between("n", None, 0)


NAN = float("nan")
UNMET = [  # what is got and expected, and the fact
    (torch.zeros(1, 2), torch.zeros(2), "shape (1, 2), expected (2,)"),
    (None, 1.0, "is there a return?"),
    (torch.eye(20)[0] / 2, torch.zeros(20), "right, but 1 of 20 values differ (largest"),
    (torch.eye(20)[0] / 2, torch.zeros(20), " 0.5 at 0)"),
    (torch.tensor([1 + 1j]), [1.0], "got dtype torch.complex64, expected real numbers"),
    (torch.tensor([True]), [1.0], "got dtype torch.bool, expected real numbers"),
    ([1.0], [1.0], "y: got an object of type list, expected a tensor"),
    (torch.tensor(NAN), 0.0, "y: got nan, expected 0"),
    (torch.tensor([NAN, 0.0]), [0.0, 0.0], "y: got NaN in 1 place"),
]


@pytest.mark.parametrize(("got", "expected", "output"), UNMET)
def test_what_is_not_close_is_a_fact(got, expected, output):
    with pytest.raises(Unmet, match=re.escape(output)):
        expect_close("y", got, expected)


def test_equal_takes_a_number_out_of_a_tensor_of_one_and_no_object_that_equals_everything():
    expect_equal("n", torch.tensor(3), 3)
    with pytest.raises(Unmet, match=r"^n: got 4, expected 3$"):
        expect_equal("n", torch.tensor(4), 3)
    with pytest.raises(Unmet, match=r"is there a return?"):
        expect_equal("n", None, 1.0)

    class Everything:
        def __eq__(self, other):
            return True

    with pytest.raises(Unmet, match="of type Everything"):
        expect_equal("n", Everything(), 3)


def test_an_accuracy_tells_its_points_and_stops_nothing(capsys):
    bounds = {"full": 0.95, "none": 0.50, "examples": "200 sentences"}
    output = []
    for accuracy in (0.95, 0.725, torch.tensor(0.3), float("nan")):
        check_accuracy("3.8-accuracy", accuracy, **bounds)
        output.append(line_of(capsys))
    assert output[0].startswith("✓ 3.8-accuracy  95.0% of 200 sentences: full points on hidden")
    assert "72.5% of 200 sentences: about 50% of the points" in output[1]
    assert output[1].endswith("(full points from 95%, none up to 50%)\n")
    assert "about 0% of the points" in output[2]
    assert [line[0] for line in output] == ["✓", "✗", "✗", "✗"]


def test_a_later_task_waits_for_the_earlier_one_that_fails_until_it_passes(capsys):
    with pytest.raises(Unmet), check("2.1-values", "x"):
        expect_equal("n", 1, 2)
    with pytest.raises(NotStarted, match=r"waits for 2\.1"), check("2.5-values", "x"):
        _ = 1 / 0  # by way of 2.3
    with pytest.raises(Unmet), check("2.7-count", "x"):
        expect_equal("n", 1, 2)  # has nothing to do with it
    assert "· 2.5-values  waits for 2.1: its checks do not pass yet\n" in line_of(capsys)
    with check("2.1-values", "x"):
        pass
    with pytest.raises(Unmet), check("2.5-values", "x"):
        _ = 1 / 0

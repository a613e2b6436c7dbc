"""The inventory keeps its promises, the digest follows, and every expectation has its words."""

import math
from dataclasses import replace

import pytest
import torch

from grader.adapters import Assignment, Task
from grader.grading import checks
from grader.grading.checks import Check, checks_digest, needed, read_check, verify
from grader.grading.feedback import Failure, expect_between, expect_finite, expect_shape, name_of
from grader.reports.scorecard import check_lines, closing_lines, points
from grader.sandbox import Opaque
from kws.errors import UsageError
from tests.grader.batch import made_up


def a_task(name: str, after: tuple[str, ...] = ()) -> Task:
    return Task(id=name, title=f"Task {name}", names=(), after=after)


COURSE = Assignment(
    number="02",
    slug="attention",
    title="T",
    tasks=(a_task("2.1"), a_task("2.2"), a_task("2.3", ("2.1",)), a_task("2.4", ("2.2", "2.3"))),
)


def titled():
    """It holds.

    And this is for the reader.
    """


def read(*args, function=titled, **options) -> Check:
    return read_check(COURSE, function, "test_two_words", args, options)


def inventory(*names: str, **after) -> list[Check]:
    made = []
    for name in names:
        task = name.partition("-")[0]
        made.append(Check(assignment="02", id=name, task=task, title="t", points=1))
    return [replace(one, after=after.get(one.id[-1], ())) for one in made]


def test_a_marker_becomes_a_check():
    check = read("2.1", points=3, after=("2.1-a",), concept="section 2.1", timeout=30)
    assert (check.assignment, check.id, check.task) == ("02", "2.1-two-words", "2.1")
    assert (check.title, check.points, check.after) == ("It holds.", 3.0, ("2.1-a",))
    assert (check.concept, check.timeout) == ("section 2.1", 30)


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((), {"points": 1}),
        (("2.1", "2.2"), {"points": 1}),
        (("2.1",), {}),
        (("2.1",), {"points": 0}),
        (("2.1",), {"points": -1}),
        (("2.1",), {"points": float("nan")}),
        (("2.1",), {"points": "many"}),
        (("2.1",), {"points": 1, "after": "2.1-a"}),
        (("2.1",), {"points": 1, "worth": 1}),
        (("2.1",), {"points": 1, "function": lambda: None}),
    ],
)
def test_a_marker_without_sense_is_an_error_that_names_the_test(args, options):
    with pytest.raises(UsageError, match="02_attention: test_two_words: "):
        read(*args, **options)


WHOLE = ("2.1-a", "2.2-b", "2.3-c", "2.4-d")


def test_a_whole_inventory_passes():
    verify(COURSE, inventory(*WHOLE, d=("2.1-a", "2.3-c")))


@pytest.mark.parametrize(
    ("names", "after", "words"),
    [
        (WHOLE[:3], {}, "task 2.4 has no check"),
        ((*WHOLE, "2.9-e"), {}, "there is no task 2.9"),
        (("2.1-a", *WHOLE), {}, "two checks have this id"),
        (WHOLE, {"a": ("2.4-d",)}, "2.4-d is not a check before it"),
        (WHOLE, {"d": ("2.4-x",)}, "2.4-x is not a check before it"),
    ],
)
def test_an_inventory_with_a_hole_is_an_error(names, after, words):
    with pytest.raises(UsageError, match=words):
        verify(COURSE, inventory(*names, **after))


def test_needed_tasks_are_found_at_any_distance_in_order():
    assert needed(COURSE, "2.4") == ("2.1", "2.2", "2.3")
    assert needed(COURSE, "2.3") == ("2.1",)
    assert needed(COURSE, "2.1") == ()


DECIDES = {  # files, and whether they decide about points
    "grader/course/a02_attention/test_checks.py": True,
    "grader/grading/feedback.py": True,
    "kws/models/counts.py": True,
    "solutions/02_attention.py": True,
    "grader/course/a03_other/test_checks.py": False,
    "solutions/03_other.py": False,
    "grader/reports/page.py": False,
    "README.md": False,
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A repository in small: `tree(name)` changes one of its files, and returns the digest."""
    for name in DECIDES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(checks, "ROOT", tmp_path)

    def change(name: str = "") -> str:
        if name:
            (tmp_path / name).write_text("2")
        checks._sources_digest.cache_clear()
        return checks_digest(COURSE)

    yield change
    checks._sources_digest.cache_clear()


@pytest.mark.parametrize("name", DECIDES)
def test_the_digest_changes_with_what_decides_about_points(tree, name):
    assert (tree() != tree(name)) == DECIDES[name]


def test_retraining_is_another_set_of_checks_and_another_course_another_digest(tree):
    assert tree() == tree() != checks_digest(COURSE, retrain=True)
    assert tree() != checks_digest(replace(COURSE, tasks=COURSE.tasks[:1]))


def test_a_line_of_the_score_card_tells_fact_hint_and_where_to_read():
    from grader.core.outcomes import Record
    from grader.grading.feedback import Failure
    from grader.grading.grading_run import judge

    check = Check(
        assignment="02", id="2.1-a", task="2.1", title="It holds.", points=2.5, concept="section 2"
    )
    lines = [line.strip() for line in check_lines(judge(check, Failure("off", "why?"), Record()))]
    assert lines == ["0/2.5  2.1-a: It holds.", "off", "hint: why?", "read: section 2"]
    lines = check_lines(judge(check, KeyError(), Record()))
    assert lines[0].split()[0] == "–/2.5"
    assert not any("read:" in line for line in lines)
    assert len(check_lines(judge(check, None, Record()))) == 1


def test_the_score_card_adds_up_by_task():
    results = [
        made_up.check(*one) for one in [("2.1-a", 2, 2.0), ("2.1-b", 2, 0.5), ("2.2", 2, None)]
    ]
    more = {"weaknesses": ("no namespaces",), "repairs": ("a cell was mended",)}
    report = made_up.report_of(*results, tier="fenced", **more)
    lines = [" ".join(line.split()) for line in closing_lines(report)]
    assert lines[1].startswith("2.5/4 2.1 ")
    assert lines[2].startswith("–/2 2.2 ")
    more = ["repaired: a cell was mended", "isolation: fenced", "without: no namespaces"]
    totals = ["2.5/6 in all", "2 of them are open, for review by a person"]
    assert {*totals, *more, "verdict: needs a person"} <= set(lines)
    assert [points(value) for value in (3.0, 2.25, 0.0, None)] == ["3", "2.25", "0", "–"]


FOREIGN = [None, 3, 2.5, "text", [1], (), {}, True, object(), Opaque(kind="generator")]


def output(call, *args, **kwargs) -> tuple[str, str]:
    """Message and hint of the Failure that the call raises."""
    with pytest.raises(Failure) as failure:
        call(*args, **kwargs)
    return failure.value.message, failure.value.hint


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "expect",
    [lambda what, value: expect_shape(what, value, 2, 3), expect_finite],
    ids=["shape", "finite"],
)
def test_whatever_comes_is_a_failure_in_words(expect, value):
    message, _ = output(expect, "f(x)", value)
    assert message.startswith("f(x): got ")
    assert "0x" not in message


def test_a_forgotten_return_two_tensors_and_a_wrong_shape_are_named_and_the_right_one_comes_back():
    messages = "f(x): got None, expected a tensor", "is there a `return`?"
    assert output(expect_finite, "f(x)", None) == messages
    hint = output(expect_finite, "f(x)", (torch.zeros(1), torch.zeros(1)))[1]
    assert hint == "return the one tensor that is asked for"
    x = torch.zeros(2, 3)
    assert expect_shape("f(x)", x, 2, 3, letters="B, T") is x
    message, _ = output(expect_shape, "f(x)", torch.zeros(2, 5), 2, 3, letters="B, T")
    assert message == "f(x): got shape (2, 5), expected (B, T) = (2, 3)"


@pytest.mark.parametrize(
    ("came", "wanted", "hint"),
    [((3, 2), (2, 3), "swapped"), ((2, 1, 3), (2, 3), "size 1"), ((2, 3), (2, 1, 3), "size 1")],
)
def test_swapped_axes_and_axes_of_size_one_get_a_hint(came, wanted, hint):
    assert hint in output(expect_shape, "f(x)", torch.zeros(came), *wanted)[1]


@pytest.mark.parametrize(("bad", "word"), [(math.nan, "NaN"), (math.inf, "an infinite number")])
def test_finite(bad, word):
    expect_finite("f(x)", torch.zeros(2))
    message, _ = output(expect_finite, "f(x)", torch.tensor([1.0, bad, 2.0]))
    assert message == f"f(x): got {word} in 1 of 3 places"


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (0, (1, 2), "n: got 0, expected between 1 and 2"),
        (3, (-math.inf, 2), "n: got 3, expected at most 2"),
        (0, (1, math.inf), "n: got 0, expected at least 1"),
        (math.nan, (0, 1), "n: got nan, expected between 0 and 1"),
        (True, (0, 1), "n: got True, expected a number"),
        ("1", (0, 1), "n: got '1', expected a number"),
        (torch.zeros(2), (0, 1), "n: got a float32 tensor of shape (2,), expected a number"),
    ],
)
def test_not_between(value, bounds, message):
    assert output(expect_between, "n", value, *bounds)[0] == message


def test_a_number_between_passes_and_a_failure_as_text_is_fact_and_hint_without_long_values():
    for value in (1, 1.5, 2, torch.tensor(1.5)):
        assert 1 <= expect_between("n", value, 1, 2) <= 2
    assert output(expect_between, "it", 12, high=10, hint="slow?")[1] == "slow?"
    assert str(Failure("it is off", "why?")) == "it is off\n  hint: why?"
    assert str(Failure("it is off")) == "it is off"
    assert name_of("x" * 500) == "a str of length 500"
    assert len(name_of(list(range(1000)))) < 60
